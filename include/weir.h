/* SPDX-License-Identifier: MIT
 *
 * weir: may this user act now?
 *
 *     #include <weir.h>
 *
 *     weir *w = weir_open("file:/var/lib/weir/limits.weir", NULL, NULL);
 *     if (weir_allow(w, "ann", 100, WEIR_MINUTE)) serve(); else refuse();
 *     weir_close(w);
 *
 * The strict promise. For every user and every half-open interval of time of length `window`, however
 * placed, at most `limit` is admitted, summed over all threads that share the handle, all processes
 * that share its file, and all hosts that share its Redis or Cassandra. A decision counts at one instant
 * between the call and the return of the function that made it. WEIR_STRICT, the default algorithm, keeps the
 * promise. WEIR_GCRA and WEIR_FIXED do not, and say so: weir_explain() tells the most that each admits
 * in the worst window. Nor do decisions that the fault policy makes (WEIR_HOW_OPEN, WEIR_HOW_LOCAL).
 * What a set-up of Redis or Cassandra keeps when servers fail is told by `weir doctor`, docs/redis.md and
 * docs/cassandra.md.
 *
 * The useful promise. A denial under WEIR_STRICT means that an exact log of every admission,
 * with a window longer by one time cell and a limit smaller by less than one quantum, would be
 * full too; weir_explain() tells both, and both are within 0.7 % (and a few
 * nanoseconds, which is more where the window is a few microseconds). With a store that hosts share,
 * permits that some process holds count as used until it gives them back, and each permit counts a little
 * longer than its window: see docs/leases.md and docs/claims.md for how much.
 *
 * What is assumed. Time is what CLOCK_BOOTTIME of this host says: it never steps, and it counts
 * while the machine sleeps. If its rate may be wrong by up to e parts per million and windows
 * must hold in true time, set weir_options.clock_error_ppm to e. After the decision the caller
 * may stall: weir promises when permits were granted, not when they were used.
 *
 * Conventions. Times are signed nanoseconds and lengths of time, never dates. Sizes are in bytes. A
 * function that can fail returns a weir_status; a denial is an answer and not a failure. Unless a
 * function says otherwise, any thread may call it at any time on the same handle (not from a signal
 * handler), it keeps nothing that the caller owns, it does not block, and it does not allocate. A
 * decision waits for the disk only with WEIR_DURABILITY_POWER, for a process that was stopped while
 * it held the same user's counter in a file, and for a store that hosts share no longer than its deadline
 * (a look, which counts nothing, may wait for 10 ms).
 * After fork() a child's copy of a handle on a file or on such a store is a process of its own on the same
 * counts, from its first call on; on memory: it answers WEIR_FORKED, and the child opens its own.
 *
 * Structures grow. Those that callers pass in one by one begin with their own size; those that
 * come in arrays have reserved space, which must be zero. A program built with this header runs
 * with every later library of the same major version. */
#ifndef WEIR_H
#define WEIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 1
#define WEIR_VERSION_PATCH 0

#if defined(__GNUC__)
#define WEIR_API        __attribute__((visibility("default")))
#define WEIR_MUST_CHECK __attribute__((warn_unused_result))
#else
#define WEIR_API
#define WEIR_MUST_CHECK
#endif

/* Lengths of time, in nanoseconds. */
#define WEIR_MICROSECOND INT64_C(1000)
#define WEIR_MILLISECOND INT64_C(1000000)
#define WEIR_SECOND      INT64_C(1000000000)
#define WEIR_MINUTE      (60 * WEIR_SECOND)
#define WEIR_HOUR        (60 * WEIR_MINUTE)
#define WEIR_DAY         (24 * WEIR_HOUR)
#define WEIR_YEAR        (365 * WEIR_DAY)

/* What a request may ask for. */
#define WEIR_LIMIT_MAX      (UINT64_C(1) << 40)
#define WEIR_WINDOW_MIN     WEIR_MICROSECOND /* WEIR_GCRA: 1 ns, since its window only states a rate */
#define WEIR_WINDOW_MAX     (10 * WEIR_YEAR)
#define WEIR_USER_BYTES_MAX ((size_t)65536)
#define WEIR_RULES_MAX      ((size_t)64) /* requests that one weir_decide_all() may join */

