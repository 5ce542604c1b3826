/* SPDX-License-Identifier: MIT */
#include "store/redis/redis.h"

#include <hiredis/hiredis.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "os/entropy.h"
#include "store/net/tls.h"
#include "store/redis/client.h"

#define NS_PER_MS       UINT64_C(1000000)
#define DEADLINE_NS     (20 * NS_PER_MS)
#define DEADLINE_NS_MAX (60000 * NS_PER_MS) /* from now; a later one is this one */
#define CONNECT_NS      (1000 * NS_PER_MS)
#define CONNECT_NS_MIN  (10 * NS_PER_MS)
#define RETRY_NS_MIN    (1 * NS_PER_MS) /* until what was refused for now is tried again */
#define RETRY_NS_MAX    (5 * NS_PER_MS)

enum {
    COMMANDS_LIMIT = 1 << 20,
    TRIES_MAX      = 16, /* redirections of one request */
    HOPELESS_ASKING =
        3, /* questions to nobody's avail, and commands no longer wait for whom to ask */
};

static void     redis_arrived(void *owner, struct job *job);
static void     redis_expired(void *owner, struct job *job);
static uint64_t redis_work(void *owner);
static void     redis_react(void *owner, const struct loop_event *event);
static void     redis_route(struct redis *r, struct request *request);
static void     redis_answered(void *owner, struct link *link, struct request *request,
                               struct redisReply *reply, bool is_confirmed);
static void redis_dropped(void *owner, struct link *link, struct request *request, bool was_sent);
static void redis_changed(void *owner, struct link *link);
static void redis_heard(void *owner, struct link *link, const struct redisReply *message);

/* ---- opening and closing ---- */

static bool redis_set_options(struct redis *r, const struct redis_options *options, char *problem) {
    r->connections = options->connections > 0 ? options->connections : 1;
    if (r->connections > REDIS_CONNECTIONS_MAX || options->commands_max > COMMANDS_LIMIT) {
        (void)snprintf(
            problem, REDIS_PROBLEM_BYTES_MAX,
            "at most %d connections to a server, and %d commands on their way, are possible",
            REDIS_CONNECTIONS_MAX, COMMANDS_LIMIT);
        return false;
    }
    uint64_t connect_ns = options->connect_ns > 0 ? options->connect_ns : CONNECT_NS;
    uint64_t replicas_ns =
        options->replicas_ns > 0 ? options->replicas_ns : REDIS_REPLICAS_NS_DEFAULT;
    if (connect_ns < CONNECT_NS_MIN) connect_ns = CONNECT_NS_MIN;
    if (replicas_ns > connect_ns / 2) replicas_ns = connect_ns / 2;
    r->setting = (struct link_setting){.loop              = &r->engine.loop,
                                       .random            = &r->random,
                                       .tls               = r->tls,
                                       .user              = r->url.user,
                                       .password          = r->url.password,
                                       .database          = r->url.database,
                                       .is_primary_wanted = r->url.kind == URL_SENTINEL,
                                       .is_whole_wanted   = r->url.kind != URL_CLUSTER,
                                       .connect_ns        = connect_ns,
                                       .replicas          = options->replicas,
                                       .replicas_ns       = replicas_ns,
                                       .counts            = r->counts,
                                       .owner             = r,
                                       .answered          = redis_answered,
                                       .dropped           = redis_dropped,
                                       .changed           = redis_changed,
                                       .heard             = redis_heard};
    return true;
}

static bool redis_init_engine(struct redis *r, const struct redis_options *options) {
    unsigned commands_max =
        options->commands_max > 0 ? options->commands_max : REDIS_COMMANDS_DEFAULT;
    uint64_t deadline_ns = options->deadline_ns > 0 ? options->deadline_ns : DEADLINE_NS;
    const struct engine_setting setting = {.jobs_max        = commands_max,
                                           .deadline_ns     = deadline_ns,
                                           .deadline_ns_max = DEADLINE_NS_MAX,
                                           .turn            = options->turn,
                                           .turn_context    = options->turn_context,
                                           .owner           = r,
                                           .arrived         = redis_arrived,
                                           .expired         = redis_expired,
                                           .work            = redis_work,
                                           .react           = redis_react};
    return engine_init(&r->engine, &setting);
}

