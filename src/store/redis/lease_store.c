/* SPDX-License-Identifier: MIT */
#include "store/redis/lease_store.h"

#include <hiredis/hiredis.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "base/range.h"
#include "os/clock.h"
#include "os/latch.h"
#include "store/complaint.h"
#include "store/redis/lease_script.h"
#include "store/redis/lease_words.h"
#include "store/redis/slot.h"

/* How much a step of a shard's clock may be; nodes step it every half of this. Each second that a server is
 * away longer than this is a second that permits count longer. */
#define CLAMP_NS UINT64_C(250000000)

/* How long a server keeps an account, or four times as long as it may be of use if that is longer. It does so
 * by its own clock. If that goes on while a shard's clock stands still (it jumps, and be it by less than the
 * clamp where nodes find that and rewind; the server is away; nobody asks), by more than a quarter of this
 * more than the shard's clock then advances while permits count, the past is lost: see lease.lua. */
#define KEEP_MS UINT64_C(345600000)

#define SHARD_RECORD_BYTES "96" /* as in lease.lua, which takes no other for a record of its own */

#define ROUND_TRIP_NS UINT64_C(1000000) /* within a data centre, with a replica or two */

/* A call has so long at least once it is sent, however long it waited for this process: that its thread
 * did not run says nothing of the server. */
#define ANSWER_NS_MIN UINT64_C(10000000)

enum {
    CALL_TRIPS_MAX   = 64, /* a script keeps its server for some microseconds a user */
    TAG_BYTES        = 8,
    KEY_BYTES_MAX    = 48,
    NUMBER_BYTES     = 24,
    SHARD_KEYS       = 3, /* its record and two witnesses */
    COMMAND_WORDS    = 2, /* clamp and keep */
    COMMAND_OVERHEAD = 512,
};

_Static_assert(CALL_TRIPS_MAX *(LEASE_WORDS_BYTES_MAX + KEY_BYTES_MAX + 2 * NUMBER_BYTES) +
                       COMMAND_OVERHEAD <=
                   REDIS_COMMAND_BYTES_MAX,
               "a whole call can be sent");

/* Trips that are out as one command, in the order of its keys; beats come last. */
struct call {
    struct lease_store *store;
    struct store_trip  *trips;
    uint64_t            sent_ns; /* before it was */
};

/* In the order in which they came. */
struct trip_list {
    struct store_trip  *first;
    struct store_trip **end;
};

struct lease_store {
    struct store         interface;
    struct redis        *redis;
    struct view          url;
    struct redis_options options;
    struct redis_script  script, begin_script, past_script;
    char                 tags[LEASE_STORE_SHARDS][TAG_BYTES];
    char                 clamp[NUMBER_BYTES], keep[NUMBER_BYTES];
    struct arrivals      arrived; /* trips */
    struct complaint     trouble; /* of trips */

    /* The client's thread's. */
    struct trip_list leaving[LEASE_STORE_SHARDS]; /* in this turn */
    struct view      keys[SHARD_KEYS + CALL_TRIPS_MAX], words[COMMAND_WORDS + CALL_TRIPS_MAX];
    char             key_bytes[SHARD_KEYS + CALL_TRIPS_MAX][KEY_BYTES_MAX];
    char             word_bytes[CALL_TRIPS_MAX][LEASE_WORDS_BYTES_MAX];
};

/* ---- keys ---- */

static struct view shard_key(const struct lease_store *s, uint32_t shard, char out[KEY_BYTES_MAX]) {
    static const char prefix[] = "weir:{";
    size_t            at = sizeof prefix - 1, bytes = strlen(s->tags[shard]);
    memcpy(out, prefix, at);
    memcpy(out + at, s->tags[shard], bytes);
    out[at + bytes] = '}';
    return (struct view){out, at + bytes + 1};
}

static struct view named_key(const struct lease_store *s, uint32_t shard, struct view name,
                             char out[KEY_BYTES_MAX]) {
    struct view key  = shard_key(s, shard, out);
    out[key.bytes++] = ':';
    memcpy(out + key.bytes, name.data, name.bytes);
    key.bytes += name.bytes;
    return key;
}

