/* SPDX-License-Identifier: MIT */
#include "store/redis/sentinel.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "base/text.h"
#include "store/net/backoff.h"
#include "store/redis/client.h"

enum { LINK_ASKS, LINK_LISTENS, LINKS };

#define ASK_NS     UINT64_C(1000000000)
#define ASK_NS_DIM UINT64_C(100000000) /* while the primary is not there */

static const char channel[] = "+switch-master";

static void sentinel_answered(void *owner, struct link *link, struct request *request,
                              struct redisReply *reply, bool is_confirmed);
static void sentinel_dropped(void *owner, struct link *link, struct request *request,
                             bool was_sent);
static void sentinel_changed(void *owner, struct link *link);
static void sentinel_heard(void *owner, struct link *link, const struct redisReply *message);

static char *copy_of(const char *text) { return strdup(text != NULL ? text : ""); }

bool sentinel_init(struct sentinel *sentinel, struct redis *client,
                   const struct redis_options *options) {
    *sentinel = (struct sentinel){
        .client   = client,
        .user     = copy_of(options->sentinel_user),
        .password = copy_of(options->sentinel_password),
    };
    sentinel->setting = (struct link_setting){.loop       = &client->engine.loop,
                                              .random     = &client->random,
                                              .tls        = client->tls,
                                              .user       = sentinel->user,
                                              .password   = sentinel->password,
                                              .connect_ns = client->setting.connect_ns,
                                              .counts     = client->counts,
                                              .owner      = sentinel,
                                              .answered   = sentinel_answered,
                                              .dropped    = sentinel_dropped,
                                              .changed    = sentinel_changed,
                                              .heard      = sentinel_heard};
    /* Clients begin with different Sentinels. */
    sentinel->host_index = (unsigned)random_below(&client->random, client->url.host_count);
    return sentinel->user != NULL && sentinel->password != NULL;
}

void sentinel_clear(struct sentinel *sentinel) {
    if (sentinel->node != NULL) {
        node_clear(sentinel->node);
        node_free(sentinel->node);
    }
    free(sentinel->user);
    free(sentinel->password);
}

static bool primary_is_up(const struct redis *client) {
    return client->primary != NULL && client->primary->links[0].state == LINK_UP;
}

/* Between half and one and a half of a span, so that clients do not ask in step. */
static uint64_t about(struct random *random, uint64_t span_ns) {
    return span_ns / 2 + random_below(random, span_ns);
}

void sentinel_doubt(struct sentinel *sentinel) {
    uint64_t soon_ns =
        sentinel->client->engine.now_ns + about(&sentinel->client->random, ASK_NS_DIM) / 4;
    if (sentinel->ask_ns > soon_ns && sentinel->failures == 0) sentinel->ask_ns = soon_ns;
}

/* Leaves this Sentinel for the next, not sooner than a growing time after the last one. */
static void sentinel_leave(struct sentinel *sentinel, const char *problem) {
    if (sentinel->is_leaving) return;
    (void)snprintf(sentinel->problem, sizeof sentinel->problem, "%s", problem);
    sentinel->is_leaving = true;
    sentinel->is_asking  = false;
    sentinel->failures++;
    /* Each Sentinel of the URL gets its first try at once. */
    unsigned rounds  = sentinel->failures / sentinel->client->url.host_count;
    sentinel->ask_ns = sentinel->client->engine.now_ns +
                       (rounds > 0 ? backoff_ns(&sentinel->client->random, rounds) : 0);
}

static bool sentinel_change(struct sentinel *sentinel) {
    struct redis *client = sentinel->client;
    if (sentinel->node != NULL) {
        struct node *old = sentinel->node;
        sentinel->node   = NULL;
        node_clear(old);
        old->next_gone = client->gone;
        client->gone   = old;
        sentinel->host_index++;
    }
    sentinel->is_leaving         = false;
    sentinel->is_asking          = false;
    const struct url_host *hosts = client->url.hosts;
    unsigned               at    = sentinel->host_index % client->url.host_count;
    sentinel->node               = node_new(&sentinel->setting, &hosts[at], LINKS);
    if (sentinel->node == NULL) return false;
    link_want(&sentinel->node->links[LINK_ASKS]);
    link_want(&sentinel->node->links[LINK_LISTENS]);
    return true;
}

static void sentinel_ask(struct sentinel *sentinel) {
    struct redis   *client  = sentinel->client;
    struct view     words[] = {view_of("SENTINEL"), view_of("GET-MASTER-ADDR-BY-NAME"),
                               view_of(client->url.name)};
    struct request *request = client_ask(words, 3);
    if (request == NULL) return;
    sentinel->is_asking = true;
    client_count(client, CLIENT_REFRESHES);
    link_send(&sentinel->node->links[LINK_ASKS], request);
}