/* Where looking for the servers begins. */
static bool redis_begin(struct redis *r, const struct redis_options *options) {
    switch (r->url.kind) {
    case URL_STANDALONE: client_set_primary(r, &r->url.hosts[0]); return r->primary != NULL;
    case URL_SENTINEL: return sentinel_init(&r->sentinel, r, options);
    case URL_CLUSTER: return cluster_init(&r->cluster, r);
    }
    return false;
}

static void redis_free_gone(struct redis *r) {
    while (r->gone != NULL) {
        struct node *node = r->gone;
        r->gone           = node->next_gone;
        node_free(node);
    }
}

static void redis_free_nodes(struct redis *r) {
    while (r->node_count > 0) client_forget(r, r->nodes[r->node_count - 1]);
    if (r->primary != NULL) client_forget(r, r->primary);
    if (r->url.kind == URL_SENTINEL) sentinel_clear(&r->sentinel);
    redis_free_gone(r);
}

struct redis *redis_open(struct view url, const struct redis_options *options,
                         char problem[REDIS_PROBLEM_BYTES_MAX]) {
    static const struct redis_options none;
    if (options == NULL) options = &none;
    struct redis *r = calloc(1, sizeof *r);
    (void)snprintf(problem, REDIS_PROBLEM_BYTES_MAX, "out of memory");
    if (r == NULL) return NULL;

    char url_problem[URL_PROBLEM_BYTES_MAX];
    if (!url_parse(url, &r->url, url_problem)) {
        (void)snprintf(problem, REDIS_PROBLEM_BYTES_MAX, "%s", url_problem);
        goto free_redis;
    }
    if (r->url.is_tls) {
        r->tls = tls_new(options->ca_file, options->cert_file, options->key_file, problem,
                         REDIS_PROBLEM_BYTES_MAX);
        if (r->tls == NULL) goto free_redis;
    }
    if (!redis_set_options(r, options, problem)) goto free_tls;
    if (!entropy_fill(&r->random, sizeof r->random)) goto free_tls;
    if (!redis_init_engine(r, options)) goto free_tls;
    if (!redis_begin(r, options)) goto free_nodes;
    if (!engine_start(&r->engine, "weir-redis")) goto free_nodes;
    problem[0] = '\0';
    return r;

free_nodes:
    redis_free_nodes(r);
    engine_clear(&r->engine);
free_tls:
    tls_free(r->tls);
free_redis:
    free(r);
    return NULL;
}

void redis_close(struct redis *r) {
    if (!engine_stop(&r->engine)) return;
    redis_free_nodes(r);
    engine_clear(&r->engine);
    tls_free(r->tls);
    OPENSSL_cleanse(&r->url, sizeof r->url);
    free(r);
}

bool redis_is_cluster(const struct redis *r) { return r->url.kind == URL_CLUSTER; }

void redis_script_init(struct redis_script *script, const char *text) {
    static const char hex[] = "0123456789abcdef";
    unsigned char     digest[EVP_MAX_MD_SIZE];
    unsigned          bytes = 0;
    script->text            = view_of(text);
    INVARIANT(EVP_Digest(text, script->text.bytes, digest, &bytes, EVP_sha1(), NULL) == 1);
    INVARIANT(2 * bytes == REDIS_SCRIPT_NAME_BYTES);
    for (unsigned i = 0; i < bytes; i++) {
        script->name[2 * i]     = hex[digest[i] >> 4];
        script->name[2 * i + 1] = hex[digest[i] & 15];
    }
}

/* ---- submitting: any thread ---- */

static bool slot_is_one(const struct redis_command *command, uint16_t *slot) {
    *slot = command->has_slot ? command->slot : 0;
    if (command->has_slot) return command->slot < SLOT_COUNT;
    for (unsigned i = 0; i < command->key_count; i++) {
        uint16_t own = slot_of(command->keys[i]);
        if (i > 0 && own != *slot) return false;
        *slot = own;
    }
    return true;
}

void redis_wake(struct redis *r) { engine_wake(&r->engine); }

