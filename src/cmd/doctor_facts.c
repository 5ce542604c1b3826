/* SPDX-License-Identifier: MIT */
#include "cmd/doctor_facts.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/range.h"
#include "base/text.h"
#include "cmd/doctor_clock.h"
#include "os/clock.h"
#include "store/redis/slot.h"

enum {
    TRIPS         = 200,
    TRIPS_MIN     = 3, /* however long they take: each may take two seconds */
    TIMES         = 20,
    US_NS         = 1000,
    WORDS_MAX     = 8,
    KEY_BYTES_MAX = 64,
};

#define ASK_NS    UINT64_C(2000000000)
#define TRIPS_NS  UINT64_C(2000000000) /* of one server */
#define SECOND_NS UINT64_C(1000000000)

static bool ask(struct redis *r, uint16_t slot, const char *const *words,
                struct redis_result *result) {
    struct view views[WORDS_MAX];
    unsigned    count = 0;
    for (; words[count] != NULL && count < WORDS_MAX; count++) views[count] = view_of(words[count]);
    redis_call(r,
               &(struct redis_command){.words       = views,
                                       .word_count  = count,
                                       .has_slot    = true,
                                       .slot        = slot,
                                       .deadline_ns = clock_now_ns() + ASK_NS},
               result);
    return result->status == REDIS_DONE;
}

static void copy_text(char out[DOCTOR_TEXT_BYTES_MAX], struct view text) {
    size_t bytes = text.bytes < DOCTOR_TEXT_BYTES_MAX ? text.bytes : DOCTOR_TEXT_BYTES_MAX - 1;
    memcpy(out, text.data, bytes);
    out[bytes] = '\0';
}

/* The value of "name:value" in what INFO says; empty: there is none. */
static struct view info_value(struct view info, const char *name) {
    struct view rest  = info;
    size_t      bytes = strlen(name);
    while (rest.bytes > 0) {
        const char *end  = memchr(rest.data, '\n', rest.bytes);
        size_t      line = end != NULL ? (size_t)(end - rest.data) : rest.bytes;
        if (line > bytes && memcmp(rest.data, name, bytes) == 0 && rest.data[bytes] == ':') {
            struct view value = {rest.data + bytes + 1, line - bytes - 1};
            if (value.bytes > 0 && value.data[value.bytes - 1] == '\r') value.bytes--;
            return value;
        }
        rest = view_from(rest, end != NULL ? line + 1 : line);
    }
    return (struct view){"", 0};
}

static uint64_t info_number(struct view info, const char *name) {
    uint64_t number = DOCTOR_UNKNOWN;
    return text_number_parse(info_value(info, name), &number) ? number : DOCTOR_UNKNOWN;
}

/* "slave0:ip=127.0.0.1,port=6380,state=online,offset=14,lag=0" */
static uint64_t worst_lag(struct view info, uint64_t replicas) {
    uint64_t written = info_number(info, "master_repl_offset"), worst = 0;
    if (written == DOCTOR_UNKNOWN) return DOCTOR_UNKNOWN;
    for (uint64_t i = 0; i < replicas && i < 100; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "slave%u", (unsigned)i);
        struct view line = info_value(info, name);
        const char *at   = line.bytes > 0 ? memmem(line.data, line.bytes, "offset=", 7) : NULL;
        if (at == NULL) continue;
        struct view number = view_from(line, (size_t)(at - line.data) + 7);
        const char *comma  = number.bytes > 0 ? memchr(number.data, ',', number.bytes) : NULL;
        uint64_t    offset = 0;
        if (comma != NULL) number.bytes = (size_t)(comma - number.data);
        if (text_number_parse(number, &offset) && written > offset && written - offset > worst)
            worst = written - offset;
    }
    return worst;
}

/* The client finds it out by HELLO, where a server knows that. */
static bool is_of_another_kind(const struct doctor_facts *facts, struct view info,
                               struct redis_result *result) {
    enum trouble trouble     = TROUBLE_SCRIPT;
    struct view  sentinel    = view_of("sentinel");
    bool         is_sentinel = view_equals(info_value(info, "redis_mode"), sentinel) ||
                       view_equals(info_value(info, "server_mode"), sentinel); /* Valkey */
    if (is_sentinel) trouble = TROUBLE_SENTINEL;
    if (facts->kind != URL_CLUSTER && info_number(info, "cluster_enabled") == 1)
        trouble = TROUBLE_IN_CLUSTER;
    if (trouble == TROUBLE_SCRIPT) return false;
    redis_result_clear(result);
    (void)snprintf(result->problem, sizeof result->problem, "%s", trouble_text(trouble));
    return true;
}

