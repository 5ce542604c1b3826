/* SPDX-License-Identifier: MIT
 *
 * segment: what do the journal's files look like?
 *
 * NAME.journal.00000001 and on. A header, then frames; all begin at multiples of 64. Numbers are little
 * endian. A checksum is SipHash-1-3 with the key (generation, magic) of all bytes after it.
 *
 *     segment   0   8  magic "weirSEG1"; the digit is the version
 *               8   8  checksum of bytes 16..63
 *              16   8  generation: of the table whose counters these are
 *              24   8  after: sequence of the newest frame that was acknowledged when this file began.
 *                      Frames of earlier files with a higher one never were, and do not count
 *              32   8  now_ns: the file's clock when it began
 *              40   8  wall_ns: the wall clock, or 0
 *              48   4  number, as in its name
 *              52  12  0
 *
 *     frame     0   8  magic "weirFRM1"
 *               8   8  checksum of bytes 16 to its end
 *              16   8  generation
 *              24   8  sequence: 1 more than the frame's before it
 *              32   8  dropped: frames up to this sequence are not needed, and their files may be gone
 *              40   8  now_ns: a lower bound of the time at which this was written
 *              48   8  wall_ns: the wall clock then, or 0
 *              56   4  step: how many frames of the same commit come before it. All frames of a commit
 *                      are acknowledged together, so any of them may be lost while they are written
 *              60   2  kind of its records: 1 counters, 2 rings
 *              62   2  count of its records
 *              64      records, then zeros up to a multiple of 64
 *
 *     counter   0   8  tag                    ring    0   8  index
 *               8   8  fresh_at_ns                    8   8  newest_cell
 *              16   8  head, bits 53..63 are 0       16 264  counts[33]
 *              24  40  body[5]                                                                       */
#include "store/embedded/segment.h"

#include <string.h>

#include "base/contract.h"
#include "base/hash.h"

/* The bytes of the text as a number. */
#define SEGMENT_MAGIC UINT64_C(0x3147455372696577) /* weirSEG1 */
#define FRAME_MAGIC   UINT64_C(0x314d524672696577) /* weirFRM1 */

enum { CHECKED_FROM = 16, NUMBER_DIGITS = 8 };

static const char segment_word[] = ".journal.";

_Static_assert(FRAME_RING_BYTES == 8 + sizeof(struct ring), "a ring's words follow its index");
_Static_assert(FRAME_COUNTERS_MAX <= UINT16_MAX, "a count is 16 bits");

void word_write(unsigned char *out, uint64_t word) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(out, &word, sizeof word);
}

uint64_t word_read(const unsigned char *in) { return hash_load(in, 8); }

static uint64_t checksum_of(uint64_t generation, uint64_t magic, const unsigned char *from,
                            size_t bytes) {
    struct hash_secret key = {.k0 = generation, .k1 = magic};
    return hash_of(key, bytes, from, bytes);
}

/* --- names ----------------------------------------------------------------------------------- */

void segment_name(const char *store, uint32_t number, char *out) {
    size_t store_bytes = strlen(store);
    REQUIRE(store_bytes <= SEGMENT_NAME_BYTES_MAX);
    REQUIRE(number <= SEGMENT_NUMBER_MAX);
    memcpy(out, store, store_bytes);
    memcpy(out + store_bytes, segment_word, sizeof segment_word - 1);
    char *digits          = out + store_bytes + sizeof segment_word - 1;
    digits[NUMBER_DIGITS] = '\0';
    for (int i = NUMBER_DIGITS - 1; i >= 0; i--, number /= 10)
        digits[i] = (char)('0' + number % 10);
}

uint32_t segment_number(const char *store, const char *name) {
    size_t store_bytes = strlen(store);
    size_t word_bytes  = sizeof segment_word - 1;
    if (strlen(name) != store_bytes + word_bytes + NUMBER_DIGITS) return 0;
    if (memcmp(name, store, store_bytes) != 0) return 0;
    if (memcmp(name + store_bytes, segment_word, word_bytes) != 0) return 0;
    uint32_t number = 0;
    for (const char *digit = name + store_bytes + word_bytes; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9') return 0;
        number = number * 10 + (uint32_t)(*digit - '0');
    }
    return number;
}

enum { REMOVED_AT_ONCE = 64 };

