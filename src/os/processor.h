/* SPDX-License-Identifier: MIT
 *
 * processor: who runs? */
#ifndef WEIR_OS_PROCESSOR_H
#define WEIR_OS_PROCESSOR_H

/* Lets others run while the caller waits for one of them: the longer it has waited (`turn` counts from
 * 0), the longer it lets go, up to 50 us. */
void processor_yield(unsigned turn);

#endif