static struct view account_key(const struct lease_store *s, const struct store_trip *trip,
                               char out[KEY_BYTES_MAX]) {
    return named_key(s, trip->shard,
                     (struct view){(const char *)trip->name.bytes, STORE_NAME_BYTES}, out);
}

/* Names of other lengths than an account's. */
static void write_shard_keys(const struct lease_store *s, uint32_t shard,
                             struct view keys[SHARD_KEYS], char bytes[SHARD_KEYS][KEY_BYTES_MAX]) {
    keys[0] = shard_key(s, shard, bytes[0]);
    keys[1] = named_key(s, shard, view_of("day"), bytes[1]);
    keys[2] = named_key(s, shard, view_of("fortnight"), bytes[2]);
}

/* Each tag is the first number whose slot lies in the shard's part of all slots. */
static void choose_tags(struct lease_store *s) {
    for (uint32_t shard = 0; shard < s->interface.shard_count; shard++) {
        char     tag[TAG_BYTES];
        unsigned number = 0, part;
        do {
            (void)snprintf(tag, sizeof tag, "%u", number++);
            part = slot_crc(view_of(tag)) % SLOT_COUNT * s->interface.shard_count / SLOT_COUNT;
        } while (part != shard);
        memcpy(s->tags[shard], tag, sizeof tag);
    }
}

/* ---- the end of a trip: on the client's thread ---- */

static void trip_end(struct lease_store *s, struct store_trip *trip, enum store_status status,
                     const char *reason) {
    trip->status = status;
    trip->reason = status == STORE_REFUSED ? reason : NULL;
    if (status != STORE_DONE) complaint_note(&s->trouble, reason, clock_now_ns());
    trip->done(trip);
}

static void trips_end(struct lease_store *s, struct store_trip *trips, enum store_status status,
                      const char *reason) {
    while (trips != NULL) {
        struct store_trip *trip = trips;
        trips                   = trip->next;
        trip_end(s, trip, status, reason);
    }
}

static bool trip_acquires(const struct store_trip *trip) { return trip->request.id.sequence != 0; }

static enum store_status status_of(const struct redis_result *result) {
    switch (result->status) {
    case REDIS_REFUSED:
    case REDIS_FAILED: return STORE_REFUSED;
    case REDIS_UNREADY:
    case REDIS_UNREACHABLE: return STORE_IS_DOWN;
    default: return result->fate == FATE_NOT_EXECUTED ? STORE_NOT_SENT : STORE_UNKNOWN;
    }
}

static const char unconfirmed[] = "the replicas do not confirm in time; see weir doctor";

static const char *reason_of(const struct redis_result *result) {
    if (result->is_behind) return unconfirmed;
    bool has_trouble = result->status == REDIS_REFUSED || result->status == REDIS_FAILED ||
                       (result->status == REDIS_UNREADY && result->trouble != TROUBLE_SCRIPT);
    return has_trouble ? trouble_text(result->trouble) : redis_status_text(result->status);
}

static void call_done(void *context, struct redis_result *result) {
    static const char   foreign[] = "the server's answer is not that of the script";
    struct call        *call      = context;
    struct lease_store *s         = call->store;
    struct store_trip  *trips     = call->trips;
    struct redisReply  *said      = result->reply;
    uint64_t            sent_ns   = call->sent_ns;
    free(call);
    if (result->status != REDIS_DONE) {
        trips_end(s, trips, status_of(result), reason_of(result));
        return;
    }
    bool is_replicated = s->options.replicas == 0 || result->is_confirmed;
    for (size_t i = 0; trips != NULL; i++) {
        struct store_trip *trip = trips;
        trips                   = trip->next;
        bool is_ours            = said->type == REDIS_REPLY_ARRAY && i < said->elements &&
                       lease_words_read(&trip->request, said->element[i], &trip->reply);
        trip->reply.is_replicated = is_replicated;
        trip->reply.sent_ns       = sent_ns;
        if (is_ours && !is_replicated && trip_acquires(trip))
            complaint_note(&s->trouble, unconfirmed, clock_now_ns());
        trip_end(s, trip, is_ours ? STORE_DONE : STORE_REFUSED, foreign);
    }
}