/* Whether the user of the URL may not ask this, which says nothing of the server. */
static bool is_hidden(const struct redis_result *result) {
    return result->status == REDIS_REFUSED &&
           (result->trouble == TROUBLE_NOPERM || result->trouble == TROUBLE_COMMAND);
}

static bool ask_info(struct redis *r, const struct doctor_facts *facts,
                     struct doctor_server *server, struct redis_result *result) {
    server->replicas = DOCTOR_UNKNOWN;
    if (!ask(r, server->slot, (const char *const[]){"INFO", NULL}, result)) {
        bool may_go_on = is_hidden(result);
        redis_result_clear(result);
        return may_go_on;
    }
    struct view info = {"", 0};
    if (result->reply->type == REDIS_REPLY_STRING)
        info = (struct view){result->reply->str, result->reply->len};
    if (is_of_another_kind(facts, info, result)) return false;
    copy_text(server->version, info_value(info, "redis_version"));
    struct view valkey = info_value(info, "valkey_version");
    if (valkey.bytes > 0) copy_text(server->version, valkey);
    copy_text(server->role, info_value(info, "role"));
    server->replicas      = info_number(info, "connected_slaves");
    server->lag_bytes_max = worst_lag(info, server->replicas);
    redis_result_clear(result);
    return true;
}

static void ask_config(struct redis *r, struct doctor_server *server, const char *name,
                       char out[DOCTOR_TEXT_BYTES_MAX]) {
    struct redis_result result;
    out[0] = '\0';
    if (ask(r, server->slot, (const char *const[]){"CONFIG", "GET", name, NULL}, &result)) {
        const redisReply *reply = result.reply;
        if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
            reply->element[1]->type == REDIS_REPLY_STRING)
            copy_text(out, (struct view){reply->element[1]->str, reply->element[1]->len});
    }
    redis_result_clear(&result);
}

static uint64_t ask_config_number(struct redis *r, struct doctor_server *server, const char *name) {
    char     text[DOCTOR_TEXT_BYTES_MAX];
    uint64_t number = DOCTOR_UNKNOWN;
    ask_config(r, server, name, text);
    return text_number_parse(view_of(text), &number) ? number : DOCTOR_UNKNOWN;
}

/* What the store needs to be allowed: scripts, with TIME and a write in them. */
static const char script_text[] =
    "redis.call('SET', KEYS[1], redis.call('TIME')[1], 'PX', 1000) return 1";
static struct redis_script script; /* is there as long as the client is open, as it must */

/* A key in a slot of this server: found by trying, one of 16384 is. */
static void name_key(const struct doctor_facts *facts, const struct doctor_server *server,
                     char name[KEY_BYTES_MAX]) {
    /* In the slot of the one shard: a server of a Cluster that is asked alone may not have it. */
    (void)snprintf(name, KEY_BYTES_MAX, "weir:{0}:doctor");
    if (facts->kind != URL_CLUSTER) return;
    for (unsigned i = 0; i < 1U << 20; i++) {
        (void)snprintf(name, KEY_BYTES_MAX, "weir:doctor:%u", i);
        if (slot_of(view_of(name)) == server->slot) break;
    }
}

static void ask_script(struct redis *r, const char *name, bool wants_replicas,
                       struct redis_result *result) {
    struct view key = view_of(name);
    redis_call(r,
               &(struct redis_command){.script         = &script,
                                       .keys           = &key,
                                       .key_count      = 1,
                                       .deadline_ns    = clock_now_ns() + ASK_NS,
                                       .wants_replicas = wants_replicas},
               result);
}

/* False: not here, since this is a server of a Cluster, which sends us to another; `result`. */
static bool ask_whether_scripts_run(struct redis *r, struct doctor_server *server, const char *name,
                                    struct redis_result *result) {
    ask_script(r, name, false, result);
    bool is_elsewhere = result->status == REDIS_REFUSED && result->trouble == TROUBLE_MOVED;
    (void)snprintf(server->script_problem, sizeof server->script_problem, "%s", result->problem);
    server->script_trouble = result->trouble;
    redis_result_clear(result);
    return !is_elsewhere;
}