/* A retry_after_ns that means: this request can never pass, however long you wait. */
#define WEIR_NEVER INT64_MAX

/* Every outcome that is not an answer. X(name, value, text) */
#define WEIR_STATUS_TABLE(X)                                                                        \
    X(WEIR_OK, 0, "done")                                                                           \
    X(WEIR_NO_MEMORY, 1, "out of memory")                                                           \
    X(WEIR_BAD_URL, 2, "the store URL is not one that weir knows")                                  \
    X(WEIR_BAD_OPTIONS, 3, "an option is out of range")                                             \
    X(WEIR_BAD_USER, 4, "the user is missing or longer than 65536 bytes")                           \
    X(WEIR_BAD_LIMIT, 5, "the limit is above 1099511627776 (2^40)")                                 \
    X(WEIR_BAD_WINDOW, 6, "the window is outside 1us to 10 years")                                  \
    X(WEIR_BAD_BURST, 7, "the burst is out of range, or given without WEIR_GCRA")                   \
    X(WEIR_BAD_ALGORITHM, 8, "the algorithm is not one that weir knows")                            \
    X(WEIR_BAD_REQUEST, 9, "a reserved field is not zero, or the request makes no sense")           \
    X(WEIR_STORE_DOWN, 10, "the store did not answer in time")                                      \
    X(WEIR_DAMAGED, 11, "the store's content fails its checks")                                     \
    X(WEIR_UNSUPPORTED, 12,                                                                         \
      "this store cannot do that (a sketch: one window, to 255; Redis and Cassandra: strict only)") \
    X(WEIR_STORE_FAILED, 13, "the store's file, or its disk, fails")                                \
    X(WEIR_FORKED, 14, "this process is a child of the one that opened the limiter")

typedef enum weir_status {
#define WEIR_STATUS_VALUE(name, value, text) name = value,
    WEIR_STATUS_TABLE(WEIR_STATUS_VALUE)
#undef WEIR_STATUS_VALUE
} weir_status;

/* The text of a status: static, in English, without a final stop. Never NULL. */
WEIR_API const char *weir_status_text(weir_status status);

/* "0.1.0". Static. */
WEIR_API const char *weir_version(void);

/* How a limiter counts. */
typedef enum weir_algorithm {
    WEIR_STRICT = 0, /* a sliding window: never above the limit in any window */
    WEIR_GCRA   = 1, /* a leaky bucket: `burst` at once, then limit/window evenly; up to
                        burst + limit - 1 in some window */
    WEIR_FIXED  = 2, /* windows at multiples of `window` on the limiter's clock; up to twice the
                        limit in some window */
} weir_algorithm;

/* How a decision was reached. */
typedef enum weir_how {
    WEIR_HOW_NONE     = 0, /* no decision: see the status */
    WEIR_HOW_STRICT   = 1, /* WEIR_STRICT, from the user's own counter */
    WEIR_HOW_GCRA     = 2, /* WEIR_GCRA, from the user's own counter */
    WEIR_HOW_FIXED    = 3, /* WEIR_FIXED, from the user's own counter */
    WEIR_HOW_OVERFLOW = 4, /* the table is full of users who cannot be forgotten yet; this one was
                              decided on a counter shared with others: never above the limit, but
                              it may deny too much */
    WEIR_HOW_SKETCH   = 5, /* WEIR_STRICT, from a sketch: never above the limit, but it may deny too
                              much */

    /* On a store that many hosts share. */
    WEIR_HOW_LEASE =
        6, /* WEIR_STRICT, here: from permits that this process holds, or by the rule */
    WEIR_HOW_STORE  = 7,  /* WEIR_STRICT, by a trip to the store */
    WEIR_HOW_CACHED = 8,  /* denied: the store has said so a moment ago */
    WEIR_HOW_CLOSED = 9,  /* degraded, see weir_why: denied, by WEIR_POLICY_CLOSED */
    WEIR_HOW_OPEN   = 10, /* degraded: allowed, by WEIR_POLICY_OPEN; not counted */
    WEIR_HOW_LOCAL  = 11, /* degraded: by this process's share alone, under WEIR_POLICY_LOCAL */
} weir_how;

