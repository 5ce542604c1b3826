/* SPDX-License-Identifier: MIT
 *
 * wide: 128-bit integers, where a product or a time needs them. */
#ifndef WEIR_BASE_WIDE_H
#define WEIR_BASE_WIDE_H

__extension__ typedef unsigned __int128 uint128;

#endif