struct segment_list {
    const char *store;
    uint32_t    number[REMOVED_AT_ONCE];
    uint32_t    count;
};

static void segment_list_add(void *list, const char *name) {
    struct segment_list *l      = list;
    uint32_t             number = segment_number(l->store, name);
    if (number != 0 && l->count < REMOVED_AT_ONCE) l->number[l->count++] = number;
}

enum disk_status segment_remove_all(const struct disk *disk, const char *store) {
    for (;;) {
        struct segment_list list   = {.store = store};
        enum disk_status    status = disk->folder_list(disk->context, segment_list_add, &list);
        if (status != DISK_OK || list.count == 0) return status;
        for (uint32_t i = 0; i < list.count; i++) {
            char name[DISK_NAME_BYTES_MAX];
            segment_name(store, list.number[i], name);
            status = disk->file_remove(disk->context, name);
            if (status != DISK_OK && status != DISK_NOT_FOUND) return status;
        }
    }
}

/* --- headers --------------------------------------------------------------------------------- */

void segment_write(const struct segment *s, unsigned char out[SEGMENT_HEADER_BYTES]) {
    memset(out, 0, SEGMENT_HEADER_BYTES);
    word_write(out, SEGMENT_MAGIC);
    word_write(out + 16, s->generation);
    word_write(out + 24, s->after);
    word_write(out + 32, s->now_ns);
    word_write(out + 40, s->wall_ns);
    word_write(out + 48, s->number);
    word_write(out + 8, checksum_of(s->generation, SEGMENT_MAGIC, out + CHECKED_FROM,
                                    SEGMENT_HEADER_BYTES - CHECKED_FROM));
}

bool segment_read(const unsigned char in[SEGMENT_HEADER_BYTES], struct segment *s) {
    if (word_read(in) != SEGMENT_MAGIC) return false;
    *s = (struct segment){
        .generation = word_read(in + 16),
        .after      = word_read(in + 24),
        .now_ns     = word_read(in + 32),
        .wall_ns    = word_read(in + 40),
        .number     = (uint32_t)word_read(in + 48),
    };
    return word_read(in + 8) == checksum_of(s->generation, SEGMENT_MAGIC, in + CHECKED_FROM,
                                            SEGMENT_HEADER_BYTES - CHECKED_FROM);
}

/* --- frames ---------------------------------------------------------------------------------- */

static size_t frame_record_bytes(enum frame_kind kind) {
    return kind == FRAME_COUNTERS ? FRAME_COUNTER_BYTES : FRAME_RING_BYTES;
}

static size_t frame_bytes(const struct frame *f) {
    size_t bytes = frame_record_at(f->kind, f->count);
    return (bytes + FRAME_ALIGNMENT - 1) / FRAME_ALIGNMENT * FRAME_ALIGNMENT;
}

static void words_write(unsigned char *out, const uint64_t *word, size_t count) {
    for (size_t i = 0; i < count; i++) word_write(out + 8 * i, word[i]);
}

static void words_read(const unsigned char *in, uint64_t *word, size_t count) {
    for (size_t i = 0; i < count; i++) word[i] = word_read(in + 8 * i);
}

size_t frame_record_at(enum frame_kind kind, uint32_t index) {
    return FRAME_HEADER_BYTES + index * frame_record_bytes(kind);
}

void record_put_counter(unsigned char *record, uint64_t tag, const struct counter *c) {
    word_write(record, tag);
    word_write(record + 8, c->fresh_at_ns);
    word_write(record + 16, c->head & COUNTER_HEAD_MASK);
    words_write(record + 24, c->body, COUNTER_BODY_WORDS);
}

uint64_t record_counter(const unsigned char *record, struct counter *c) {
    c->fresh_at_ns = word_read(record + 8);
    c->head        = word_read(record + 16) & COUNTER_HEAD_MASK;
    words_read(record + 24, c->body, COUNTER_BODY_WORDS);
    return word_read(record);
}

void record_put_ring(unsigned char *record, uint64_t index, const struct ring *r) {
    word_write(record, index);
    word_write(record + 8, r->newest_cell);
    words_write(record + 16, r->counts, RING_SLOTS);
}

uint64_t record_ring(const unsigned char *record, struct ring *r) {
    r->newest_cell = word_read(record + 8);
    words_read(record + 16, r->counts, RING_SLOTS);
    return word_read(record);
}