/* Who decides while a store that many hosts share does not answer. Permits that this process holds serve
 * first, under each: the store has counted them. */
typedef enum weir_policy {
    WEIR_POLICY_DEFAULT = 0, /* of a request: the limiter's; of a limiter: WEIR_POLICY_LOCAL */
    WEIR_POLICY_CLOSED  = 1, /* denied: the strict promise holds */
    WEIR_POLICY_OPEN    = 2, /* allowed: nothing holds */
    WEIR_POLICY_LOCAL =
        3, /* each process on its own up to limit / nodes, and at least 1: at most so
                              much more than the limit for each that is cut off or late, in any
                              window. One that starts anew, or forks, is one more */
} weir_policy;

/* Why a decision was degraded. X(name, value, text) */
#define WEIR_WHY_TABLE(X)                                                                          \
    X(WEIR_WHY_NONE, 0, "it was not degraded")                                                     \
    X(WEIR_WHY_LATE, 1, "the store did not answer before the deadline")                            \
    X(WEIR_WHY_CUT, 2, "the store has not answered for a while, so nobody waits for it")           \
    X(WEIR_WHY_FULL, 3, "users_max users have permits in hand; denied under each policy")          \
    X(WEIR_WHY_FORKED, 4, "the store could not be opened anew after fork()")                       \
    X(WEIR_WHY_ENDING, 5, "the limiter is being closed")

typedef enum weir_why {
#define WEIR_WHY_VALUE(name, value, text) name = value,
    WEIR_WHY_TABLE(WEIR_WHY_VALUE)
#undef WEIR_WHY_VALUE
} weir_why;

/* The text of a reason: static, without a final stop. Never NULL. */
WEIR_API const char *weir_why_text(weir_why why);

/* What a file keeps. See docs/embedded.md. */
typedef enum weir_durability {
    WEIR_DURABILITY_PROCESS =
        0, /* what was answered, however processes end; a decision costs what it costs
                                    in memory */
    WEIR_DURABILITY_POWER =
        1, /* also when the power fails: a journal stands beside the file, and whoever
                                    takes more than unrecorded_max waits for the disk */
} weir_durability;

typedef struct weir weir;

/* What went wrong in weir_open(), in words: names the value at fault and what to do. */
typedef struct weir_error {
    weir_status status;
    char        text[252];
} weir_error;

/* "Shared" is said of stores that many hosts share: Redis and Cassandra. */
typedef struct weir_options {
    size_t   size;            /* sizeof(weir_options); set by WEIR_OPTIONS_DEFAULT */
    uint64_t users_max;       /* counters held at once; a hard bound on memory, about 76 bytes
                                 each. 0: 10,000,000, or as an existing file has it. One user
                                 under two windows or two algorithms is two counters. Shared: users
                                 of whom this process has permits at once, 1.1 KiB each. 0: 65,536 */
    uint64_t clock_error_ppm; /* how wrong the rate of the host's clock may be; windows are
                                 lengthened by as much. 0 to 100,000. A file keeps what it was
                                 created with, and 0 then means that. */
    uint64_t bytes_max;       /* a bound on the bytes of the table, or of the file; users_max is
                                 lowered to it. 0: none */
    int64_t  wall_error_ns;   /* file: how wrong the wall clock may be. 0: it is not trusted, and
                                 time stands still for the counters while the machine is off */
    uint32_t durability; /* file: enum weir_durability, of a new one; an existing one keeps its own,
                                 and is refused if that is less than this */
    uint32_t reserved_word; /* 0 */
    uint64_t
        unrecorded_max; /* file, WEIR_DURABILITY_POWER: permits of a user that may be answered before
                                 they are on the disk, and that every user is charged after a power
                                 loss. 0: 16, or as an existing file has it */
    uint64_t limit_max;   /* sketch: the largest limit that will be asked; the smaller, the more
                                 users fit. 0: 255, which is the most */
    int64_t  deadline_ns; /* shared: how long a decision may wait for the store if its request names
                             no other time. 0: 20 ms, or four of the URL's round-trip */
    uint32_t policy;      /* shared: enum weir_policy, if the request names no other */
    uint32_t nodes;       /* shared: how many processes share limits; what one of them takes ahead,
                             and may allow under WEIR_POLICY_LOCAL, is a share of this size. 0: 8 */
    uint64_t reserved[4]; /* 0 */
} weir_options;

