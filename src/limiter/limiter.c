/* SPDX-License-Identifier: MIT
 *
 * limiter: which way does a request go?
 *
 * In this order: is it sound, whose counter is it, what does the table say. A counter's name is a
 * keyed hash of the user and a word that holds window and algorithm, so that no user is stored. */
#include "limiter/limiter.h"

#include "base/contract.h"
#include "base/hash.h"
#include "base/wide.h"
#include "limit/gcra.h"
#include "limiter/memo.h"
#include "os/memory.h"
#include "os/processor.h"
#include "os/slot.h"
#include "table/sketch.h"
#include "table/table.h"

enum {
    GROUP             = TABLE_FETCH_MAX, /* requests of a batch that are looked up together */
    PARTS_PER_MILLION = 1000000,
};

enum tally { TALLY_DENIED, TALLY_ALLOWED, TALLY_REFUSED };

_Static_assert((int)SLOT_COUNT == (int)TABLE_THREADS && SLOT_SHARED == 0,
               "the table knows a thread by its slot");

struct limiter {
    _Atomic(struct table *) table;
    _Atomic uint64_t        memo_salt; /* what memos of the table before do not have */
    struct hash_secret      secret;
    uint64_t                clock_error_ppm;
    _Atomic uint64_t        clock_ahead_ns;
    _Atomic(limiter_ask_fn) ask; /* NULL: there is nothing to ask */
    void                   *ask_context;
    uint64_t                users_max;
    struct sketch          *sketch; /* instead of counters in the table; NULL: there is none */
    uint64_t                sketch_window_ns;
    uint64_t                sketch_bytes;
    size_t                  bytes;
    struct memos            memos;
};

