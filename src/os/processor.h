/* SPDX-License-Identifier: MIT
 *
 * processor: who runs? */
#ifndef WEIR_OS_PROCESSOR_H
#define WEIR_OS_PROCESSOR_H

/* Lets another thread run, if one is waiting. */
void processor_yield(void);

#endif