static int compare_u64(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The client only says that they have not confirmed. If the server does not even ask them, it says why. */
static void ask_why_unconfirmed(struct redis *r, struct doctor_server *server,
                                uint64_t replicas_wanted) {
    struct redis_result result;
    char                wanted[24];
    (void)snprintf(wanted, sizeof wanted, "%llu", (unsigned long long)replicas_wanted);
    bool is_done = ask(r, server->slot, (const char *const[]){"WAIT", wanted, "10", NULL}, &result);
    (void)snprintf(server->wait_problem, sizeof server->wait_problem, "%s",
                   is_done ? "" : result.problem);
    redis_result_clear(&result);
}

/* How quick a write is that nothing else waits for: the rest of a trip's time is the replicas'. */
static uint64_t quickest_alone_ns(struct redis *r, const char *name) {
    uint64_t best_ns = UINT64_MAX;
    for (int i = 0; i < TIMES; i++) {
        struct redis_result result;
        uint64_t            from_ns = clock_now_ns();
        ask_script(r, name, false, &result);
        best_ns = smaller(best_ns, clock_now_ns() - from_ns);
        redis_result_clear(&result);
    }
    return best_ns;
}

/* As long as a trip for a permit takes: a write, which replicas confirm if there are as many as wanted. One
 * at a time, evenly spread: at full speed nearly all of them would fall into the moments in which replicas
 * are quick, and replicas that are late for half of the time would be hardly noticed. */
static void ask_trips(struct redis *r, struct doctor_server *server, const char *name,
                      const struct doctor_facts *facts) {
    uint64_t took_ns[TRIPS];
    int  count = 0, confirmed = 0; /* what is not confirmed says nothing of how long that takes */
    bool waits        = facts->replicas_wanted > 0 && facts->replicas_wanted <= server->replicas;
    uint64_t alone_ns = waits ? quickest_alone_ns(r, name) : 0;
    uint64_t begun_ns = clock_now_ns(), pause_ns = SECOND_NS / TRIPS / facts->server_count;
    while (count < TRIPS && (count < TRIPS_MIN || clock_now_ns() < begun_ns + TRIPS_NS)) {
        struct redis_result result;
        uint64_t            from_ns = clock_now_ns();
        ask_script(r, name, waits, &result);
        uint64_t trip_ns      = clock_now_ns() - from_ns;
        bool     is_done      = result.status == REDIS_DONE;
        bool     is_confirmed = is_done && result.is_confirmed;
        count++;
        if (waits ? is_confirmed : is_done) took_ns[confirmed++] = trip_ns;
        if (waits && !is_confirmed) server->trips_unconfirmed++;
        if (waits && is_confirmed && trip_ns > alone_ns + facts->wait_ns) server->trips_late++;
        redis_result_clear(&result);
        clock_sleep_until(from_ns + pause_ns);
    }
    server->trips = waits ? (uint64_t)count : 0;
    if (server->trips_unconfirmed > 0) ask_why_unconfirmed(r, server, facts->replicas_wanted);
    if (confirmed == 0) return;
    qsort(took_ns, (size_t)confirmed, sizeof took_ns[0], compare_u64);
    server->trip_p50_ns = took_ns[confirmed / 2];
    server->trip_p95_ns = took_ns[confirmed - (confirmed + 19) / 20];
    server->trip_p99_ns = took_ns[confirmed - confirmed / 100 - 1];
}

static void ask_clock(struct redis *r, const struct doctor_server *server,
                      struct doctor_offset *offset) {
    doctor_offset_begin(offset);
    for (int i = 0; i < TIMES; i++) {
        struct redis_result result;
        uint64_t            from_ns = clock_now_ns();
        (void)ask(r, server->slot, (const char *const[]){"TIME", NULL}, &result);
        uint64_t to_ns = clock_now_ns(), seconds = 0, us = 0;
        bool     is_time = result.status == REDIS_DONE && result.reply->type == REDIS_REPLY_ARRAY &&
                       result.reply->elements == 2 &&
                       result.reply->element[0]->type == REDIS_REPLY_STRING &&
                       result.reply->element[1]->type == REDIS_REPLY_STRING &&
                       text_number_parse(view_of(result.reply->element[0]->str), &seconds) &&
                       text_number_parse(view_of(result.reply->element[1]->str), &us);
        redis_result_clear(&result);
        if (!is_time) continue;
        doctor_offset_take(offset, (int64_t)(seconds * SECOND_NS + us * US_NS), US_NS, from_ns,
                           to_ns);
    }
}

static void add_server(struct doctor_facts *facts, const struct url_host *host, uint16_t slot,
                       uint64_t slots) {
    char address[REDIS_SERVER_BYTES_MAX] = "the server";
    if (host != NULL) url_host_write(host, address, sizeof address);
    for (unsigned i = 0; i < facts->server_count; i++) {
        if (strcmp(facts->servers[i].address, address) != 0) continue;
        facts->servers[i].slots += slots;
        return;
    }
    if (facts->server_count == DOCTOR_SERVERS_MAX) return;
    struct doctor_server *server = &facts->servers[facts->server_count++];
    server->slot                 = slot;
    server->slots                = slots;
    memcpy(server->address, address, sizeof address);
}

/* [first, last, primary, replicas...] */
static void add_range(struct doctor_facts *facts, const redisReply *range) {
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3) return;
    const redisReply *primary = range->element[2];
    if (primary->type != REDIS_REPLY_ARRAY || primary->elements < 2) return;
    long long       first = range->element[0]->integer, last = range->element[1]->integer;
    struct url_host host = {.port = (uint16_t)primary->element[1]->integer};
    if (first < 0 || last < first || last >= SLOT_COUNT) return;
    if (primary->element[0]->type == REDIS_REPLY_STRING &&
        primary->element[0]->len < sizeof host.name)
        memcpy(host.name, primary->element[0]->str, primary->element[0]->len);
    uint64_t slots = (uint64_t)(last - first) + 1;
    facts->slots_served += slots;
    add_server(facts, &host, (uint16_t)first, slots);
}

