/* SPDX-License-Identifier: MIT
 *
 * slot: in which of a Cluster's 16384 slots is a key?
 *
 * CRC16 (polynomial 0x1021, begins with 0, nothing reflected) of the key, or of what stands between its
 * first { and the next }, if that is not empty. Keys with the same braces are in the same slot. */
#ifndef WEIR_STORE_REDIS_SLOT_H
#define WEIR_STORE_REDIS_SLOT_H

#include <stdint.h>

#include "base/view.h"

enum { SLOT_COUNT = 16384 };

uint16_t slot_crc(struct view bytes);
uint16_t slot_of(struct view key);

#endif
