/* SPDX-License-Identifier: MIT */
#include "limiter/remote.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "base/range.h"
#include "limiter/limiter.h"
#include "os/clock.h"
#include "os/latch.h"

enum { MANY_AT_ONCE = 64 }; /* of weir_decide_many(): their tickets are on the stack */

struct remote {
    struct fleet      *fleet;
    struct hash_secret secret;
    _Atomic uint64_t   refused;
};

_Static_assert(sizeof(struct fleet_ticket) <= sizeof((weir_ticket *)0)->reserved,
               "a caller's ticket has room for a fleet's");
_Static_assert((int)WEIR_POLICY_DEFAULT == (int)FLEET_DEFAULT &&
                   (int)WEIR_POLICY_CLOSED == (int)FLEET_CLOSED &&
                   (int)WEIR_POLICY_OPEN == (int)FLEET_OPEN &&
                   (int)WEIR_POLICY_LOCAL == (int)FLEET_LOCAL,
               "policies are the same");
_Static_assert((int)WEIR_WHY_NONE == (int)FLEET_FINE && (int)WEIR_WHY_LATE == (int)FLEET_LATE &&
                   (int)WEIR_WHY_CUT == (int)FLEET_CUT && (int)WEIR_WHY_FULL == (int)FLEET_FULL &&
                   (int)WEIR_WHY_FORKED == (int)FLEET_FORKED &&
                   (int)WEIR_WHY_ENDING == (int)FLEET_ENDING,
               "reasons are the same");

struct remote *remote_open(struct store *store, const struct fleet_options *options,
                           struct hash_secret secret) {
    struct remote *r = calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    r->secret = secret;
    r->fleet  = fleet_open(store, options);
    if (r->fleet != NULL) return r;
    free(r);
    return NULL;
}

void remote_close(struct remote *r, uint64_t wait_ns) {
    (void)fleet_close(r->fleet, wait_ns);
    free(r);
}

/* --- questions and answers ------------------------------------------------------------------ */

static weir_status question_of(struct remote *r, const weir_request *request,
                               struct fleet_question *q) {
    struct rule rule;
    weir_status status = limiter_rule_of(request, 0, &rule);
    if (status == WEIR_OK && !limiter_user_is_sound(request->user, request->user_bytes))
        status = WEIR_BAD_USER;
    if (status == WEIR_OK && rule.algorithm != ALGORITHM_STRICT) status = WEIR_UNSUPPORTED;
    if (status != WEIR_OK) {
        atomic_fetch_add_explicit(&r->refused, 1, memory_order_relaxed);
        return status;
    }
    *q = (struct fleet_question){
        .name      = fleet_name_of(r->secret, request->user, request->user_bytes,
                                   (uint64_t)request->window_ns, ALGORITHM_STRICT),
        .limit     = request->limit,
        .window_ns = (uint64_t)request->window_ns,
        .cost      = request->cost,
        .wait_ns = request->deadline_ns == 0 ? FLEET_WAIT_DEFAULT : (uint64_t)request->deadline_ns,
        .policy  = (enum fleet_policy)request->policy};
    return WEIR_OK;
}

static uint8_t how_of(const struct fleet_answer *a) {
    switch (a->how) {
    case FLEET_BY_RULE:
    case FLEET_IN_HAND: return WEIR_HOW_LEASE;
    case FLEET_BY_TRIP: return WEIR_HOW_STORE;
    case FLEET_CACHED: return WEIR_HOW_CACHED;
    case FLEET_DEGRADED:
    case FLEET_HOW_COUNT: break;
    }
    switch (a->policy) {
    case FLEET_OPEN: return WEIR_HOW_OPEN;
    case FLEET_LOCAL: return WEIR_HOW_LOCAL;
    case FLEET_CLOSED:
    case FLEET_DEFAULT: break;
    }
    return WEIR_HOW_CLOSED;
}

static inline void decision_of(weir_decision *d, const struct fleet_answer *a) {
    uint64_t retry_ns = smaller(a->retry_after_ns, INT64_MAX - 1);
    *d                = (weir_decision){.status    = WEIR_OK,
                                        .how       = how_of(a),
                                        .allowed   = a->allowed,
                                        .why       = (uint8_t)a->why,
                                        .remaining = a->remaining,
                                        .retry_after_ns =
                             a->retry_after_ns == LIMIT_NEVER ? WEIR_NEVER : (int64_t)retry_ns,
                                        .reset_after_ns = (int64_t)a->back_after_ns};
}

/* --- deciding ------------------------------------------------------------------------------- */

bool remote_allow(struct remote *r, const char *user, size_t user_bytes, uint64_t limit,
                  int64_t window_ns) {
    weir_request  request = weir_request_for(user, user_bytes, limit, window_ns);
    weir_decision decision;
    return remote_decide(r, &request, &decision) == WEIR_OK && decision.allowed;
}