static bool ask_cluster(struct redis *r, struct doctor_facts *facts, struct redis_result *result) {
    bool is_told = ask(r, 0, (const char *const[]){"CLUSTER", "INFO", NULL}, result);
    if (!is_told && !is_hidden(result)) return false;
    if (is_told && result->reply->type == REDIS_REPLY_STRING)
        copy_text(
            facts->cluster_state,
            info_value((struct view){result->reply->str, result->reply->len}, "cluster_state"));
    redis_result_clear(result);
    if (!ask(r, 0, (const char *const[]){"CLUSTER", "SLOTS", NULL}, result)) return false;
    for (size_t i = 0; result->reply->type == REDIS_REPLY_ARRAY && i < result->reply->elements; i++)
        add_range(facts, result->reply->element[i]);
    redis_result_clear(result);
    return facts->server_count > 0;
}

void doctor_ask_past(struct view servers, const struct redis_options *options,
                     struct doctor_facts *facts) {
    char                problem[REDIS_PROBLEM_BYTES_MAX];
    struct redis_result result;
    if (!doctor_runs_scripts(facts)) return;
    struct lease_store *s = lease_store_open(servers, options, problem);
    if (s == NULL) return;
    facts->is_past_told = lease_store_past(s, clock_now_ns() + ASK_NS, &facts->past, &result);
    redis_result_clear(&result);
    struct store *interface = lease_store_interface(s);
    interface->close(interface->context);
}

bool doctor_ask(struct redis *r, struct doctor_facts *facts, struct redis_result *result) {
    redis_ready(r, clock_now_ns() + ASK_NS, result);
    if (result->status != REDIS_DONE) return false;
    if (facts->kind != URL_CLUSTER) {
        add_server(facts, NULL, 0, 0);
    } else if (!ask_cluster(r, facts, result)) {
        return false;
    }
    redis_script_init(&script, script_text);
    struct doctor_offset before[DOCTOR_SERVERS_MAX], after;
    for (unsigned i = 0; i < facts->server_count; i++) {
        struct doctor_server *server = &facts->servers[i];
        if (!ask_info(r, facts, server, result)) return false;
        server->min_replicas = ask_config_number(r, server, "min-replicas-to-write");
        server->max_lag_s    = ask_config_number(r, server, "min-replicas-max-lag");
        server->maxmemory    = ask_config_number(r, server, "maxmemory");
        ask_config(r, server, "maxmemory-policy", server->policy);
        ask_config(r, server, "appendonly", server->appendonly);
        ask_config(r, server, "appendfsync", server->appendfsync);
        char name[KEY_BYTES_MAX];
        name_key(facts, server, name);
        if (!ask_whether_scripts_run(r, server, name, result)) return false;
        ask_clock(r, server, &before[i]);
        if (server->script_problem[0] == '\0') ask_trips(r, server, name, facts);
    }
    for (unsigned i = 0; i < facts->server_count; i++) {
        struct doctor_server *server = &facts->servers[i];
        struct doctor_rate    rate;
        if (before[i].at_ns == 0) continue;
        clock_sleep_until(before[i].at_ns + SECOND_NS);
        ask_clock(r, server, &after);
        server->has_clock = doctor_rate_between(&before[i], &after, &rate);
        if (!server->has_clock) continue;
        server->skew_ns  = doctor_offset_skew_ns(&after);
        server->rate_ppm = (rate.least_ppm + rate.most_ppm) / 2;
    }
    return true;
}