enum redis_status redis_submit(struct redis *r, const struct redis_command *command) {
    REQUIRE(command->done != NULL);
    REQUIRE(command->script != NULL || command->word_count > 0);
    if (engine_is_forked(&r->engine)) return REDIS_FORKED;
    uint16_t slot;
    if (!slot_is_one(command, &slot)) return REDIS_BAD_COMMAND;
    if (!engine_reserve(&r->engine)) return REDIS_FULL;
    bool            is_long = false;
    struct request *request = request_new(command, &is_long);
    if (request == NULL) {
        engine_release(&r->engine);
        return is_long ? REDIS_BAD_COMMAND : REDIS_NO_MEMORY;
    }
    request->slot = slot;
    if (r->setting.replicas == 0) request->wants_replicas = false;
    engine_submit(&r->engine, &request->job);
    return REDIS_DONE;
}

struct call {
    struct latch         latch;
    struct redis_result *result;
};

static void call_done(void *context, struct redis_result *result) {
    struct call *call = context;
    *call->result     = *result;
    result->reply     = NULL;
    latch_open(&call->latch);
}

void redis_call(struct redis *r, const struct redis_command *command, struct redis_result *result) {
    struct call          call = {.result = result};
    struct redis_command mine = *command;
    latch_init(&call.latch);
    mine.done    = call_done;
    mine.context = &call;

    enum redis_status status = redis_submit(r, &mine);
    if (status == REDIS_DONE) {
        engine_wait(&r->engine, &call.latch);
        return;
    }
    *result = (struct redis_result){.status = status, .fate = FATE_NOT_EXECUTED};
    (void)snprintf(result->problem, sizeof result->problem, "%s", redis_status_text(status));
}

void redis_wait(const struct redis *r, struct latch *latch) { engine_wait(&r->engine, latch); }

void redis_result_clear(struct redis_result *result) {
    if (result->reply != NULL) freeReplyObject(result->reply);
    result->reply = NULL;
}

void redis_ready(struct redis *r, uint64_t deadline_ns, struct redis_result *result) {
    struct view ping = view_of("PING");
    redis_call(r,
               &(struct redis_command){.words = &ping, .word_count = 1, .deadline_ns = deadline_ns},
               result);
    redis_result_clear(result);
}

void redis_counts(const struct redis *r, struct redis_counts *counts) {
#define COUNT(which) atomic_load_explicit(&r->counts[which], memory_order_relaxed)
    *counts = (struct redis_counts){.connects  = COUNT(LINK_CONNECTS),
                                    .losses    = COUNT(LINK_LOSSES),
                                    .misses    = COUNT(LINK_MISSES),
                                    .redirects = COUNT(CLIENT_REDIRECTS),
                                    .refreshes = COUNT(CLIENT_REFRESHES),
                                    .loads     = COUNT(LINK_LOADS),
                                    .waits     = COUNT(LINK_WAITS),
                                    .writes    = COUNT(LINK_WRITES)};
#undef COUNT
}

static const struct {
    const char *name;
    const char *text;
} statuses[] = {
#define STATUS_ENTRY(name, text) {#name, text},
    REDIS_STATUS_TABLE(STATUS_ENTRY)
#undef STATUS_ENTRY
};

const char *redis_status_text(enum redis_status status) { return statuses[status].text; }

const char *redis_status_name(enum redis_status status) { return statuses[status].name; }

/* ---- the thread ---- */

/* Whose name was looked up; NULL: it is gone by now. */
static struct link *redis_find_lookup(struct redis *r, uint64_t word) {
    struct node *apart[] = {r->primary, r->url.kind == URL_SENTINEL ? r->sentinel.node : NULL};
    for (unsigned i = 0; i < r->node_count + 2; i++) {
        struct node *node = i < r->node_count ? r->nodes[i] : apart[i - r->node_count];
        for (unsigned k = 0; node != NULL && k < node->link_count; k++)
            if ((uint64_t)(uintptr_t)&node->links[k] == word && node->links[k].dial.lookup != NULL)
                return &node->links[k];
    }
    return NULL;
}

static void redis_react(void *owner, const struct loop_event *event) {
    struct redis *r = owner;
    if (event->owner != NULL) {
        link_react(event->owner, event, r->engine.now_ns);
    } else {
        struct link *link = redis_find_lookup(r, event->word);
        if (link != NULL) link_looked_up(link, r->engine.now_ns);
    }
}