/* ---- sending: on the client's thread ---- */

/* Whether an account may go into a call: a script has each key once, since it reads all before it writes. */
static bool call_has(const struct store_trip *trips, const struct store_trip *trip) {
    for (; trips != NULL; trips = trips->next)
        if (memcmp(&trips->name, &trip->name, sizeof trip->name) == 0) return true;
    return false;
}

/* Unlinks from *from what one call can take, accounts before beats; the rest keeps its order. Where
 * replicas are waited for, what acquires goes without the others, which must not be held up by it. */
static struct store_trip *call_choose(const struct lease_store *s, struct store_trip **from) {
    bool               acquires = trip_acquires(*from);
    struct store_trip *accounts = NULL, **accounts_end = &accounts;
    struct store_trip *beats = NULL, **beats_end = &beats;
    unsigned           count = 0;
    while (*from != NULL && count < CALL_TRIPS_MAX) {
        struct store_trip *trip     = *from;
        bool               is_apart = s->options.replicas > 0 && trip_acquires(trip) != acquires;
        if (is_apart || (!trip->is_beat && call_has(accounts, trip))) {
            from = &trip->next;
            continue;
        }
        *from                    = trip->next;
        trip->next               = NULL;
        struct store_trip ***end = trip->is_beat ? &beats_end : &accounts_end;
        **end                    = trip;
        *end                     = &trip->next;
        count++;
    }
    *accounts_end = beats;
    return accounts;
}

static void call_send(struct lease_store *s, uint32_t shard, struct store_trip *trips) {
    struct call *call = malloc(sizeof *call);
    if (call == NULL) {
        trips_end(s, trips, STORE_NOT_SENT, redis_status_text(REDIS_NO_MEMORY));
        return;
    }
    *call = (struct call){.store = s, .trips = trips, .sent_ns = clock_now_ns()};
    write_shard_keys(s, shard, s->keys, s->key_bytes);
    unsigned keys = SHARD_KEYS, words = COMMAND_WORDS;
    uint64_t deadline_ns = UINT64_MAX;
    bool     acquires    = false;
    for (struct store_trip *trip = trips; trip != NULL; trip = trip->next) {
        char *out = s->word_bytes[words - COMMAND_WORDS];
        if (!trip->is_beat) {
            s->keys[keys] = account_key(s, trip, s->key_bytes[keys]);
            keys++;
        }
        s->words[words++] = (struct view){out, lease_words_write(&trip->request, out)};
        deadline_ns       = smaller(deadline_ns, trip->deadline_ns);
        acquires          = acquires || trip_acquires(trip);
    }
    deadline_ns = larger(deadline_ns, call->sent_ns + ANSWER_NS_MIN);
    enum redis_status status =
        redis_submit(s->redis, &(struct redis_command){.script         = &s->script,
                                                       .keys           = s->keys,
                                                       .words          = s->words,
                                                       .key_count      = keys,
                                                       .word_count     = words,
                                                       .deadline_ns    = deadline_ns,
                                                       .wants_replicas = acquires,
                                                       .done           = call_done,
                                                       .context        = call});
    if (status == REDIS_DONE) return;
    free(call);
    trips_end(s, trips, STORE_NOT_SENT, redis_status_text(status));
}

static void trip_list_append(struct trip_list *list, struct store_trip *trip) {
    trip->next = NULL;
    *list->end = trip;
    list->end  = &trip->next;
}

