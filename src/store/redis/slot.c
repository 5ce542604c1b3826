/* SPDX-License-Identifier: MIT */
#include "store/redis/slot.h"

/* A table of sixteen: four bits at a time, since a key is short and the cache is for others. */
static const uint16_t crc_of_nibble[16] = {
    0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
    0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
};

uint16_t slot_crc(struct view bytes) {
    uint16_t crc = 0;
    for (size_t i = 0; i < bytes.bytes; i++) {
        uint8_t byte = (uint8_t)bytes.data[i];
        crc          = (uint16_t)(crc << 4) ^ crc_of_nibble[(crc >> 12) ^ (byte >> 4)];
        crc          = (uint16_t)(crc << 4) ^ crc_of_nibble[(crc >> 12) ^ (byte & 15)];
    }
    return crc;
}

uint16_t slot_of(struct view key) {
    const char *open = key.bytes > 0 ? memchr(key.data, '{', key.bytes) : NULL;
    if (open != NULL) {
        struct view after = view_from(key, (size_t)(open - key.data) + 1);
        const char *close = after.bytes > 0 ? memchr(after.data, '}', after.bytes) : NULL;
        if (close != NULL && close != after.data)
            key = (struct view){.data = after.data, .bytes = (size_t)(close - after.data)};
    }
    return slot_crc(key) % SLOT_COUNT;
}