static uint64_t node_turn(struct node *node, uint64_t now_ns) {
    uint64_t next_ns = UINT64_MAX;
    for (unsigned i = 0; i < node->link_count; i++)
        next_ns = due_earlier(next_ns, link_turn(&node->links[i], now_ns));
    return next_ns;
}

/* What is to be sent, and to be asked of whom. Returns when the next thing is. */
static uint64_t redis_work(void *owner) {
    struct redis *r       = owner;
    uint64_t      now_ns  = r->engine.now_ns;
    uint64_t      next_ns = UINT64_MAX;
    r->is_restless        = false;
    if (r->url.kind == URL_SENTINEL) next_ns = sentinel_turn(&r->sentinel, now_ns);
    if (r->url.kind == URL_CLUSTER) next_ns = cluster_turn(&r->cluster, now_ns);
    for (unsigned i = 0; i < r->node_count; i++)
        next_ns = due_earlier(next_ns, node_turn(r->nodes[i], now_ns));
    if (r->primary != NULL) next_ns = due_earlier(next_ns, node_turn(r->primary, now_ns));
    /* A link that was lost just now has made others of these times earlier. */
    if (r->url.kind == URL_SENTINEL && !r->sentinel.is_asking)
        next_ns = due_earlier(next_ns, r->sentinel.ask_ns);
    if (r->url.kind == URL_CLUSTER && !r->cluster.is_asking)
        next_ns = due_earlier(next_ns, r->cluster.ask_ns);
    redis_free_gone(r); /* no event of this turn is left that could be theirs */
    /* What one link let go of waits at another, which had its turn already. */
    return r->is_restless ? 0 : next_ns;
}

/* ---- the end of a request ---- */

static void redis_release(struct redis *r, struct request *request) {
    request_free(request);
    engine_release(&r->engine);
}

/* Tells whoever asked. The request is still the caller's. */
static void redis_tell(struct redis *r, struct request *request, struct redis_result *result) {
    INVARIANT(!request->is_over);
    request->is_over = true;
    engine_end(&r->engine, &request->job);
    request->done(request->context, result);
    redis_result_clear(result);
}

static void redis_end(struct redis *r, struct request *request, enum redis_status status,
                      enum fate fate, const char *problem) {
    struct redis_result result;
    result.status       = status;
    result.fate         = fate;
    result.trouble      = request->has_trouble ? request->trouble : TROUBLE_SCRIPT;
    result.reply        = NULL;
    result.is_confirmed = false;
    result.is_behind    = request->is_behind;
    (void)snprintf(result.problem, sizeof result.problem, "%s",
                   problem != NULL && problem[0] != '\0' ? problem : redis_status_text(status));
    redis_tell(r, request, &result);
}

static void redis_end_done(struct redis *r, struct request *request, struct redisReply *reply,
                           bool is_confirmed) {
    struct redis_result result;
    result.status       = REDIS_DONE;
    result.fate         = FATE_EXECUTED;
    result.trouble      = TROUBLE_SCRIPT;
    result.reply        = reply;
    result.is_confirmed = is_confirmed;
    result.is_behind    = false;
    result.problem[0]   = '\0';
    redis_tell(r, request, &result);
}

/* By what the server said of it. */
static void redis_end_trouble(struct redis *r, struct request *request, const char *said) {
    char         problem[REDIS_PROBLEM_BYTES_MAX];
    enum trouble trouble     = request->trouble;
    bool         is_for_ever = trouble_cure(trouble) == TROUBLE_GIVE_UP ||
                       trouble_cure(trouble) == TROUBLE_LOAD ||
                       (trouble_cure(trouble) == TROUBLE_REDIRECT && r->url.kind != URL_CLUSTER);
    const char *asked = request->asked != NULL ? request->asked : "";
    (void)snprintf(problem, sizeof problem, "%s%s%s%s%.160s%s", asked, asked[0] != '\0' ? ": " : "",
                   trouble_text(trouble), said[0] != '\0' ? " (" : "", said,
                   said[0] != '\0' ? ")" : "");
    if (trouble == TROUBLE_SCRIPT) {
        redis_end(r, request, REDIS_FAILED, FATE_UNKNOWN, problem);
    } else {
        redis_end(r, request, is_for_ever ? REDIS_REFUSED : REDIS_UNREADY, FATE_NOT_EXECUTED,
                  problem);
    }
}