#define WEIR_OPTIONS_DEFAULT                                                                       \
    { .size = sizeof(weir_options) }

/* Opens a limiter on the store that `url` names:
 *
 *     file:PATH  a file of this machine, created if it is not there: any number of processes (255
 *                at once) share it, and what was answered survives them, however they end. See
 *                docs/embedded.md. file: alone means weir/limits.weir in $XDG_STATE_HOME; if that
 *                is not set, in /var/lib for root and in ~/.local/state for others
 *     memory:    in this process, gone when it is closed
 *     sketch:WINDOW
 *                the same in bytes_max (0: 1 GiB) however many users come, for windows of this one
 *                length ("sketch:1m"), limits up to 255 and WEIR_STRICT: never above the limit, but
 *                it may deny too much (WEIR_HOW_SKETCH). Without weir_reset(), and without
 *                weir_decide_all() of several. See docs/sketch.md
 *     redis://[user:password@]host[:port][/db][?name=value&...]
 *     redis+sentinel://host[:port],.../name[?...]
 *     redis+cluster://host[:port],...[?...]
 *                on servers that any number of hosts share; rediss with TLS. WEIR_STRICT only. Permits
 *                are leased, so that most decisions are made here; weir_open() does not wait for the
 *                servers. What may follow the "?" is in docs/redis.md
 *     cassandra://[user:password@]host[:port],...[/keyspace][?...]
 *                the same on Cassandra; cassandras with TLS. Each process counts what it claims, so it
 *                is for processes that live for longer than a window: what one used counts until
 *                others know that it has ended, for them alone. See docs/cassandra.md
 *
 * A NULL url means what the environment variable WEIR_STORE says, and file: if that is not set.
 *
 * NULL options mean WEIR_OPTIONS_DEFAULT. Returns NULL on failure and, where `error` is not NULL,
 * says why in it. Allocates; `url` and `options` are not kept. */
WEIR_API WEIR_MUST_CHECK weir *weir_open(const char *url, const weir_options *options,
                                         weir_error *error);

/* Ends a limiter. No other thread may still be inside a call with it. NULL is allowed. On a store that many
 * hosts share, what is in hand is given back first, for which
 * it may wait a second. */
WEIR_API void weir_close(weir *w);

/* May `user` act now? Counts the act if so. True: at most `limit` acts, this one included, were
 * admitted in the last `window_ns`. A limit of 0 always denies. False, too, for a user, limit or
 * window out of range: weir_decide() tells the two apart. `user` ends with a NUL. */
WEIR_API bool weir_allow(weir *w, const char *user, uint64_t limit, int64_t window_ns);

/* One question. 96 bytes; the first 64 are all that a plain decision reads. */
typedef struct weir_request {
    const void *user;        /* any bytes, NUL included; borrowed for the call; may be NULL if
                                user_bytes is 0 */
    size_t      user_bytes;  /* 0 to WEIR_USER_BYTES_MAX; the empty user is a user */
    uint64_t    limit;       /* 0 to WEIR_LIMIT_MAX */
    int64_t     window_ns;   /* WEIR_WINDOW_MIN to WEIR_WINDOW_MAX */
    uint64_t    cost;        /* permits to take, all or none. 0: only look; the decision is then
                                what a cost of 1 would get, and nothing is counted; but without
                                the store no share is looked at: WEIR_POLICY_LOCAL denies it */
    uint64_t    burst;       /* WEIR_GCRA: permits that may pass at once, up to WEIR_LIMIT_MAX and
                                146 years' worth of the rate; 0: as many as `limit`. Others: 0 */
    int64_t     deadline_ns; /* how long a decision may wait for a store; 0: the store's default.
                                A store in memory never waits */
    uint32_t    algorithm;   /* enum weir_algorithm */
    uint32_t    flags;       /* 0 */
    uint8_t     request_id[16]; /* 0; for stores that charge a retry with the same id once */
    uint32_t    policy;         /* enum weir_policy */
    uint32_t    reserved_word;  /* 0 */
    uint64_t    reserved;       /* 0 */
} weir_request;