weir_status remote_decide(struct remote *r, const weir_request *request, weir_decision *decision) {
    struct fleet_question q;
    struct fleet_answer   answer;
    weir_status           status = question_of(r, request, &q);
    if (status != WEIR_OK) {
        *decision = (weir_decision){.status = status};
        return status;
    }
    if (q.cost > 0)
        fleet_decide(r->fleet, &q, clock_now_ns(), &answer);
    else
        fleet_look(r->fleet, &q, clock_now_ns(), &answer);
    decision_of(decision, &answer);
    return WEIR_OK;
}

/* True: the answer is in ticket->answer, and done() will not be called. */
static bool ask_async(struct remote *r, const struct fleet_question *q,
                      struct fleet_ticket *ticket) {
    uint64_t now_ns = clock_now_ns();
    return q->cost > 0 ? fleet_decide_async(r->fleet, q, now_ns, ticket)
                       : fleet_look_async(r->fleet, q, now_ns, ticket);
}

static void ticket_done(struct fleet_ticket *t) {
    weir_ticket *ticket = t->context;
    decision_of(&ticket->decision, &t->answer);
    ticket->done(ticket);
}

bool remote_decide_async(struct remote *r, const weir_request *request, weir_ticket *ticket) {
    struct fleet_question q;
    struct fleet_ticket  *t      = (struct fleet_ticket *)(void *)ticket->reserved;
    weir_status           status = question_of(r, request, &q);
    if (status != WEIR_OK) {
        ticket->decision = (weir_decision){.status = status};
        return true;
    }
    *t = (struct fleet_ticket){.done = ticket_done, .context = ticket};
    if (!ask_async(r, &q, t)) return false;
    decision_of(&ticket->decision, &t->answer);
    return true;
}

struct many {
    _Atomic uint32_t left; /* not answered, and one for who asks */
    struct latch     latch;
};

static void many_count(struct many *many) {
    if (atomic_fetch_sub_explicit(&many->left, 1, memory_order_acq_rel) == 1)
        latch_open(&many->latch);
}

static void many_done(struct fleet_ticket *t) { many_count(t->context); }

static void many_begin(struct many *many, size_t count) {
    atomic_init(&many->left, (uint32_t)count + 1);
    latch_init(&many->latch);
}

static struct fleet_ticket many_ticket(struct many *many) {
    return (struct fleet_ticket){.done = many_done, .context = many};
}

static void many_wait(struct many *many) {
    many_count(many);
    latch_wait(&many->latch);
}

/* So that all who must wait share the time. */
static weir_status decide_some(struct remote *r, const weir_request *requests, size_t count,
                               weir_decision *decisions) {
    struct fleet_ticket tickets[MANY_AT_ONCE];
    struct many         many;
    weir_status         first = WEIR_OK;
    many_begin(&many, count);
    for (size_t i = 0; i < count; i++) {
        struct fleet_question q;
        weir_status           status = question_of(r, &requests[i], &q);
        decisions[i]                 = (weir_decision){.status = status};
        tickets[i]                   = many_ticket(&many);
        if (status != WEIR_OK && first == WEIR_OK) first = status;
        if (status != WEIR_OK || ask_async(r, &q, &tickets[i])) many_count(&many);
    }
    many_wait(&many);
    for (size_t i = 0; i < count; i++)
        if (decisions[i].status == WEIR_OK) decision_of(&decisions[i], &tickets[i].answer);
    return first;
}

weir_status remote_decide_many(struct remote *r, const weir_request *requests, size_t count,
                               weir_decision *decisions) {
    weir_status first = WEIR_OK;
    while (count > 0) {
        size_t      some   = smaller(count, MANY_AT_ONCE);
        weir_status status = decide_some(r, requests, some, decisions);
        if (first == WEIR_OK) first = status;
        requests += some;
        decisions += some;
        count -= some;
    }
    return first;
}

enum { TOGETHER_ROUNDS_MAX = 16 }; /* of others taking what was gathered */

struct together {
    struct fleet_question        question[WEIR_RULES_MAX];
    const struct fleet_question *asked[WEIR_RULES_MAX];
    struct fleet_answer          answer[WEIR_RULES_MAX], *answers[WEIR_RULES_MAX];
    struct fleet_ticket          ticket[WEIR_RULES_MAX];
};

_Static_assert((size_t)FLEET_JOINED_MAX >= WEIR_RULES_MAX, "all rules can be taken together");

static bool question_is_same(const struct fleet_question *a, const struct fleet_question *b) {
    return memcmp(&a->name, &b->name, sizeof a->name) == 0 && a->limit == b->limit;
}