size_t frame_seal(unsigned char *frame, const struct frame *f) {
    size_t bytes = frame_bytes(f);
    size_t used  = frame_record_at(f->kind, f->count);
    REQUIRE(bytes <= FRAME_BYTES_MAX);

    memset(frame + used, 0, bytes - used);
    word_write(frame, FRAME_MAGIC);
    word_write(frame + 16, f->generation);
    word_write(frame + 24, f->sequence);
    word_write(frame + 32, f->dropped);
    word_write(frame + 40, f->now_ns);
    word_write(frame + 48, f->wall_ns);
    word_write(frame + 56, f->step | (uint64_t)f->kind << 32 | (uint64_t)f->count << 48);
    word_write(frame + 8,
               checksum_of(f->generation, FRAME_MAGIC, frame + CHECKED_FROM, bytes - CHECKED_FROM));
    return bytes;
}

size_t frame_open(const unsigned char *frame, size_t bytes, uint64_t generation, struct frame *f) {
    if (bytes < FRAME_HEADER_BYTES || word_read(frame) != FRAME_MAGIC) return 0;
    uint64_t last = word_read(frame + 56);
    *f            = (struct frame){
                   .generation = word_read(frame + 16),
                   .sequence   = word_read(frame + 24),
                   .dropped    = word_read(frame + 32),
                   .now_ns     = word_read(frame + 40),
                   .wall_ns    = word_read(frame + 48),
                   .step       = (uint32_t)last,
                   .kind       = (enum frame_kind)(last >> 32 & UINT16_MAX),
                   .count      = (uint32_t)(last >> 48),
    };
    if (f->generation != generation || f->sequence <= f->step) return 0;
    if (f->kind != FRAME_COUNTERS && f->kind != FRAME_RINGS) return 0;
    size_t frame_size = frame_bytes(f);
    if (frame_size > FRAME_BYTES_MAX || frame_size > bytes) return 0;
    uint64_t checksum =
        checksum_of(generation, FRAME_MAGIC, frame + CHECKED_FROM, frame_size - CHECKED_FROM);
    return word_read(frame + 8) == checksum ? frame_size : 0;
}

/* --- reading --------------------------------------------------------------------------------- */

struct segment_reader segment_reader(const struct disk *disk, int file, uint64_t generation,
                                     uint64_t offset, unsigned char *buffer) {
    return (struct segment_reader){.disk       = disk,
                                   .file       = file,
                                   .generation = generation,
                                   .offset     = offset,
                                   .held_at    = offset,
                                   .buffer     = buffer};
}

/* Makes the buffer hold a whole frame from the offset on, if the file does. */
static enum disk_status segment_hold(struct segment_reader *r, size_t *bytes) {
    size_t skip = (size_t)(r->offset - r->held_at);
    if (skip + FRAME_BYTES_MAX > r->held_bytes && !r->has_end) {
        enum disk_status status = r->disk->file_read(
            r->disk->context, r->file, r->offset, r->buffer, SEGMENT_BUFFER_BYTES, &r->held_bytes);
        if (status != DISK_OK) return status;
        r->held_at = r->offset;
        r->has_end = r->held_bytes < SEGMENT_BUFFER_BYTES;
        skip       = 0;
    }
    *bytes = r->held_bytes - skip;
    return DISK_OK;
}

enum disk_status segment_next(struct segment_reader *r, struct frame *f,
                              const unsigned char **frame) {
    size_t           bytes  = 0;
    enum disk_status status = segment_hold(r, &bytes);
    *frame                  = NULL;
    if (status != DISK_OK) return status;
    const unsigned char *here       = r->buffer + (r->offset - r->held_at);
    size_t               frame_size = frame_open(here, bytes, r->generation, f);
    if (frame_size == 0) return DISK_OK;
    r->offset += frame_size;
    *frame = here;
    return DISK_OK;
}

enum disk_status segment_seek(struct segment_reader *r, struct frame *f,
                              const unsigned char **frame) {
    for (;;) {
        enum disk_status status = segment_next(r, f, frame);
        if (status != DISK_OK || *frame != NULL) return status;
        size_t bytes = 0;
        status       = segment_hold(r, &bytes);
        if (status != DISK_OK || bytes < FRAME_HEADER_BYTES + FRAME_ALIGNMENT) return status;
        r->offset += FRAME_ALIGNMENT;
    }
}