/* One answer. 64 bytes. */
typedef struct weir_decision {
    uint32_t status; /* enum weir_status; what follows holds when it is WEIR_OK */
    uint8_t  how;    /* enum weir_how */
    bool     allowed;
    uint8_t  why; /* enum weir_why */
    uint8_t  reserved_byte;
    uint64_t remaining;      /* permits that could be taken at this instant, after this decision. On
                                a store that many hosts share: those in this process's hand and those
                                that were free when the store spoke last, at most a window ago; other
                                processes may have taken some of them since, or given some back */
    int64_t  retry_after_ns; /* denied: this request passes after so long if nobody else takes
                                permits meanwhile, and not earlier; WEIR_NEVER if its cost is above
                                the limit (or burst). Allowed: 0 */
    int64_t  reset_after_ns; /* after so long, all permits are back if nobody takes any */
    uint64_t reserved[4];
} weir_decision;

/* A plain request: one permit, strict. */
static inline weir_request weir_request_for(const void *user, size_t user_bytes, uint64_t limit,
                                            int64_t window_ns) {
    weir_request request = {0};
    request.user         = user;
    request.user_bytes   = user_bytes;
    request.limit        = limit;
    request.window_ns    = window_ns;
    request.cost         = 1;
    return request;
}

/* Decides one request. Returns decision->status: WEIR_OK whether allowed or denied, else which
 * field of the request is at fault (nothing is counted then, and `allowed` is false).
 *
 * A counter belongs to a user, an algorithm and (but for WEIR_GCRA, whose state is a time) a
 * window. The limit may differ from call to call: each admission respects the limit that it came
 * with, whatever was admitted before under another. Each change of the limit may make what was
 * admitted before look younger by one time cell and one quantum: denials only. */
WEIR_API weir_status weir_decide(weir *w, const weir_request *request, weir_decision *decision);

/* A decision that nobody waits for in the call: for event loops. The caller keeps it where it is until it is
 * done. */
typedef struct weir_ticket {
    weir_decision decision;
    void (*done)(struct weir_ticket *ticket); /* set by the caller */
    void    *context;                         /* the caller's */
    uint64_t reserved[16];                    /* the library's; need not be set */
} weir_ticket;

/* As weir_decide(), but never waits for a store that many hosts share. True: ticket->decision is there, as
 * with all other stores always, and done() will not be called. False: done() will be called once, on a
 * thread of the library's and never inside this call, no later than the request's deadline and some
 * milliseconds; it should be quick, may ask again, and must not close the limiter. `request` and its user
 * are not kept. */
WEIR_API bool weir_decide_async(weir *w, const weir_request *request, weir_ticket *ticket);

/* Decides `count` independent requests, in order, with one reading of the clock and with memory
 * prefetched: several times faster than one by one when users are many. Each decision has its
 * own status; returns WEIR_OK if all are WEIR_OK, else the first that is not. A store that hosts share is
 * asked for 64 at a time, who wait together, each for its own deadline. */
WEIR_API weir_status weir_decide_many(weir *w, const weir_request *requests, size_t count,
                                      weir_decision *decisions);

/* Decides up to WEIR_RULES_MAX requests together, atomically: all are admitted, or none counts
 * anything (10 a second and 1000 a day; a user and their tenant). Each decision tells what its own
 * rule said, so that when one rule denies the others say "allowed" although nothing was taken:
 * the whole passed if, and only if, all are allowed. The call waits for a store no longer than the longest
 * deadline of its requests, however often others take what was gathered. Two requests for the same counter
 * see each other: their costs add up. Returns the first status that is not WEIR_OK; then nothing counts. */