static uint64_t store_turn(void *context) {
    struct lease_store *s       = context;
    struct arrival     *arrived = arrivals_take(&s->arrived), *arrival;
    if (arrived == NULL) return UINT64_MAX;

    for (uint32_t shard = 0; shard < s->interface.shard_count; shard++)
        s->leaving[shard] = (struct trip_list){.end = &s->leaving[shard].first};
    while ((arrival = arrivals_next(&arrived)) != NULL) {
        struct store_trip *trip = (struct store_trip *)arrival;
        trip_list_append(&s->leaving[trip->shard], trip);
    }
    for (uint32_t shard = 0; shard < s->interface.shard_count; shard++) {
        struct store_trip *trips = s->leaving[shard].first;
        while (trips != NULL) {
            struct store_trip *chosen = call_choose(s, &trips);
            call_send(s, shard, chosen);
        }
    }
    return UINT64_MAX;
}

/* ---- what a fleet calls ---- */

static void store_serve(void *context, struct store_trip *trip) {
    struct lease_store *s = context;
    REQUIRE(trip->shard < s->interface.shard_count);
    if (arrivals_add(&s->arrived, &trip->arrival)) redis_wake(s->redis);
}

static void store_health(void *context, struct store_health *health) {
    struct lease_store *s    = context;
    const char         *text = complaint_text(&s->trouble, clock_now_ns());
    health->is_up            = text == NULL;
    (void)snprintf(health->text, sizeof health->text, "%s", text != NULL ? text : "it answers");
}

static bool store_reopen(void *context) {
    struct lease_store *s = context;
    char                problem[REDIS_PROBLEM_BYTES_MAX];
    redis_close(s->redis); /* the parent's */
    arrivals_init(&s->arrived);
    s->redis = redis_open(s->url, &s->options, problem);
    return s->redis != NULL;
}

/* What has arrived is taken by the client's last turn, and answered before it ends. In a child of fork() it
 * is the parent's, and nobody's here. */
static void store_close(void *context) {
    struct lease_store *s = context;
    if (s->redis != NULL) redis_close(s->redis);
    free(s);
}

/* ---- opening ---- */

/* A clock that somebody has asked goes on as it is, under its name, and only has nothing to wait for now:
 * who saw it before is not taken for one who knew another. */
static const char begin_text[] =
    "local record = redis.call('MGET', KEYS[1])[1]\n"
    "if record then\n"
    "    if #record ~= " SHARD_RECORD_BYTES " then return 0 end\n"
    "    local virgin, _, _, era, born, _, grants, owed = struct.unpack('<dddddddd', record)\n"
    "    if virgin == 1 or grants > 0 or owed > 0 or born ~= era then return 0 end\n"
    "    redis.call('SET', KEYS[1], struct.pack('<d', 1) .. record:sub(9, 72)\n"
    "               .. struct.pack('<d', 0) .. record:sub(81))\n"
    "    return 1\n"
    "end\n"
    "local t = redis.call('TIME')\n"
    "local c = t[1] * 1000000 + t[2]\n"
    "redis.call('SET', KEYS[1], struct.pack('<dddddddddddd', 1, c, c, c, c, 0, 0, 0, 0, 0, 0, 0))\n"
    "return 1\n";

/* How far back it is known what was granted, under rules of short windows and of long ones; -1: all is. And
 * since when, by the shard's clock. */
static const char past_text[] =
    "local record = redis.call('MGET', KEYS[1])[1]\n"
    "if not record or #record ~= " SHARD_RECORD_BYTES " then return {0, 0, 0} end\n"
    "local virgin, c, _, _, born, _, _, _, _, long_born = struct.unpack('<dddddddddd', record)\n"
    "return {virgin == 1 and -1 or math.max(c - born, 0),\n"
    "        long_born == 0 and -1 or math.max(c - long_born, 0), virgin == 1 and 0 or born}\n";