/* Nothing was sent, and its link is in no state to send it. */
static void redis_end_link(struct redis *r, struct request *request, const struct link *link) {
    enum redis_status status = REDIS_UNREACHABLE;
    char              problem[REDIS_PROBLEM_BYTES_MAX];
    link_problem_write(link, problem);
    if (link->has_trouble) {
        status = trouble_cure(link->trouble) == TROUBLE_GIVE_UP ? REDIS_REFUSED : REDIS_UNREADY;
        request->has_trouble = true;
        request->trouble     = link->trouble;
    }
    redis_end(r, request, status, FATE_NOT_EXECUTED, problem);
}

/* Why it is not known whom to ask. */
static void redis_end_asking(struct redis *r, struct request *request) {
    char               problem[REDIS_PROBLEM_BYTES_MAX] = "";
    const struct node *asked                            = NULL;
    if (r->url.kind == URL_SENTINEL) {
        memcpy(problem, r->sentinel.problem, sizeof r->sentinel.problem);
        asked = r->sentinel.node;
    } else if (r->url.kind == URL_CLUSTER) {
        memcpy(problem, r->cluster.problem, sizeof r->cluster.problem);
        asked = r->node_count > 0 ? r->nodes[0] : NULL;
    }
    /* There is a map, and nobody has the slot in it. */
    if (problem[0] == '\0' && r->url.kind == URL_CLUSTER && cluster_has_map(&r->cluster)) {
        request->has_trouble = true;
        request->trouble     = TROUBLE_CLUSTERDOWN;
        redis_end_trouble(r, request, "");
        redis_release(r, request);
        return;
    }
    /* The first one that was asked has not answered yet. */
    if (problem[0] == '\0' && asked != NULL) link_problem_write(&asked->links[0], problem);
    redis_end(r, request, REDIS_UNREACHABLE, FATE_NOT_EXECUTED, problem);
    redis_release(r, request);
}

/* ---- where to ---- */

struct request *client_ask(const struct view *words, unsigned count) {
    bool            is_long = false;
    struct request *request =
        request_new(&(struct redis_command){.words = words, .word_count = count}, &is_long);
    if (request != NULL) request->is_own = true;
    return request;
}

static struct node *redis_node_new(struct redis *r, const struct url_host *host) {
    return node_new(&r->setting, host, r->connections + (r->setting.replicas > 0));
}

/* A WAIT holds up its whole connection. So where there are any, links[0] is without. */
static struct link *redis_link(const struct redis *r, struct node *node,
                               const struct request *request) {
    unsigned which = request->slot % r->connections;
    if (r->setting.replicas > 0) which = request->wants_replicas ? 1 + which : 0;
    return &node->links[which];
}

static void redis_send(struct redis *r, struct node *node, struct request *request) {
    struct link *link = redis_link(r, node, request);
    node->used_ns     = r->engine.now_ns;
    r->is_restless    = true;
    /* The first permit must not wait for a connection besides: it would come too late to be used. */
    for (unsigned i = 0; r->setting.replicas > 0 && i < node->link_count; i++)
        link_want(&node->links[i]);
    if (!link_is_hopeless(link)) {
        link_send(link, request);
        return;
    }
    redis_end_link(r, request, link);
    redis_release(r, request);
}

static void redis_route(struct redis *r, struct request *request) {
    bool         is_cluster = r->url.kind == URL_CLUSTER;
    struct node *node       = is_cluster ? r->cluster.node_of[request->slot] : r->primary;
    if (node != NULL) {
        redis_send(r, node, request);
        return;
    }
    unsigned failures = is_cluster ? r->cluster.failures : r->sentinel.failures;
    unsigned in_vain  = r->url.host_count > HOPELESS_ASKING ? r->url.host_count : HOPELESS_ASKING;
    if (failures >= in_vain) {
        redis_end_asking(r, request);
        return;
    }
    /* A slot that nobody has in a map that is there. */
    if (is_cluster) cluster_doubt(&r->cluster);
    request->place = REQUEST_PARKED;
    request_list_append(&r->parked, request);
}

