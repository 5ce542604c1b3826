/* SPDX-License-Identifier: MIT
 *
 * replay_suggest: which limit would have denied how much? See replay_suggest.c. */
#ifndef WEIR_CMD_REPLAY_SUGGEST_H
#define WEIR_CMD_REPLAY_SUGGEST_H

#include "cmd/replay_requests.h"

enum replay_share_of { REPLAY_SHARE_OF_REQUESTS, REPLAY_SHARE_OF_USERS, REPLAY_SHARES_OF };

enum { REPLAY_SUGGESTIONS = 3 }; /* for each share of: 0.1 %, 1 %, 5 % */

extern const uint32_t replay_suggest_permille[REPLAY_SUGGESTIONS];

struct replay_suggestion {
    uint64_t limit;           /* the smallest with which at most the share is denied */
    uint64_t requests_denied; /* with that limit, by an exact log */
    uint64_t users_denied;    /* users who had at least one request denied */
    uint64_t window_denied;   /* requests that weir's own window denies with it */
};

struct replay_suggestions {
    uint64_t                 window_ns;
    uint64_t                 peak; /* the most that any user asked for in any window */
    struct replay_suggestion suggestion[REPLAY_SHARES_OF][REPLAY_SUGGESTIONS];
};

/* False: not enough memory. */
bool replay_suggest(struct replay_requests *r, uint64_t window_ns,
                    struct replay_suggestions *suggestions);

#endif