struct lease_store *lease_store_open(struct view url, const struct redis_options *options,
                                     char problem[REDIS_PROBLEM_BYTES_MAX]) {
    struct lease_store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        (void)snprintf(problem, REDIS_PROBLEM_BYTES_MAX, "out of memory");
        return NULL;
    }
    s->url                  = url;
    s->options              = *options;
    s->options.turn         = store_turn;
    s->options.turn_context = s;
    (void)snprintf(s->clamp, sizeof s->clamp, "%llu", (unsigned long long)(CLAMP_NS / 1000));
    (void)snprintf(s->keep, sizeof s->keep, "%llu", (unsigned long long)KEEP_MS);
    s->words[0] = view_of(s->clamp);
    s->words[1] = view_of(s->keep);
    redis_script_init(&s->script, lease_script);
    redis_script_init(&s->begin_script, begin_text);
    redis_script_init(&s->past_script, past_text);
    s->redis = redis_open(url, &s->options, problem);
    if (s->redis == NULL) {
        free(s);
        return NULL;
    }
    s->interface = (struct store){
        .context     = s,
        .shard_count = redis_is_cluster(s->redis) ? LEASE_STORE_SHARDS : 1,
        .trips_max   = options->commands_max != 0 ? options->commands_max : REDIS_COMMANDS_DEFAULT,
        .round_trip_ns = ROUND_TRIP_NS,
        .clamp_ns      = CLAMP_NS,
        .grants_wait   = options->replicas > 0,
        .serve         = store_serve,
        .health        = store_health,
        .reopen        = store_reopen,
        .close         = store_close};
    choose_tags(s); /* before anybody can serve: until then the client's turns find nothing */
    return s;
}

struct store *lease_store_interface(struct lease_store *s) {
    return &s->interface;
}

/* What all shards are asked at once: the client sends together what is for one server. */
struct shard_answer {
    struct asking      *asking;
    struct redis_result result;
};

struct asking {
    struct latch        latch; /* opened by the last answer */
    _Atomic uint32_t    left;
    struct shard_answer answers[LEASE_STORE_SHARDS];
};

static void asking_count(struct asking *asking) {
    if (atomic_fetch_sub_explicit(&asking->left, 1, memory_order_acq_rel) == 1)
        latch_open(&asking->latch);
}

static void answer_done(void *context, struct redis_result *result) {
    struct shard_answer *answer = context;
    answer->result              = *result;
    result->reply               = NULL; /* it is in answer->result now */
    asking_count(answer->asking);
}

static void store_ask_shard(struct lease_store *s, uint32_t shard,
                            const struct redis_command *question, struct shard_answer *answer) {
    struct redis_command command = *question;
    struct view          keys[SHARD_KEYS];
    char                 key_bytes[SHARD_KEYS][KEY_BYTES_MAX];
    write_shard_keys(s, shard, keys, key_bytes);
    command.keys    = keys;
    command.done    = answer_done;
    command.context = answer;

    enum redis_status status = redis_submit(s->redis, &command);
    if (status == REDIS_DONE) return;
    struct redis_result *result = &answer->result;
    *result = (struct redis_result){.status = status, .fate = FATE_NOT_EXECUTED};
    (void)snprintf(result->problem, sizeof result->problem, "%s", redis_status_text(status));
    asking_count(answer->asking);
}

/* Asks all shards, and waits; `question` says how many of a shard's keys the script wants, and `tell` is told
 * each answer. */
typedef void (*shard_fn)(void *context, uint32_t shard, const struct redisReply *reply);
static bool store_ask_shards(struct lease_store *s, const struct redis_command *question,
                             shard_fn tell, void *context, struct redis_result *result) {
    uint32_t      shards = s->interface.shard_count;
    struct asking asking = {.left = shards};
    latch_init(&asking.latch);
    for (uint32_t shard = 0; shard < shards; shard++) {
        asking.answers[shard].asking = &asking;
        store_ask_shard(s, shard, question, &asking.answers[shard]);
    }
    redis_wait(s->redis, &asking.latch);

    *result           = (struct redis_result){.status = REDIS_DONE, .fate = FATE_EXECUTED};
    bool is_confirmed = true;
    for (uint32_t shard = 0; shard < shards; shard++) {
        struct redis_result *one = &asking.answers[shard].result;
        if (one->status == REDIS_DONE) {
            tell(context, shard, one->reply);
        } else if (result->status == REDIS_DONE) {
            *result    = *one;
            one->reply = NULL;
        }
        is_confirmed = is_confirmed && one->is_confirmed;
        redis_result_clear(one);
    }
    if (result->status != REDIS_DONE) return false;
    result->is_confirmed = is_confirmed || s->options.replicas == 0;
    return true;
}