static void redis_arrived(void *owner, struct job *job) {
    redis_route(owner, (struct request *)job);
}

static void redis_pause(struct redis *r, struct request *request) {
    uint64_t retry_ns = r->engine.now_ns + random_between(&r->random, RETRY_NS_MIN, RETRY_NS_MAX);
    request->place    = REQUEST_PAUSED;
    engine_set_due(&r->engine, &request->job, due_earlier(retry_ns, request->job.deadline_ns));
}

static void redis_expire_waiting(struct redis *r, struct request *request) {
    static const char behind[] = "the command was still in line at its deadline; those before it "
                                 "wait for replicas";
    static const char full[]   = "the command was still in line at its deadline; the connection is "
                                 "at its limit";
    struct link      *link     = request->link;
    link_take_back(link, request);
    if (request->has_trouble) {
        redis_end_trouble(r, request, "");
    } else if (link->state != LINK_UP) {
        redis_end_link(r, request, link);
    } else {
        request->is_behind = link_waits_for_replicas(link);
        redis_end(r, request, REDIS_LATE, FATE_NOT_EXECUTED, request->is_behind ? behind : full);
    }
    redis_release(r, request);
}

/* Its deadline has passed, or its pause. */
static void redis_expired(void *owner, struct job *job) {
    struct redis      *r       = owner;
    struct request    *request = (struct request *)job;
    struct redisReply *reply;
    switch (request->place) {
    case REQUEST_PAUSED:
        if (r->engine.now_ns < job->deadline_ns) {
            request->place = REQUEST_NEW;
            engine_set_due(&r->engine, job, job->deadline_ns);
            redis_route(r, request);
            return;
        }
        redis_end_trouble(r, request, "");
        redis_release(r, request);
        return;
    case REQUEST_PARKED:
        request_list_remove(&r->parked, request);
        redis_end_asking(r, request);
        return;
    case REQUEST_WAITING: redis_expire_waiting(r, request); return;
    case REQUEST_HELD:
        link_take_back(request->link, request);
        reply          = request->reply;
        request->reply = NULL;
        redis_end_done(r, request, reply, false);
        redis_release(r, request);
        return;
    case REQUEST_SENT:
        request->is_behind = link_waits_for_replicas(request->link);
        redis_end(r, request, REDIS_LATE, FATE_UNKNOWN, NULL);
        link_miss(request->link, request); /* which may let go of it */
        return;
    case REQUEST_NEW: break;
    }
    INVARIANT(request->place != REQUEST_NEW);
}

/* ---- what links tell ---- */

/* The server that was asked is not the one that does it. */
static void redis_doubt(struct redis *r, struct link *link, enum trouble trouble) {
    if (r->url.kind == URL_CLUSTER) cluster_doubt(&r->cluster);
    if (r->url.kind == URL_SENTINEL) sentinel_doubt(&r->sentinel);
    /* Behind its name there may be another server by now. */
    if (r->url.kind == URL_STANDALONE) link_lose(link, &trouble, trouble_text(trouble));
}

static bool redis_redirect(struct redis *r, const struct link *link, struct request *request,
                           struct view said) {
    uint16_t        slot, port;
    struct view     name;
    struct url_host host = {0};
    if (r->url.kind != URL_CLUSTER || request->tries >= TRIES_MAX) return false;
    if (!trouble_redirect_parse(said, &slot, &name, &port) || name.bytes >= sizeof host.name)
        return false;
    memcpy(host.name, name.data, name.bytes);
    if (name.bytes == 0) memcpy(host.name, link->dial.host.name, sizeof host.name);
    host.port = port;

    struct node *node = client_node(r, &host);
    if (node == NULL) return false;
    client_count(r, CLIENT_REDIRECTS);
    request->tries++;
    request->is_asking = request->trouble == TROUBLE_ASK;
    if (request->trouble == TROUBLE_MOVED) {
        cluster_move(&r->cluster, slot, node);
        cluster_doubt(&r->cluster);
    }
    redis_send(r, node, request);
    return true;
}

/* In a Cluster nobody could tell otherwise who has refused it. */
static void redis_note_asked(struct request *request, const struct link *link) {
    char host[REDIS_SERVER_BYTES_MAX];
    url_host_write(&link->dial.host, host, sizeof host);
    if (request->asked != NULL && strcmp(request->asked, host) == 0) return;
    free(request->asked);
    request->asked = strdup(host);
}