uint64_t sentinel_turn(struct sentinel *sentinel, uint64_t now_ns) {
    struct redis *client = sentinel->client;
    bool          is_due = now_ns >= sentinel->ask_ns;
    if (is_due && (sentinel->node == NULL || sentinel->is_leaving) && !sentinel_change(sentinel))
        return now_ns + ASK_NS;
    if (is_due && !sentinel->is_asking) {
        sentinel->ask_ns =
            now_ns + about(&client->random, primary_is_up(client) ? ASK_NS : ASK_NS_DIM);
        sentinel_ask(sentinel);
    }
    uint64_t next_ns = sentinel->is_asking ? UINT64_MAX : sentinel->ask_ns;
    for (unsigned i = 0; sentinel->node != NULL && i < LINKS; i++) {
        uint64_t link_ns = link_turn(&sentinel->node->links[i], now_ns);
        if (link_ns < next_ns) next_ns = link_ns;
    }
    /* What a link has just lost may have changed when to ask. */
    return sentinel->is_asking || next_ns < sentinel->ask_ns ? next_ns : sentinel->ask_ns;
}

static bool host_of(struct view name, struct view port, struct url_host *host) {
    uint64_t number = 0;
    *host           = (struct url_host){0};
    if (name.bytes == 0 || name.bytes >= sizeof host->name) return false;
    if (memchr(name.data, '\0', name.bytes) != NULL) return false;
    if (!text_number_parse(port, &number) || number == 0 || number > UINT16_MAX) return false;
    memcpy(host->name, name.data, name.bytes);
    host->port = (uint16_t)number;
    return true;
}

static struct view view_of_reply(const redisReply *reply) {
    if (reply->type != REDIS_REPLY_STRING) return (struct view){0};
    return (struct view){reply->str, reply->len};
}

static void sentinel_answered(void *owner, struct link *link, struct request *request,
                              struct redisReply *reply, bool is_confirmed) {
    struct sentinel *sentinel = owner;
    struct redis    *client   = sentinel->client;
    (void)is_confirmed;
    request_free(request);
    if (link != &sentinel->node->links[LINK_ASKS]) {
        freeReplyObject(reply);
        return;
    }
    struct url_host host;
    char            problem[REDIS_PROBLEM_BYTES_MAX];
    sentinel->is_asking = false;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        host_of(view_of_reply(reply->element[0]), view_of_reply(reply->element[1]), &host)) {
        sentinel->failures   = 0;
        sentinel->problem[0] = '\0';
        client_set_primary(client, &host);
    } else {
        bool        is_error = reply->type == REDIS_REPLY_ERROR;
        const char *said     = is_error ? reply->str : "";
        bool        is_other =
            is_error && trouble_of((struct view){reply->str, reply->len}) == TROUBLE_COMMAND;
        (void)snprintf(problem, sizeof problem, "%s:%u: %s%s%s%.100s", link->dial.host.name,
                       link->dial.host.port,
                       is_other ? "the server is no Sentinel; use redis:// or redis+cluster://"
                                : "the Sentinel knows no primary called ",
                       is_other ? "" : client->url.name, is_error ? ": " : "", said);
        sentinel_leave(sentinel, problem);
    }
    freeReplyObject(reply);
}

static void sentinel_dropped(void *owner, struct link *link, struct request *request,
                             bool was_sent) {
    (void)owner;
    (void)link;
    (void)was_sent;
    request_free(request);
}

/* A Sentinel that we cannot talk to on one connection is left on both. */
static void sentinel_changed(void *owner, struct link *link) {
    struct sentinel *sentinel = owner;
    if (link->state != LINK_UP) {
        sentinel_leave(sentinel, link->problem);
        return;
    }
    if (link != &sentinel->node->links[LINK_LISTENS]) return;
    struct view     words[] = {view_of("SUBSCRIBE"), view_of(channel)};
    struct request *request = client_ask(words, 2);
    if (request == NULL) return;
    link->is_listening = true;
    link_send(link, request);
}

/* "name old-host old-port new-host new-port" */
static void sentinel_heard(void *owner, struct link *link, const struct redisReply *message) {
    struct sentinel *sentinel = owner;
    (void)link;
    if (message->elements != 3 || message->element[2]->type != REDIS_REPLY_STRING) return;
    struct view rest = view_of_reply(message->element[2]), words[5];
    for (int i = 0; i < 5; i++) {
        const char *blank = rest.bytes > 0 ? memchr(rest.data, ' ', rest.bytes) : NULL;
        size_t      bytes = blank != NULL ? (size_t)(blank - rest.data) : rest.bytes;
        words[i]          = (struct view){rest.data, bytes};
        rest              = view_from(rest, bytes < rest.bytes ? bytes + 1 : bytes);
    }
    struct url_host host;
    if (!view_equals(words[0], view_of(sentinel->client->url.name))) return;
    if (host_of(words[3], words[4], &host)) client_set_primary(sentinel->client, &host);
}
