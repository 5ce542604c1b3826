/* SPDX-License-Identifier: MIT */
#include "os/memory.h"

#include <sys/mman.h>

void *memory_reserve(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return NULL;

    /* Advice only: users at random over gigabytes miss the address cache at every step otherwise. */
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

void memory_release(void *memory, size_t bytes) { (void)munmap(memory, bytes); }