static void redis_answered_trouble(struct redis *r, struct link *link, struct request *request,
                                   const struct redisReply *reply) {
    struct view said     = {reply->str, reply->len};
    request->has_trouble = true;
    request->trouble     = trouble_of(said);
    redis_note_asked(request, link);
    request->place = REQUEST_NEW;
    switch (trouble_cure(request->trouble)) {
    case TROUBLE_REDIRECT:
        if (redis_redirect(r, link, request, said)) return;
        break;
    case TROUBLE_LATER: redis_pause(r, request); return;
    case TROUBLE_ELSEWHERE:
        redis_pause(r, request);
        redis_doubt(r, link, request->trouble);
        return;
    case TROUBLE_LOAD:
    case TROUBLE_GIVE_UP: break;
    }
    redis_end_trouble(r, request, reply->str);
    redis_release(r, request);
}

static void redis_answered(void *owner, struct link *link, struct request *request,
                           struct redisReply *reply, bool is_confirmed) {
    struct redis *r = owner;
    if (request->is_own) {
        request_free(request);
        cluster_answered(&r->cluster, link, reply);
        freeReplyObject(reply);
    } else if (request->is_over) {
        freeReplyObject(reply);
        redis_release(r, request);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        redis_answered_trouble(r, link, request, reply);
        freeReplyObject(reply);
    } else {
        redis_end_done(r, request, reply, is_confirmed);
        redis_release(r, request);
    }
}

static void redis_dropped(void *owner, struct link *link, struct request *request, bool was_sent) {
    struct redis *r = owner;
    if (request->is_own) {
        request_free(request);
        cluster_answered(&r->cluster, link, NULL);
    } else if (request->is_over) {
        redis_release(r, request);
    } else if (was_sent) {
        redis_end(r, request, REDIS_LOST, FATE_UNKNOWN, link->problem);
        redis_release(r, request);
    } else {
        request->place = REQUEST_NEW;
        redis_route(r, request);
    }
}

static void redis_changed(void *owner, struct link *link) {
    struct redis *r = owner;
    if (link->state == LINK_UP) return;
    if (r->url.kind == URL_CLUSTER) cluster_doubt(&r->cluster);
    if (r->url.kind == URL_SENTINEL) sentinel_doubt(&r->sentinel);
}

/* RESP2 has no messages that nobody asked for, and a server that sends them is ignored. */
static void redis_heard(void *owner, struct link *link, const struct redisReply *message) {
    (void)owner;
    (void)link;
    (void)message;
}

/* ---- nodes ---- */

struct node *client_node(struct redis *r, const struct url_host *host) {
    for (unsigned i = 0; i < r->node_count; i++)
        if (node_is(r->nodes[i], host)) return r->nodes[i];
    if (r->node_count == CLIENT_NODES_MAX) return NULL;
    struct node *node = redis_node_new(r, host);
    if (node == NULL) return NULL;
    node->used_ns             = r->engine.now_ns;
    r->nodes[r->node_count++] = node;
    return node;
}

void client_forget(struct redis *r, struct node *node) {
    REQUIRE(node != NULL);
    for (unsigned i = 0; i < r->node_count; i++)
        if (r->nodes[i] == node) r->nodes[i] = r->nodes[--r->node_count];
    if (r->primary == node) r->primary = NULL;
    node_clear(node);
    node->next_gone = r->gone;
    r->gone         = node;
}

void client_set_primary(struct redis *r, const struct url_host *host) {
    struct node *old = r->primary;
    if (old != NULL && node_is(old, host)) return;
    struct node *node = redis_node_new(r, host);
    if (node == NULL) return;
    for (unsigned i = 0; i < node->link_count; i++) link_want(&node->links[i]);
    r->primary = node;
    if (old != NULL) {
        node_clear(old);
        old->next_gone = r->gone;
        r->gone        = old;
    }
    client_unpark(r);
}

void client_unpark(struct redis *r) {
    struct request_list parked = r->parked;
    struct request     *request;
    r->parked = (struct request_list){0};
    while ((request = request_list_take(&parked)) != NULL) redis_route(r, request);
}
