/* SPDX-License-Identifier: MIT
 *
 * judge_memory: blocks out of a bounded amount of memory. See judge_memory.c. */
#ifndef WEIR_CMD_JUDGE_MEMORY_H
#define WEIR_CMD_JUDGE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum { JUDGE_MEMORY_CLASSES = 64 + 96 };

struct judge_memory {
    uint64_t bytes_max;  /* the bound */
    uint64_t bytes_held; /* taken from the system, whether in use or not */
    uint64_t bytes_used; /* in blocks that were given out */
    char    *fresh;      /* the rest of the newest chunk */
    size_t   fresh_bytes;
    void    *chunks;
    void    *free_blocks[JUDGE_MEMORY_CLASSES];
};

/* NULL: the bound does not allow it, or the system has none. */
void *judge_memory_take(struct judge_memory *memory, size_t bytes);

/* Gives a block back; `bytes` as it was taken. NULL is allowed. */
void judge_memory_give(struct judge_memory *memory, void *block, size_t bytes);

/* Frees everything but blocks of 64 KiB and more, which must have been given back. */
void judge_memory_clear(struct judge_memory *memory);

#endif
