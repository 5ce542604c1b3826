/* SPDX-License-Identifier: MIT
 *
 * signal: has somebody asked this process to stop?
 *
 * A stop is read from a descriptor, in the loop that waits for everything else, so that no handler
 * ever runs in the middle of anything. */
#ifndef WEIR_OS_SIGNAL_H
#define WEIR_OS_SIGNAL_H

#include <stdbool.h>

/* From now on SIGTERM and SIGINT wait to be read, in this thread and in those that it starts, and
 * writing to a closed socket is an error and no signal. Returns a descriptor to wait on, or -1. */
int signal_open(void);

/* Takes one stop off the descriptor; false if there is none. */
bool signal_take(int descriptor);

/* Back to what was before signal_open(); a stop that was not taken then ends the process. */
void signal_close(int descriptor);

#endif