static size_t in_pages(size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

/* In memory there is only this process, and it lives. */
static void wait_for_thread(void *context, uint32_t process, unsigned turn) {
    (void)context;
    (void)process;
    processor_yield(turn);
}

/* A clock that runs fast by so much sees this much pass while window_ns passes in truth. */
static uint64_t window_stretch(int64_t window_ns, uint64_t clock_error_ppm) {
    uint128 extra = (uint128)(uint64_t)window_ns * clock_error_ppm;
    return (uint64_t)window_ns + (uint64_t)((extra + PARTS_PER_MILLION - 1) / PARTS_PER_MILLION);
}

uint64_t limiter_users_within(uint64_t users_max, uint64_t bytes_max) {
    uint64_t fixed = in_pages(sizeof(struct limiter)) + in_pages(table_handle_bytes());
    if (bytes_max == 0) return users_max;
    return bytes_max <= fixed ? 0 : table_users_within(users_max, 1, bytes_max - fixed);
}

struct limiter *limiter_new(const struct limiter_options *options) {
    size_t   head       = in_pages(sizeof(struct limiter));
    size_t   handle     = in_pages(table_handle_bytes());
    bool     has_sketch = options->sketch_window_ns > 0;
    uint64_t users_max =
        has_sketch ? 1 : options->users_max; /* a table there is, for what threads count */
    size_t table  = options->table != NULL ? 0 : table_bytes(users_max, 1);
    size_t sketch = has_sketch ? sketch_bytes(options->bytes_max) : 0;
    if ((options->table == NULL && table == 0) || (has_sketch && sketch == 0)) return NULL;

    size_t bytes  = head + handle + in_pages(table) + sketch;
    char  *memory = memory_reserve(bytes);
    if (memory == NULL) return NULL;

    struct limiter *l = (struct limiter *)(void *)memory;
    atomic_init(&l->table, options->table);
    l->clock_error_ppm = options->clock_error_ppm;
    atomic_init(&l->clock_ahead_ns, options->clock_ahead_ns);
    l->ask_context = options->ask_context;
    l->users_max   = has_sketch ? 0 : users_max;
    l->bytes       = bytes;
    l->secret.k0   = hash_load(options->secret, 8);
    l->secret.k1   = hash_load(options->secret + 8, 8);
    if (options->table != NULL) return l;

    struct table *t = table_attach(
        memory + head, memory + head + handle,
        &(struct table_options){
            .users_max = users_max, .processes = 1, .process = 1, .wait = wait_for_thread});
    INVARIANT(t != NULL);
    atomic_init(&l->table, t);
    if (!has_sketch) return l;

    struct sketch_options sketch_options = {
        .window_ns = window_stretch((int64_t)options->sketch_window_ns, options->clock_error_ppm),
        .limit_max = options->sketch_limit_max,
        .yield     = processor_yield};
    l->sketch_window_ns = options->sketch_window_ns;
    l->sketch_bytes     = sketch;
    l->sketch =
        sketch_init(memory + head + handle + in_pages(table), options->bytes_max, &sketch_options);
    return l;
}

void limiter_free(struct limiter *l) {
    if (l != NULL) memory_release(l, l->bytes);
}

uint64_t limiter_clock_error_ppm(const struct limiter *l) { return l->clock_error_ppm; }

void limiter_halt(struct limiter *l, limiter_ask_fn ask) {
    atomic_store_explicit(&l->ask, ask, memory_order_release);
}

bool limiter_resume(struct limiter *l, limiter_ask_fn ask) {
    return atomic_compare_exchange_strong_explicit(&l->ask, &ask, NULL, memory_order_acq_rel,
                                                   memory_order_acquire) ||
           ask == NULL;
}

void limiter_set_clock_ahead(struct limiter *l, uint64_t ahead_ns) {
    atomic_store_explicit(&l->clock_ahead_ns, ahead_ns, memory_order_relaxed);
}

/* A counter's word leaves three bits free. */
void limiter_replace_table(struct limiter *l, struct table *table) {
    atomic_store_explicit(&l->table, table, memory_order_release);
    atomic_fetch_add_explicit(&l->memo_salt, UINT64_C(1) << 61, memory_order_release);
}

static inline struct table *limiter_table(struct limiter *l) {
    return atomic_load_explicit(&l->table, memory_order_acquire);
}

/* Whether there may be a decision now. */
static inline weir_status limiter_ready(struct limiter *l) {
    limiter_ask_fn ask = atomic_load_explicit(&l->ask, memory_order_acquire);
    return __builtin_expect(ask == NULL, 1) ? WEIR_OK : ask(l->ask_context);
}

/* Whether the table that a decision was made on can be believed now that it is made. Where a file failed
 * meanwhile, the limiter is halted, or on another table already. */
static inline bool limiter_stood(struct limiter *l, const struct table *t) {
    bool has_stood =
        atomic_load_explicit(&l->ask, memory_order_acquire) == NULL && limiter_table(l) == t;
    /* At once, and not with the next decision, which may be long in coming: what this process holds in the
     * file is in the way of others. */
    if (__builtin_expect(!has_stood, 0)) (void)limiter_ready(l);
    return has_stood;
}

/* The table's time. */
static inline uint64_t limiter_time(const struct limiter *l, uint64_t now_ns) {
    return now_ns + atomic_load_explicit(&l->clock_ahead_ns, memory_order_relaxed);
}

/* Says of each decision that it is not made. */
static weir_status refuse_all(weir_decision *decisions, size_t count, weir_status status) {
    for (size_t i = 0; i < count; i++) decisions[i] = (weir_decision){.status = status};
    return status;
}

/* Adds without a locked instruction for threads that have a line of counts to themselves. */
static inline void tally_add(struct limiter *l, enum tally which, uint64_t count) {
    unsigned          slot = slot_mine();
    _Atomic uint64_t *word = &table_tally(limiter_table(l), slot)[which];
    if (slot != SLOT_SHARED) {
        uint64_t before = atomic_load_explicit(word, memory_order_relaxed);
        atomic_store_explicit(word, before + count, memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(word, count, memory_order_relaxed);
    }
}

/* --- what is asked -------------------------------------------------------------------------- */

static inline weir_status rule_check(uint64_t limit, int64_t window_ns, uint64_t clock_error_ppm,
                                     struct rule *rule) {
    if (limit > WEIR_LIMIT_MAX) return WEIR_BAD_LIMIT;
    if (window_ns < WEIR_WINDOW_MIN || window_ns > WEIR_WINDOW_MAX) return WEIR_BAD_WINDOW;
    rule->limit = limit;
    rule->window_ns =
        clock_error_ppm == 0 ? (uint64_t)window_ns : window_stretch(window_ns, clock_error_ppm);
    rule->burst     = 0;
    rule->algorithm = ALGORITHM_STRICT;
    return WEIR_OK;
}

static weir_status rule_check_gcra(const weir_request *r, uint64_t clock_error_ppm,
                                   struct rule *rule) {
    if (r->limit > WEIR_LIMIT_MAX) return WEIR_BAD_LIMIT;
    if (r->window_ns < 1 || r->window_ns > WEIR_WINDOW_MAX) return WEIR_BAD_WINDOW;
    if (r->burst > WEIR_LIMIT_MAX) return WEIR_BAD_BURST;

    uint64_t burst     = r->burst != 0 ? r->burst : r->limit;
    uint64_t window_ns = window_stretch(r->window_ns, clock_error_ppm);
    if (!gcra_rule_fits(r->limit, window_ns, burst)) return WEIR_BAD_BURST;
    *rule = (struct rule){
        .limit = r->limit, .window_ns = window_ns, .burst = burst, .algorithm = ALGORITHM_GCRA};
    return WEIR_OK;
}

static inline bool request_is_plain(const weir_request *r) {
    uint64_t id[2];
    memcpy(id, r->request_id, sizeof id);
    return (r->flags | id[0] | id[1] | r->reserved_word | r->reserved) == 0 &&
           r->policy <= WEIR_POLICY_LOCAL && r->deadline_ns >= 0;
}

weir_status limiter_rule_of(const weir_request *r, uint64_t clock_error_ppm, struct rule *rule) {
    if (!request_is_plain(r)) return WEIR_BAD_REQUEST;
    if (r->algorithm == WEIR_GCRA) return rule_check_gcra(r, clock_error_ppm, rule);
    if (r->algorithm != WEIR_STRICT && r->algorithm != WEIR_FIXED) return WEIR_BAD_ALGORITHM;
    if (r->burst != 0) return WEIR_BAD_BURST;

    weir_status status = rule_check(r->limit, r->window_ns, clock_error_ppm, rule);
    rule->algorithm    = r->algorithm == WEIR_FIXED ? ALGORITHM_FIXED : ALGORITHM_STRICT;
    return status;
}

/* The state of a leaky bucket is a time, whatever the rate: its window is no part of its name. */
static inline uint64_t counter_word(uint32_t algorithm, int64_t window_ns) {
    uint64_t window = algorithm == WEIR_GCRA ? 0 : (uint64_t)window_ns;
    return window << 2 | algorithm;
}

/* The word by which memos of the table are known that the limiter has now. Read before the table is, and
 * once a decision: a memo of a table that is no more must not be taken for one of the next. */
static inline uint64_t limiter_memo_word(const struct limiter *l, uint64_t word) {
    return word | atomic_load_explicit(&l->memo_salt, memory_order_acquire);
}

/* Names the counter that a user and a word mean, from the thread's memo of it where there is one;
 * *hint is then where it was last. *kept is where to remember it, or NULL. */
static inline uint64_t counter_recall(struct limiter *l, const void *user, size_t user_bytes,
                                      uint64_t word, uint64_t memo_word, struct line **hint,
                                      struct memo **kept) {
    *kept = memo_place(&l->memos, memo_word, user, user_bytes);
    *hint = NULL;
    if (*kept != NULL && memo_is_of(*kept, memo_word, user, user_bytes)) {
        *hint = (*kept)->line;
        return (*kept)->hash;
    }
    return hash_of(l->secret, word, user, user_bytes);
}

static inline void counter_remember(struct memo *kept, uint64_t memo_word, uint64_t hash,
                                    struct line *line, const void *user, size_t user_bytes) {
    if (kept == NULL || line == NULL || (kept->hash == hash && kept->line == line)) return;
    memo_keep(kept, memo_word, hash, line, user, user_bytes);
}

static inline uint64_t counter_hash(const struct limiter *l, const void *user, size_t user_bytes,
                                    uint32_t algorithm, int64_t window_ns) {
    return hash_of(l->secret, counter_word(algorithm, window_ns), user, user_bytes);
}

/* Everything that limiter_rule_of() looks at. */
static inline bool request_same_rule(const weir_request *a, const weir_request *b) {
    return a->limit == b->limit && a->window_ns == b->window_ns && a->burst == b->burst &&
           a->algorithm == b->algorithm && request_is_plain(a);
}

/* Fills in all but the rule. */
static inline weir_status question_name(const struct limiter *l, const weir_request *r,
                                        struct table_question *q) {
    if (!limiter_user_is_sound(r->user, r->user_bytes)) return WEIR_BAD_USER;
    q->cost = r->cost;
    q->hash = counter_hash(l, r->user, r->user_bytes, r->algorithm, r->window_ns);
    return WEIR_OK;
}

static weir_status question_of(const struct limiter *l, const weir_request *r,
                               struct table_question *q) {
    weir_status status = limiter_rule_of(r, l->clock_error_ppm, &q->rule);
    return status == WEIR_OK ? question_name(l, r, q) : status;
}

/* --- what is answered ----------------------------------------------------------------------- */

_Static_assert((int)WEIR_HOW_STRICT == (int)ALGORITHM_STRICT + 1 &&
                   (int)WEIR_HOW_GCRA == (int)ALGORITHM_GCRA + 1 &&
                   (int)WEIR_HOW_FIXED == (int)ALGORITHM_FIXED + 1,
               "how follows the algorithm");

static inline void decision_refuse(weir_decision *d, weir_status status) {
    *d = (weir_decision){.status = status};
}

static inline void decision_of(weir_decision *d, const struct table_question *q,
                               const struct table_answer *a) {
    if (a->failed) {
        decision_refuse(d, WEIR_STORE_FAILED);
        return;
    }
    *d = (weir_decision){
        .status         = WEIR_OK,
        .how            = (uint8_t)(a->overflowed ? WEIR_HOW_OVERFLOW : (int)q->rule.algorithm + 1),
        .allowed        = a->answer.allowed,
        .remaining      = a->answer.remaining,
        .retry_after_ns = a->answer.retry_after_ns == LIMIT_NEVER
                              ? WEIR_NEVER
                              : (int64_t)a->answer.retry_after_ns,
        .reset_after_ns = (int64_t)a->answer.reset_after_ns,
    };
}

static inline enum tally tally_of(bool allowed) { return allowed ? TALLY_ALLOWED : TALLY_DENIED; }

/* --- on a sketch ------------------------------------------------------------------------------ */

/* What a sketch cannot do: other algorithms, other windows, larger limits than it was made for. */
static weir_status sketch_check(const struct limiter *l, const weir_request *r,
                                const struct rule *rule) {
    bool is_counted = rule->algorithm == ALGORITHM_STRICT &&
                      (uint64_t)r->window_ns == l->sketch_window_ns &&
                      rule->limit <= sketch_limit_max(l->sketch);
    return is_counted ? WEIR_OK : WEIR_UNSUPPORTED;
}

static weir_status limiter_decide_on_sketch(struct limiter *l, const weir_request *request,
                                            uint64_t now_ns, weir_decision *decision) {
    struct table_question q      = {.cost = request->cost};
    weir_status           status = limiter_rule_of(request, l->clock_error_ppm, &q.rule);
    if (status == WEIR_OK) status = sketch_check(l, request, &q.rule);
    if (status == WEIR_OK) status = question_name(l, request, &q);
    if (status != WEIR_OK) {
        tally_add(l, TALLY_REFUSED, 1);
        decision_refuse(decision, status);
        return status;
    }
    struct table_answer a = {.failed = false};
    if (q.cost == 0) {
        a.answer = sketch_look(l->sketch, q.hash, q.rule.limit, 1, now_ns);
    } else {
        sketch_decide(l->sketch, q.hash, q.rule.limit, q.cost, now_ns, &a.answer);
    }
    decision_of(decision, &q, &a);
    decision->how = WEIR_HOW_SKETCH;
    tally_add(l, tally_of(a.answer.allowed), 1);
    return WEIR_OK;
}

/* In groups, so that the memory of one comes to the cache while the one before is decided. */
static weir_status limiter_decide_many_on_sketch(struct limiter *l, const weir_request *requests,
                                                 size_t count, uint64_t now_ns,
                                                 weir_decision *decisions) {
    weir_status result = WEIR_OK;
    for (size_t i = 0; i < count; i++) {
        size_t ahead = i % GROUP == 0 ? i : count;
        for (size_t k = ahead; k < count && k < ahead + GROUP; k++) {
            struct table_question q;
            if (question_name(l, &requests[k], &q) == WEIR_OK) sketch_prefetch(l->sketch, q.hash);
        }
        weir_status status = limiter_decide_on_sketch(l, &requests[i], now_ns, &decisions[i]);
        if (result == WEIR_OK) result = status;
    }
    return result;
}

/* --- deciding ------------------------------------------------------------------------------- */

bool limiter_allow(struct limiter *l, const char *user, size_t user_bytes, uint64_t limit,
                   int64_t window_ns, uint64_t now_ns) {
    struct table_question q = {.cost = 1};
    if (limiter_ready(l) != WEIR_OK) return false;
    if (l->sketch != NULL) {
        weir_decision decision;
        weir_request  request = weir_request_for(user, user_bytes, limit, window_ns);
        (void)limiter_decide_on_sketch(l, &request, now_ns, &decision);
        return decision.allowed;
    }
    if (!limiter_user_is_sound(user, user_bytes) ||
        rule_check(limit, window_ns, l->clock_error_ppm, &q.rule) != WEIR_OK) {
        tally_add(l, TALLY_REFUSED, 1);
        return false;
    }
    uint64_t     word      = counter_word(WEIR_STRICT, window_ns);
    uint64_t     memo_word = limiter_memo_word(l, word);
    struct line *line;
    struct memo *kept;
    q.hash                = counter_recall(l, user, user_bytes, word, memo_word, &line, &kept);
    struct table *t       = limiter_table(l);
    bool          allowed = table_allow(t, slot_mine(), &q, limiter_time(l, now_ns), &line);
    counter_remember(kept, memo_word, q.hash, line, user, user_bytes);
    tally_add(l, tally_of(allowed), 1);
    return limiter_stood(l, t) && allowed;
}

weir_status limiter_decide(struct limiter *l, const weir_request *request, uint64_t now_ns,
                           weir_decision *decision) {
    struct table_question q      = {.cost = request->cost};
    weir_status           status = limiter_ready(l);
    if (status != WEIR_OK) {
        decision_refuse(decision, status);
        return status;
    }
    if (l->sketch != NULL) return limiter_decide_on_sketch(l, request, now_ns, decision);
    status = limiter_rule_of(request, l->clock_error_ppm, &q.rule);
    if (status == WEIR_OK && !limiter_user_is_sound(request->user, request->user_bytes))
        status = WEIR_BAD_USER;
    if (status != WEIR_OK) {
        tally_add(l, TALLY_REFUSED, 1);
        decision_refuse(decision, status);
        return status;
    }
    uint64_t            word      = counter_word(request->algorithm, request->window_ns);
    uint64_t            memo_word = limiter_memo_word(l, word);
    struct table_answer a;
    struct line        *line;
    struct memo        *kept;
    q.hash = counter_recall(l, request->user, request->user_bytes, word, memo_word, &line, &kept);
    struct table *t = limiter_table(l);
    table_decide(t, slot_mine(), &q, limiter_time(l, now_ns), &line, &a);
    counter_remember(kept, memo_word, q.hash, line, request->user, request->user_bytes);
    decision_of(decision, &q, &a);
    tally_add(l, tally_of(a.answer.allowed), 1);
    if (!limiter_stood(l, t)) decision_refuse(decision, WEIR_STORE_FAILED);
    return (weir_status)decision->status;
}

/* Requests that go together through the three steps of limiter_decide_many(). */
struct group {
    const weir_request   *requests;
    weir_decision        *decisions;
    size_t                sound; /* questions; what is wrong with the other requests is decided */
    struct table_question question[GROUP];
    struct line          *hint[GROUP];
    uint8_t               index[GROUP]; /* of the request that a question comes from */
};

/* Reads the requests, and asks for the first memory of each. */
static weir_status group_read(struct limiter *l, struct group *g, const weir_request *requests,
                              size_t count, weir_decision *decisions) {
    weir_status result = WEIR_OK;
    g->requests        = requests;
    g->decisions       = decisions;
    g->sound           = 0;
    for (size_t i = 0; i < count; i++) {
        struct table_question *q      = &g->question[g->sound];
        weir_status            status = WEIR_OK;

        /* Batches mostly share a rule: then it is read and checked once. */
        if (g->sound > 0 && request_same_rule(&requests[i], &requests[g->index[g->sound - 1]])) {
            q->rule = q[-1].rule;
        } else {
            status = limiter_rule_of(&requests[i], l->clock_error_ppm, &q->rule);
        }
        if (status == WEIR_OK) status = question_name(l, &requests[i], q);
        if (status == WEIR_OK) {
            table_prefetch(limiter_table(l), q->hash);
            g->index[g->sound++] = (uint8_t)i;
            continue;
        }
        decision_refuse(&decisions[i], status);
        tally_add(l, TALLY_REFUSED, 1);
        if (result == WEIR_OK) result = status;
    }
    return result;
}

static weir_status group_decide(struct limiter *l, struct group *g, uint64_t now_ns) {
    weir_status result  = WEIR_OK;
    uint64_t    allowed = 0;
    unsigned    thread  = slot_mine();
    for (size_t k = 0; k < g->sound; k++) {
        struct table_answer answer;
        table_decide(limiter_table(l), thread, &g->question[k], now_ns, &g->hint[k], &answer);
        decision_of(&g->decisions[g->index[k]], &g->question[k], &answer);
        allowed += answer.answer.allowed;
        if (answer.failed) result = WEIR_STORE_FAILED;
    }
    tally_add(l, TALLY_ALLOWED, allowed);
    tally_add(l, TALLY_DENIED, g->sound - allowed);
    return result;
}

/* Three groups are under way: while one is decided, the lines of the next come to the cache, and the
 * prints that say where they are of the one after. */
weir_status limiter_decide_many(struct limiter *l, const weir_request *requests, size_t count,
                                uint64_t now_ns, weir_decision *decisions) {
    enum { STEPS = 3 };
    struct group under_way[STEPS];
    size_t       groups = (count + GROUP - 1) / GROUP;
    weir_status  result = limiter_ready(l);
    if (result != WEIR_OK) return refuse_all(decisions, count, result);
    if (l->sketch != NULL)
        return limiter_decide_many_on_sketch(l, requests, count, now_ns, decisions);

    struct table *t = limiter_table(l);
    now_ns          = limiter_time(l, now_ns);
    for (size_t turn = 0; groups > 0 && turn < groups + STEPS - 1; turn++) {
        if (turn < groups) {
            size_t      done = turn * GROUP;
            size_t      size = count - done < GROUP ? count - done : GROUP;
            weir_status status =
                group_read(l, &under_way[turn % STEPS], requests + done, size, decisions + done);
            if (result == WEIR_OK) result = status;
        }
        if (turn >= 1 && turn <= groups) {
            struct group *g = &under_way[(turn - 1) % STEPS];
            table_fetch(limiter_table(l), g->question, g->sound, g->hint);
        }
        if (turn < 2) continue;
        weir_status status = group_decide(l, &under_way[(turn - 2) % STEPS], now_ns);
        if (result == WEIR_OK) result = status;
    }
    return limiter_stood(l, t) ? result : refuse_all(decisions, count, WEIR_STORE_FAILED);
}

weir_status limiter_decide_all(struct limiter *l, const weir_request *requests, size_t count,
                               uint64_t now_ns, weir_decision *decisions) {
    struct table_question question[TABLE_JOINT_MAX];
    struct table_answer   answer[TABLE_JOINT_MAX];
    if (count == 0) return WEIR_OK;
    weir_status result = limiter_ready(l);
    if (result != WEIR_OK) return refuse_all(decisions, count, result);
    if (l->sketch != NULL && count == 1)
        return limiter_decide_on_sketch(l, requests, now_ns, decisions);
    if (l->sketch != NULL) {
        tally_add(l, TALLY_REFUSED, count);
        return refuse_all(decisions, count, WEIR_UNSUPPORTED);
    }
    if (count > TABLE_JOINT_MAX) {
        tally_add(l, TALLY_REFUSED, count);
        return refuse_all(decisions, count, WEIR_BAD_REQUEST);
    }
    for (size_t i = 0; i < count; i++) {
        weir_status status = question_of(l, &requests[i], &question[i]);
        decision_refuse(&decisions[i], status);
        if (result == WEIR_OK) result = status;
    }
    if (result != WEIR_OK) {
        tally_add(l, TALLY_REFUSED, count);
        return result;
    }
    struct table *t = limiter_table(l);
    table_decide_joint(t, slot_mine(), question, count, limiter_time(l, now_ns), answer);
    for (size_t i = 0; i < count; i++) {
        decision_of(&decisions[i], &question[i], &answer[i]);
        tally_add(l, tally_of(answer[i].answer.allowed), 1);
    }
    return limiter_stood(l, t) ? (weir_status)decisions[0].status
                               : refuse_all(decisions, count, WEIR_STORE_FAILED);
}

weir_status limiter_reset(struct limiter *l, const weir_request *r, uint64_t now_ns) {
    weir_status status = limiter_ready(l);
    if (status != WEIR_OK) return status;
    if (!limiter_user_is_sound(r->user, r->user_bytes)) return WEIR_BAD_USER;
    if (r->algorithm > WEIR_FIXED) return WEIR_BAD_ALGORITHM;
    if (l->sketch != NULL) return WEIR_UNSUPPORTED;
    if (r->algorithm != WEIR_GCRA &&
        (r->window_ns < WEIR_WINDOW_MIN || r->window_ns > WEIR_WINDOW_MAX)) {
        return WEIR_BAD_WINDOW;
    }
    uint64_t      hash = counter_hash(l, r->user, r->user_bytes, r->algorithm, r->window_ns);
    struct table *t    = limiter_table(l);
    table_reset(t, slot_mine(), hash, limiter_time(l, now_ns));
    return limiter_stood(l, t) ? WEIR_OK : WEIR_STORE_FAILED;
}

void limiter_stats(struct limiter *l, weir_statistics *s) {
    struct table_counts counts = table_counts(limiter_table(l));
    s->allowed                 = table_tally_sum(limiter_table(l), TALLY_ALLOWED);
    s->denied                  = table_tally_sum(limiter_table(l), TALLY_DENIED);
    s->refused                 = table_tally_sum(limiter_table(l), TALLY_REFUSED);
    s->overflowed              = counts.overflowed;
    s->users                   = counts.users;
    s->users_max               = l->users_max;
    s->users_forgotten         = counts.users_forgotten;
    s->memory_bytes            = l->sketch != NULL ? l->sketch_bytes : counts.memory_bytes;
    s->users_mended            = counts.mended;
    s->users_damaged           = counts.damaged;
    s->processes               = counts.processes;
    s->is_stuck                = counts.is_stuck;
}
