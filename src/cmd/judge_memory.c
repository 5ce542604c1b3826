/* SPDX-License-Identifier: MIT
 *
 * judge_memory: may the judge take more memory?
 *
 * The judge promises a bound and must notice before the system does, so it counts what it takes.
 * Small blocks are cut from chunks and kept in a list for each size when they come back; large ones
 * go to the system and back. Sizes are multiples of 16 up to 1 KiB, then powers of two and
 * their halves more (1.5, 2, 3, 4, 6 KiB), which rings of 48-byte entries fill to the last byte when they
 * double; and they find the blocks that others left. */
#include "cmd/judge_memory.h"

#include <stdbool.h>
#include <stdlib.h>

enum {
    STEP        = 16,
    SMALL       = 1024,
    LARGE       = 64 * 1024, /* from here on a block is the system's own */
    CHUNK_BYTES = 256 * 1024,
};

struct block {
    struct block *next;
};

static size_t class_of(size_t bytes, size_t *rounded) {
    if (bytes <= SMALL) {
        size_t steps = bytes == 0 ? 1 : (bytes + STEP - 1) / STEP;
        *rounded     = steps * STEP;
        return steps - 1;
    }
    size_t class = SMALL / STEP;
    size_t size  = SMALL + SMALL / 2;
    while (size < bytes) {
        bool is_power = (size & (size - 1)) == 0;
        size += is_power ? size / 2 : size / 3;
        class ++;
    }
    *rounded = size;
    return class;
}

void *judge_memory_take(struct judge_memory *memory, size_t bytes) {
    size_t rounded;
    if (bytes > memory->bytes_max) return NULL;
    size_t class = class_of(bytes, &rounded);

    if (rounded >= LARGE) {
        if (rounded > memory->bytes_max - memory->bytes_held) return NULL;
        void *block = malloc(rounded);
        if (block == NULL) return NULL;
        memory->bytes_held += rounded;
        memory->bytes_used += rounded;
        return block;
    }
    struct block *block = memory->free_blocks[class];
    if (block != NULL) {
        memory->free_blocks[class] = block->next;
        memory->bytes_used += rounded;
        return block;
    }
    if (memory->fresh_bytes < rounded) {
        if (CHUNK_BYTES > memory->bytes_max - memory->bytes_held) return NULL;
        struct block *chunk = malloc(CHUNK_BYTES);
        if (chunk == NULL) return NULL;
        memory->bytes_held += CHUNK_BYTES;
        chunk->next         = memory->chunks;
        memory->chunks      = chunk;
        memory->fresh       = (char *)chunk + STEP;
        memory->fresh_bytes = CHUNK_BYTES - STEP;
    }
    void *fresh = memory->fresh;
    memory->fresh += rounded;
    memory->fresh_bytes -= rounded;
    memory->bytes_used += rounded;
    return fresh;
}

void judge_memory_give(struct judge_memory *memory, void *block, size_t bytes) {
    if (block == NULL) return;
    size_t rounded;
    size_t class = class_of(bytes, &rounded);
    memory->bytes_used -= rounded;
    if (rounded >= LARGE) {
        memory->bytes_held -= rounded;
        free(block);
        return;
    }
    struct block *freed        = block;
    freed->next                = memory->free_blocks[class];
    memory->free_blocks[class] = freed;
}

void judge_memory_clear(struct judge_memory *memory) {
    struct block *next;
    for (struct block *chunk = memory->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    *memory = (struct judge_memory){.bytes_max = memory->bytes_max};
}