static void add_begun(void *context, uint32_t shard, const struct redisReply *reply) {
    (void)shard;
    *(uint32_t *)context += reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
}

bool lease_store_begin(struct lease_store *s, uint64_t deadline_ns, uint32_t *begun,
                       struct redis_result *result) {
    *begun = 0;
    return store_ask_shards(s,
                            &(struct redis_command){.script         = &s->begin_script,
                                                    .key_count      = 1,
                                                    .deadline_ns    = deadline_ns,
                                                    .wants_replicas = true},
                            add_begun, begun, result);
}

static void keep_least(uint64_t *least_us, const struct redisReply *reply) {
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 0) return;
    *least_us = smaller(*least_us, smaller((uint64_t)reply->integer, LEASE_NUMBER_MAX));
}

struct past_reading {
    struct lease_past *past;
    uint32_t           shard; /* of this one; LEASE_STORE_SHARDS: of all */
};

static void keep_least_past(void *context, uint32_t shard, const struct redisReply *reply) {
    const struct past_reading *reading = context;
    struct lease_past         *past    = reading->past;
    if (reading->shard != shard && reading->shard != LEASE_STORE_SHARDS) return;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3) return;
    keep_least(&past->us, reply->element[0]);
    keep_least(&past->long_us, reply->element[1]);
    if (reply->element[2]->type == REDIS_REPLY_INTEGER && reply->element[2]->integer > 0)
        past->born_us = larger(past->born_us, (uint64_t)reply->element[2]->integer);
}

static bool store_read_past(struct lease_store *s, uint32_t shard, uint64_t deadline_ns,
                            struct lease_past *past, struct redis_result *result) {
    struct past_reading reading = {past, shard};
    *past                       = (struct lease_past){.us = UINT64_MAX, .long_us = UINT64_MAX};
    return store_ask_shards(s,
                            &(struct redis_command){.script      = &s->past_script,
                                                    .key_count   = 1,
                                                    .deadline_ns = deadline_ns},
                            keep_least_past, &reading, result);
}

static void tell_nobody(void *context, uint32_t shard, const struct redisReply *reply) {
    (void)shard;
    (void)context;
    (void)reply;
}

/* What each node does first: who steps the clock finds out whether it was left alone for too long. */
static bool store_step_clocks(struct lease_store *s, uint64_t deadline_ns,
                              struct redis_result *result) {
    const struct lease_request beat = {.era_seen_us = 0};
    char                       word[LEASE_WORDS_BYTES_MAX];
    size_t                     bytes   = lease_words_write(&beat, word);
    struct view                words[] = {view_of(s->clamp), view_of(s->keep), {word, bytes}};
    return store_ask_shards(s,
                            &(struct redis_command){.script      = &s->script,
                                                    .key_count   = SHARD_KEYS,
                                                    .words       = words,
                                                    .word_count  = sizeof words / sizeof words[0],
                                                    .deadline_ns = deadline_ns},
                            tell_nobody, NULL, result);
}

bool lease_store_past(struct lease_store *s, uint64_t deadline_ns, struct lease_past *past,
                      struct redis_result *result) {
    return lease_store_past_of(s, LEASE_STORE_SHARDS, deadline_ns, past, result);
}

bool lease_store_past_of(struct lease_store *s, uint32_t shard, uint64_t deadline_ns,
                         struct lease_past *past, struct redis_result *result) {
    if (!store_read_past(s, shard, deadline_ns, past, result)) return false;
    /* A record that is missing, or not ours, is not to be made here. */
    if (past->us == 0) return true;
    return store_step_clocks(s, deadline_ns, result) &&
           store_read_past(s, shard, deadline_ns, past, result);
}
