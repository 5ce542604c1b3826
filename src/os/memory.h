/* SPDX-License-Identifier: MIT
 *
 * memory: large pieces of zeros, taken when they are touched. */
#ifndef WEIR_OS_MEMORY_H
#define WEIR_OS_MEMORY_H

#include <stddef.h>

/* Reserves `bytes` of address space that read as zeros, page aligned, in huge pages where the system
 * has them; a page takes memory when it is first written. NULL: there is no such space. */
void *memory_reserve(size_t bytes);
void  memory_release(void *memory, size_t bytes);

#endif
