/* SPDX-License-Identifier: MIT */
#include "os/processor.h"

#include <sched.h>

void processor_yield(void) { (void)sched_yield(); }