WEIR_API weir_status weir_decide_all(weir *w, const weir_request *requests, size_t count,
                                     weir_decision *decisions);

/* Forgets what the request's user has used under the request's window and algorithm; of its other
 * fields only the deadline is looked at. WEIR_STORE_DOWN: the store did not confirm it in time; it may have
 * done it. Permits that other processes hold there stay with them. Permits go back at once: a reset is the
 * caller's own exception to the promise. A counter that was shared (WEIR_HOW_OVERFLOW) is not reset. On
 * Cassandra another process that hears of the reset forgets only what it had used before it last read. */
WEIR_API weir_status weir_reset(weir *w, const weir_request *request);

/* What a limiter has done and holds. Counts are since weir_open(); those of a file are of all processes
 * that have or had it open, since it was created. */
typedef struct weir_statistics {
    size_t   size;            /* sizeof(weir_statistics); set by the caller */
    uint64_t allowed;         /* decisions */
    uint64_t denied;          /* decisions */
    uint64_t refused;         /* requests with a status other than WEIR_OK */
    uint64_t overflowed;      /* of both: those made on a shared counter, or denied for lack of
                                  room (weir_decide_all) */
    uint64_t users;           /* counters held now; some may be ready to be forgotten */
    uint64_t users_max;       /* the bound */
    uint64_t users_forgotten; /* counters whose place was reused after they equalled new ones */
    uint64_t memory_bytes;    /* memory that the table can touch at its present size */
    uint64_t
        users_mended; /* file: counters that a killed process was changing, put back as they were */
    uint64_t
        users_damaged; /* file: counters that a disk or a stranger spoiled, full for a window since */
    uint32_t processes; /* that have the file open, or were killed and not missed yet; else 1 */
    bool     is_stuck;  /* file: there was no room on the disk when the table wanted to grow */
    uint8_t  reserved_bytes[3];
    uint64_t journal_bytes; /* file, WEIR_DURABILITY_POWER: of the files beside it */
    uint64_t degraded;      /* shared: decisions that the policy made, of both above */
    uint64_t trips;         /* shared: questions to the store, for decisions and reports */
    uint64_t misses;     /* shared: of these, and of looks at its clocks, those without an answer */
    uint64_t permits;    /* shared: that this process holds */
    uint64_t shards_cut; /* shared: parts of the store that do not answer now: of 48 in a Cluster,
                               else of one */
    uint64_t held; /* shared: rules of users that are held back now, since the store is asked for
                         more than it can answer in time, or for more at once than may be */
    uint64_t reserved[2];
} weir_statistics;

/* Fills in `statistics` as far as its size goes. A snapshot: not one instant under load. */
WEIR_API weir_status weir_stats(weir *w, weir_statistics *statistics);

/* What a rule means in numbers. */
typedef struct weir_explanation {
    size_t   size;         /* sizeof(weir_explanation); set by the caller */
    uint64_t worst_window; /* the most that is admitted in any window of window_ns */
    uint64_t burst;        /* the most that can pass at one instant */
    int64_t  cell_ns;      /* WEIR_STRICT: one step of time; a permit is held at most this
                                  much longer than the window. Else 0 */
    uint64_t quantum;      /* WEIR_STRICT: permits counted as one; up to quantum - 1 may be
                                  missing from the limit. Else 1 */
    int64_t  interval_ns;  /* WEIR_GCRA: time between two permits at the even rate, rounded
                                  up. Else 0 */
    uint64_t user_bytes;   /* memory a user takes, all in */
    bool     is_strict;    /* worst_window <= limit */
    uint8_t  reserved_bytes[7];
    uint64_t reserved[6];
} weir_explanation;

/* Explains the rule in `request` (its user and cost are not looked at). Needs no limiter. */
WEIR_API weir_status weir_explain(const weir_request *request, weir_explanation *explanation);

#ifdef __cplusplus
}
#endif

#endif
