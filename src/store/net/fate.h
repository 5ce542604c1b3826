/* SPDX-License-Identifier: MIT
 *
 * fate: was what a client was given executed by a server? Beside its status, which says why it ended. */
#ifndef WEIR_STORE_NET_FATE_H
#define WEIR_STORE_NET_FATE_H

enum fate {
    FATE_NOT_EXECUTED, /* and never will be */
    FATE_EXECUTED,
    FATE_UNKNOWN, /* it was sent; it may have been executed, or be executed yet */
};

enum { FATES = FATE_UNKNOWN + 1 };

static inline const char *fate_name(enum fate fate) {
    static const char *const names[FATES] = {"not executed", "executed", "unknown"};
    return names[fate];
}

#endif