/* Gathers for all at the same time, and waits as long as is left; true: nobody was denied. */
static bool gather(struct remote *r, struct together *t, size_t count, uint64_t begin_ns,
                   uint64_t now_ns) {
    struct many many;
    bool        allowed = true;
    many_begin(&many, count);
    for (size_t i = 0; i < count; i++) {
        struct fleet_question sum = t->question[i]; /* with those before it that ask for the same */
        for (size_t k = 0; k < i; k++)
            if (question_is_same(&sum, &t->question[k]))
                sum.cost = smaller(sum.cost + t->question[k].cost, LIMIT_MAX);
        sum.wait_ns  = above(fleet_wait_ns(r->fleet, &sum), above(now_ns, begin_ns));
        t->ticket[i] = many_ticket(&many);
        if (fleet_gather_async(r->fleet, &sum, now_ns, &t->ticket[i])) many_count(&many);
    }
    many_wait(&many);
    for (size_t i = 0; i < count; i++) {
        t->answer[i] = t->ticket[i].answer;
        allowed      = allowed && t->answer[i].allowed;
    }
    return allowed;
}

/* All are allowed and taken, or none is taken. What FLEET_OPEN has allowed is not counted anywhere. */
static void decide_together(struct remote *r, struct together *t, size_t count) {
    uint64_t begin_ns = clock_now_ns();
    for (unsigned round = 0; round < TOGETHER_ROUNDS_MAX; round++) {
        size_t asked = 0;
        if (!gather(r, t, count, begin_ns, round == 0 ? begin_ns : clock_now_ns())) return;
        for (size_t i = 0; i < count; i++) {
            if (t->answer[i].how == FLEET_DEGRADED) continue;
            t->asked[asked]     = &t->question[i];
            t->answers[asked++] = &t->answer[i];
        }
        if (asked == 0 || fleet_take_all(r->fleet, t->asked, asked, clock_now_ns(), t->answers))
            return;
    }
    for (size_t i = 0; i < count; i++)
        t->answer[i] =
            (struct fleet_answer){.how = FLEET_DEGRADED, .why = FLEET_LATE, .policy = FLEET_CLOSED};
}

weir_status remote_decide_all(struct remote *r, const weir_request *requests, size_t count,
                              weir_decision *decisions) {
    struct together t;
    weir_status     first = WEIR_OK;
    if (count == 1) return remote_decide(r, requests, decisions);
    if (count > WEIR_RULES_MAX) return WEIR_BAD_REQUEST;
    for (size_t i = 0; i < count; i++) {
        weir_status status = question_of(r, &requests[i], &t.question[i]);
        if (status == WEIR_OK && requests[i].cost == 0) status = WEIR_UNSUPPORTED;
        decisions[i] = (weir_decision){.status = status};
        if (first == WEIR_OK) first = status;
    }
    if (first != WEIR_OK || count == 0) return first;
    decide_together(r, &t, count);
    for (size_t i = 0; i < count; i++) {
        fleet_note(r->fleet, &t.answer[i]);
        decision_of(&decisions[i], &t.answer[i]);
    }
    return WEIR_OK;
}

weir_status remote_reset(struct remote *r, const weir_request *request) {
    struct fleet_question q;
    weir_request          plain  = {.user        = request->user,
                                    .user_bytes  = request->user_bytes,
                                    .window_ns   = request->window_ns,
                                    .deadline_ns = request->deadline_ns,
                                    .algorithm   = request->algorithm};
    weir_status           status = question_of(r, &plain, &q);
    if (status != WEIR_OK) return status;
    return fleet_reset(r->fleet, &q, clock_now_ns()) ? WEIR_OK : WEIR_STORE_DOWN;
}

uint32_t remote_shard_of(struct remote *r, const weir_request *request) {
    struct fleet_question q;
    return question_of(r, request, &q) == WEIR_OK ? fleet_shard_of(r->fleet, &q.name) : 0;
}

void remote_stats(struct remote *r, weir_statistics *statistics) {
    struct fleet_statistics s;
    fleet_statistics(r->fleet, clock_now_ns(), &s);
    uint64_t decisions = 0;
    for (unsigned how = 0; how < FLEET_HOW_COUNT; how++) decisions += s.decisions[how];
    statistics->allowed         = s.allowed;
    statistics->denied          = decisions - smaller(s.allowed, decisions);
    statistics->refused         = atomic_load_explicit(&r->refused, memory_order_relaxed);
    statistics->overflowed      = s.degraded[FLEET_FULL];
    statistics->users           = s.entries;
    statistics->users_max       = s.entries_max;
    statistics->users_forgotten = s.evicted;
    statistics->memory_bytes    = s.bytes;
    statistics->processes       = 1;
    statistics->degraded        = s.decisions[FLEET_DEGRADED];
    statistics->trips           = s.trips;
    statistics->misses          = s.misses;
    statistics->permits         = s.permits_in_hand;
    statistics->shards_cut      = s.shards_cut;
    statistics->held            = s.held;
}
