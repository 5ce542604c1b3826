/* SPDX-License-Identifier: MIT
 *
 * contract: promises that stop the process when they are broken.
 *
 * REQUIRE stands at the door of a function (the caller broke the promise), INVARIANT inside (we
 * did). Both stay on in release: a limiter that has lost its mind must not go on admitting. They
 * trap and do not print, so that pure rooms need no I/O; the debugger or the core file shows the
 * line. */
#ifndef WEIR_BASE_CONTRACT_H
#define WEIR_BASE_CONTRACT_H

#define CONTRACT_CHECK(condition)                                                                  \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) __builtin_trap();                                   \
    } while (0)

#define REQUIRE(condition)   CONTRACT_CHECK(condition)
#define INVARIANT(condition) CONTRACT_CHECK(condition)

#endif
