/* SPDX-License-Identifier: MIT */
#include "store/redis/link.h"

#include <hiredis/hiredis.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "store/net/backoff.h"
#include "store/redis/word.h"

enum {
    READ_BYTES       = 16 * 1024,
    READS_MAX        = 32,               /* in one turn, so that others have theirs */
    UNSENT_BYTES_MAX = 256 * 1024,       /* then commands wait in line */
    REPLY_BYTES_MAX  = 64 * 1024 * 1024, /* one reply; larger, and the server is none */
    ELEMENTS_MAX     = 1 << 20,          /* of one array in it */
    TRIES_MAX        = 16,               /* of giving one request's script to the server */
    OWN_WORDS_MAX    = 4,
    NS_PER_MS        = 1000000,

    /* A server confirms one batch after the other. Where that is quick, a second one that is there
     * already doubles what goes through (10 commands a batch: 25,000 a second for 12,000). Where it is
     * not, a command behind two batches takes three times as long as one alone, and a permit that takes
     * more than twice as long is not used: with a replica 140 ms away half as much was admitted, and
     * with 64 batches nothing. So there is a second only while both together are quick. */
    CONFIRM_NS_SHORT = NS_PER_MS,
};

static void link_begin(struct link *link);
static void link_dialed(struct link *link, enum dial_outcome outcome);
static void link_greet(struct link *link);
static void link_read(struct link *link);
static void link_take_reply(struct link *link, redisReply *reply);
static void link_fill(struct link *link);
static void link_flush(struct link *link);
static void link_lose_text(struct link *link, const char *problem);

static void link_count(const struct link *link, enum link_count which) {
    atomic_fetch_add_explicit(&link->setting->counts[which], 1, memory_order_relaxed);
}

/* ---- coming and going ---- */

void link_init(struct link *link, const struct link_setting *setting, const struct url_host *host) {
    memset(link, 0, sizeof *link);
    link->setting = setting;
    link->dial =
        (struct dial){.loop = setting->loop, .owner = link, .tls = setting->tls, .host = *host};
    link->retry_ns   = UINT64_MAX;
    link->confirm_ns = UINT64_MAX;
}

void link_want(struct link *link) {
    if (link->is_wanted) return;
    link->is_wanted = true;
    link->retry_ns  = 0;
}

bool link_is_hopeless(const struct link *link) {
    return link->state != LINK_UP && link->failures >= LINK_OPEN_MISSES;
}

void link_problem_write(const struct link *link, char out[REDIS_PROBLEM_BYTES_MAX]) {
    char        host[REDIS_SERVER_BYTES_MAX];
    const char *text = redis_status_text(REDIS_UNREACHABLE);
    if (link->problem[0] != '\0') {
        memcpy(out, link->problem, sizeof link->problem);
        return;
    }
    /* The first attempt has not come to an end yet. */
    if (link->state == LINK_DIALING) text = dial_text(&link->dial);
    if (link->state == LINK_GREETING) text = dial_silence_text(&link->dial);
    if (link->state == LINK_UP) text = "it has not answered yet";
    url_host_write(&link->dial.host, host, sizeof host);
    (void)snprintf(out, REDIS_PROBLEM_BYTES_MAX, "%s: %s", host, text);
}

/* Leaves nothing of a connection, or of the attempt to have one. */
static void link_end_connection(struct link *link) {
    dial_cancel(&link->dial);
    if (link->state >= LINK_GREETING) {
        loop_remove(link->setting->loop, link->stream.socket);
        stream_close(&link->stream);
    }
    if (link->reader != NULL) redisReaderFree(link->reader);
    link->reader       = NULL;
    link->state        = LINK_RESTING;
    link->is_listening = false;
    link->unsent_from = link->unsent_to = 0;
    link->unknown                       = NULL;
    link->is_loading                    = false;
    link->misses                        = 0;
    link->wait_count                    = 0;
    link->flight_count                  = 0;
    link->batch_done                    = link->batch;
    link->confirm_ns                    = UINT64_MAX;
}

/* What the link had, apart from the link: it may be given new things while it lets go of these. */
struct left_over {
    struct request_list again;
    struct request_list waiting;
    struct request_list held;
    struct request_list sent;
    struct request_list unsent; /* appended to the stream, which took not all of them */
};

static struct left_over link_empty(struct link *link) {
    struct left_over left = {.again = link->again, .waiting = link->waiting, .held = link->held};
    link->again = link->waiting = link->held = (struct request_list){0};
    for (; link->expected_count > 0; link->expected_count--) {
        struct link_expected *expected = &link->expected[link->expected_first];
        link->expected_first           = (link->expected_first + 1) % LINK_EXPECTED_MAX;
        if (expected->purpose != LINK_COMMAND) continue;
        bool is_sent = expected->request->end_offset <= link->sent_bytes;
        request_list_append(is_sent ? &left.sent : &left.unsent, expected->request);
    }
    return left;
}

static void link_drop_all(struct link *link, struct request_list *list, bool was_sent) {
    struct request *request;
    while ((request = request_list_take(list)) != NULL) {
        request->link = NULL;
        link->setting->dropped(link->setting->owner, link, request, was_sent);
    }
}

/* A held one has its reply already; that replicas have it will not be known. What a server surely did not
 * get whole is in front of what is still in line, as it was sent before. */
static void link_let_go(struct link *link, struct left_over *left) {
    const struct link_setting *setting = link->setting;
    struct request            *request;
    while ((request = request_list_take(&left->held)) != NULL) {
        redisReply *reply = request->reply;
        request->reply    = NULL;
        request->link     = NULL;
        setting->answered(setting->owner, link, request, reply, false);
    }
    link_drop_all(link, &left->sent, true);
    link_drop_all(link, &left->unsent, false);
    link_drop_all(link, &left->again, false);
    link_drop_all(link, &left->waiting, false);
}

void link_clear(struct link *link) {
    struct left_over left = link_empty(link);
    link_end_connection(link);
    free(link->unsent);
    link->unsent      = NULL;
    link->unsent_room = 0;
    link_let_go(link, &left);
}

void link_lose(struct link *link, const enum trouble *trouble, const char *problem) {
    char host[REDIS_SERVER_BYTES_MAX];
    url_host_write(&link->dial.host, host, sizeof host);
    (void)snprintf(link->problem, sizeof link->problem, "%s: %s", host, problem);
    link->has_trouble = trouble != NULL;
    if (trouble != NULL) link->trouble = *trouble;

    struct left_over left = link_empty(link);
    link_end_connection(link);
    link_count(link, LINK_LOSSES);
    link->failures++;
    /* Nobody waits for what only a person can change. */
    if (trouble != NULL && trouble_cure(*trouble) == TROUBLE_GIVE_UP &&
        link->failures < LINK_OPEN_MISSES)
        link->failures = LINK_OPEN_MISSES;
    link->retry_ns = link->now_ns + backoff_ns(link->setting->random, link->failures);
    link->setting->changed(link->setting->owner, link);
    link_let_go(link, &left);
}

static void link_lose_text(struct link *link, const char *problem) {
    link_lose(link, NULL, problem);
}

/* ---- connecting ---- */

static void link_begin(struct link *link) {
    link_count(link, LINK_CONNECTS);
    link_dialed(link, dial_begin(&link->dial));
}

static void link_dialed(struct link *link, enum dial_outcome outcome) {
    link->state    = LINK_DIALING;
    link->since_ns = link->now_ns;
    if (outcome == DIAL_DONE) link_greet(link);
    if (outcome == DIAL_FAILED) link_lose_text(link, link->dial.problem);
}

void link_looked_up(struct link *link, uint64_t now_ns) {
    link->now_ns = now_ns;
    link_dialed(link, dial_looked_up(&link->dial));
}

static void link_expect(struct link *link, enum link_purpose purpose, struct request *request) {
    INVARIANT(link->expected_count < LINK_EXPECTED_MAX);
    uint32_t at        = (link->expected_first + link->expected_count) % LINK_EXPECTED_MAX;
    link->expected[at] = (struct link_expected){.purpose = purpose, .request = request};
    /* From now on the server is asked: it has been silent since now, and not since we last spoke. */
    if (link->expected_count++ == 0) link->since_ns = link->now_ns;
}

/* Room for so many more bytes; NULL: no memory. */
static char *link_room(struct link *link, size_t bytes) {
    if (link->unsent_from == link->unsent_to) link->unsent_from = link->unsent_to = 0;
    if (link->unsent_room - link->unsent_to >= bytes) return link->unsent + link->unsent_to;

    size_t used = link->unsent_to - link->unsent_from;
    if (used > 0) memmove(link->unsent, link->unsent + link->unsent_from, used);
    link->unsent_from = 0;
    link->unsent_to   = used;
    if (link->unsent_room - used < bytes) {
        size_t room   = 2 * (used + bytes);
        char  *larger = realloc(link->unsent, room);
        if (larger == NULL) return NULL;
        link->unsent      = larger;
        link->unsent_room = room;
    }
    return link->unsent + link->unsent_to;
}

/* Sends a command of our own. False: no memory. */
static bool link_say(struct link *link, enum link_purpose purpose, const struct view *words,
                     unsigned count) {
    size_t bytes = WORD_COUNT_BYTES_MAX;
    for (unsigned i = 0; i < count; i++) bytes += word_bytes(words[i].bytes);
    char *from = link_room(link, bytes);
    if (from == NULL) return false;
    char *at = word_count_write(from, count);
    for (unsigned i = 0; i < count; i++) at = word_write(at, words[i]);
    link->unsent_to += (size_t)(at - from);
    link_expect(link, purpose, NULL);
    return true;
}

static bool link_say_word(struct link *link, enum link_purpose purpose, const char *word) {
    return link_say(link, purpose, &(struct view){.data = word, .bytes = strlen(word)}, 1);
}

static bool link_say_number(struct link *link, enum link_purpose purpose, const char *word,
                            uint64_t number) {
    char        digits[20];
    char       *end     = word_digits_write(digits, number);
    struct view words[] = {view_of(word), {digits, (size_t)(end - digits)}};
    return link_say(link, purpose, words, 2);
}

static bool link_say_auth(struct link *link) {
    const struct link_setting *setting = link->setting;
    if (setting->password == NULL || setting->password[0] == '\0') return true;
    struct view words[OWN_WORDS_MAX];
    unsigned    count = 0;
    words[count++]    = view_of("AUTH");
    if (setting->user != NULL && setting->user[0] != '\0') words[count++] = view_of(setting->user);
    words[count++] = view_of(setting->password);
    return link_say(link, LINK_AUTH, words, count);
}

/* All of the greeting at once: it costs one trip. */
static void link_greet(struct link *link) {
    link->stream     = link->dial.stream;
    link->interest   = LOOP_WRITE;
    link->reader     = redisReaderCreate();
    link->sent_bytes = 0;
    link->state      = LINK_GREETING;
    bool is_said     = link->reader != NULL && link_say_auth(link);
    if (is_said && link->setting->database > 0)
        is_said = link_say_number(link, LINK_SELECT, "SELECT", link->setting->database);
    if (is_said && link->setting->is_whole_wanted)
        is_said = link_say_word(link, LINK_MODE, "HELLO");
    if (is_said && link->setting->is_primary_wanted)
        is_said = link_say_word(link, LINK_ROLE, "ROLE");
    if (is_said) is_said = link_say_word(link, LINK_HELLO_PING, "PING");
    if (!is_said) {
        link_lose_text(link, "out of memory");
        return;
    }
    link->reader->maxelements = ELEMENTS_MAX;
    link_flush(link);
}

static void link_be_up(struct link *link) {
    link->state       = LINK_UP;
    link->problem[0]  = '\0';
    link->has_trouble = false;
    link->setting->changed(link->setting->owner, link);
}

/* ---- events ---- */

void link_react(struct link *link, const struct loop_event *event, uint64_t now_ns) {
    link->now_ns = now_ns;
    if (link->state == LINK_DIALING && (event->is_writable || event->is_broken)) {
        link_dialed(link, dial_react(&link->dial));
        return;
    }
    if (link->state >= LINK_GREETING && (event->is_readable || event->is_broken)) link_read(link);
    /* A TLS session may have to send before it can read, and to read before it can send. */
    if (link->state >= LINK_GREETING) link_flush(link);
}

static void link_lose_stream(struct link *link, enum socket_outcome outcome) {
    char problem[REDIS_PROBLEM_BYTES_MAX];
    if (outcome == SOCKET_LOST && stream_problem(&link->stream, problem, sizeof problem)) {
        link_lose_text(link, problem);
    } else if (link->state == LINK_GREETING && link->setting->tls == NULL) {
        link_lose_text(link,
                       "the server hangs up before it has answered; does it want TLS (rediss://)?");
    } else {
        link_lose_text(link, outcome == SOCKET_ENDED ? "the server has hung up"
                                                     : "the connection is gone");
    }
}

static void link_read(struct link *link) {
    char bytes[READ_BYTES];
    for (int i = 0; i < READS_MAX && link->state >= LINK_GREETING; i++) {
        size_t              count   = 0;
        enum socket_outcome outcome = stream_read(&link->stream, bytes, sizeof bytes, &count);
        if (outcome == SOCKET_WAIT) return;
        if (outcome != SOCKET_DONE) {
            link_lose_stream(link, outcome);
            return;
        }
        link->since_ns = link->now_ns;
        link->misses   = 0;

        void *reply = NULL;
        int   state = redisReaderFeed(link->reader, bytes, count);
        while (state == REDIS_OK &&
               (state = redisReaderGetReply(link->reader, &reply)) == REDIS_OK && reply != NULL) {
            link_take_reply(link, reply);
            if (link->state < LINK_GREETING) return;
        }
        if (state != REDIS_OK || link->reader->len > REPLY_BYTES_MAX) {
            char problem[REDIS_PROBLEM_BYTES_MAX];
            (void)snprintf(problem, sizeof problem,
                           "what comes from there is not Redis' protocol (%s)",
                           state != REDIS_OK ? link->reader->errstr : "a reply without end");
            link_lose_text(link, problem);
            return;
        }
    }
}

/* ---- replies ---- */

static void link_take_greeting(struct link *link, enum link_purpose purpose, redisReply *reply);
static void link_take_command(struct link *link, struct request *request, redisReply *reply);
static void link_take_wait(struct link *link, const redisReply *reply);
static void link_take_load(struct link *link, const redisReply *reply);

static bool is_message(const redisReply *reply) {
    return reply->type == REDIS_REPLY_PUSH ||
           (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
            reply->element[0]->type == REDIS_REPLY_STRING &&
            strcmp(reply->element[0]->str, "message") == 0);
}

static void link_take_reply(struct link *link, redisReply *reply) {
    if (is_message(reply) && (link->is_listening || reply->type == REDIS_REPLY_PUSH)) {
        link->setting->heard(link->setting->owner, link, reply);
        freeReplyObject(reply);
        return;
    }
    if (link->expected_count == 0) {
        char problem[REDIS_PROBLEM_BYTES_MAX];
        bool is_error = reply->type == REDIS_REPLY_ERROR;
        (void)snprintf(problem, sizeof problem, "the server says what nobody asked: %.200s",
                       is_error ? reply->str : "not an error");
        freeReplyObject(reply);
        link_lose_text(link, problem);
        return;
    }
    struct link_expected expected = link->expected[link->expected_first];
    link->expected_first          = (link->expected_first + 1) % LINK_EXPECTED_MAX;
    link->expected_count--;

    switch (expected.purpose) {
    case LINK_COMMAND: link_take_command(link, expected.request, reply); return;
    case LINK_WAIT: link_take_wait(link, reply); break;
    case LINK_LOAD: link_take_load(link, reply); break;
    case LINK_IDLE_PING:
    case LINK_ASKING: break;
    case LINK_AUTH:
    case LINK_SELECT:
    case LINK_MODE:
    case LINK_ROLE:
    case LINK_HELLO_PING: link_take_greeting(link, expected.purpose, reply); break;
    }
    freeReplyObject(reply);
}

/* Who does not understand AUTH repeats what was said to it, with the password. So the words of a server are
 * told on only where they are those of Redis, and never with the password in them. */
static bool may_be_repeated(const struct link *link, enum link_purpose purpose,
                            enum trouble trouble, const char *said) {
    const char *password = link->setting->password;
    bool        is_known = trouble != TROUBLE_COMMAND && trouble != TROUBLE_SCRIPT;
    if (purpose == LINK_AUTH && !is_known) return false;
    return password == NULL || password[0] == '\0' || strstr(said, password) == NULL;
}

static void link_lose_greeting(struct link *link, enum link_purpose purpose,
                               const redisReply *reply) {
    char         problem[REDIS_PROBLEM_BYTES_MAX];
    enum trouble trouble = trouble_of((struct view){reply->str, reply->len});
    bool         is_said = may_be_repeated(link, purpose, trouble, reply->str);
    const char  *text    = purpose == LINK_AUTH && trouble == TROUBLE_SCRIPT
                               ? "the server refuses the login of the URL (AUTH)"
                               : trouble_text(trouble);
    (void)snprintf(problem, sizeof problem, "%s%s%.200s%s", text, is_said ? " (" : "",
                   is_said ? reply->str : "", is_said ? ")" : "");
    link_lose(link, &trouble, problem);
}

/* HELLO is the one command that tells it to every user, whatever their ACL. One server of a Cluster that has
 * the slot would answer, and grant what the Cluster, in other slots, grants once more. */
static void link_take_mode(struct link *link, const redisReply *reply) {
    enum trouble trouble = TROUBLE_SCRIPT;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2) {
        const redisReply *name = reply->element[i], *value = reply->element[i + 1];
        if (name->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING) continue;
        if (strcmp(name->str, "mode") != 0) continue;
        if (strcmp(value->str, "cluster") == 0) trouble = TROUBLE_IN_CLUSTER;
        if (strcmp(value->str, "sentinel") == 0) trouble = TROUBLE_SENTINEL;
    }
    if (trouble != TROUBLE_SCRIPT) link_lose(link, &trouble, trouble_text(trouble));
}

/* Whether a server only does not tell what it is: it does not know HELLO, or not like this. */
static bool is_untold(const redisReply *reply) {
    enum trouble trouble = trouble_of((struct view){reply->str, reply->len});
    return trouble == TROUBLE_COMMAND || trouble == TROUBLE_SCRIPT || trouble == TROUBLE_NOPERM;
}

static void link_take_greeting(struct link *link, enum link_purpose purpose, redisReply *reply) {
    if (reply->type == REDIS_REPLY_ERROR) {
        if (purpose != LINK_MODE || !is_untold(reply)) link_lose_greeting(link, purpose, reply);
        return;
    }
    if (purpose == LINK_MODE) link_take_mode(link, reply);
    if (purpose == LINK_ROLE) {
        bool is_primary = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                          reply->element[0]->type == REDIS_REPLY_STRING &&
                          strcmp(reply->element[0]->str, "master") == 0;
        enum trouble trouble = TROUBLE_READONLY;
        if (!is_primary)
            link_lose(link, &trouble, "the Sentinels name it, but it is no primary (yet)");
    }
    if (purpose == LINK_HELLO_PING) link_be_up(link);
}

/* The server has forgotten the script (SCRIPT FLUSH, a restart, a failover). What was sent before is let
 * come back first; then the text goes, and then all again in order. */
static void link_learn(struct link *link, struct request *request) {
    if (link->unknown == NULL) link->unknown = request->script;
    request->tries++;
    request->place = REQUEST_WAITING;
    request_list_append(&link->again, request);
}

static void link_take_command(struct link *link, struct request *request, redisReply *reply) {
    link->flight_count--;
    bool         is_error = reply->type == REDIS_REPLY_ERROR;
    enum trouble trouble =
        is_error ? trouble_of((struct view){reply->str, reply->len}) : TROUBLE_SCRIPT;
    /* A server that only says that it is not the right one has not come back. */
    if (trouble_cure(trouble) != TROUBLE_ELSEWHERE) link->failures = 0;
    bool is_unknown = trouble == TROUBLE_NOSCRIPT && request->script != NULL && !request->is_over &&
                      request->tries < TRIES_MAX;
    if (is_unknown) {
        freeReplyObject(reply);
        link_learn(link, request);
        return;
    }
    bool is_held = request->batch > link->batch_done && request->wants_replicas &&
                   !request->is_over && !is_error;
    if (is_held) {
        request->reply = reply;
        request->place = REQUEST_HELD;
        request_list_append(&link->held, request);
        return;
    }
    request->link = NULL;
    link->setting->answered(link->setting->owner, link, request, reply, false);
}

static void link_take_wait(struct link *link, const redisReply *reply) {
    bool is_confirmed =
        reply->type == REDIS_REPLY_INTEGER && reply->integer >= (long long)link->setting->replicas;
    link->wait_count--;
    link->batch_done++;
    link->confirm_ns = link->now_ns - link->batch_sent_ns[link->batch_done % LINK_BATCHES_MAX];
    while (link->held.first != NULL && link->held.first->batch <= link->batch_done) {
        struct request *request = request_list_take(&link->held);
        redisReply     *answer  = request->reply;
        request->reply          = NULL;
        request->link           = NULL;
        link->setting->answered(link->setting->owner, link, request, answer, is_confirmed);
    }
}

/* A server that takes no scripts is of no use, and says why. */
static void link_take_load(struct link *link, const redisReply *reply) {
    link->is_loading = false;
    if (reply->type != REDIS_REPLY_ERROR) return;
    enum trouble trouble = trouble_of((struct view){reply->str, reply->len});
    char         problem[REDIS_PROBLEM_BYTES_MAX];
    (void)snprintf(problem, sizeof problem, "SCRIPT LOAD: %s (%.120s)", trouble_text(trouble),
                   reply->str);
    link_lose(link, &trouble, problem);
}

/* ---- sending ---- */

void link_send(struct link *link, struct request *request) {
    link_want(link);
    request->link  = link;
    request->place = REQUEST_WAITING;
    request_list_append(&link->waiting, request);
}

/* In which list it is cannot be told by its place, and need not be: both ends are looked at. */
void link_take_back(struct link *link, struct request *request) {
    REQUIRE(request->link == link);
    struct request_list *list = &link->held;
    if (request->place == REQUEST_WAITING) {
        list = &link->waiting;
        for (struct request *r = link->again.first; r != NULL; r = r->next)
            if (r == request) list = &link->again;
    } else {
        REQUIRE(request->place == REQUEST_HELD);
    }
    request_list_remove(list, request);
    request->link  = NULL;
    request->place = REQUEST_NEW;
}

void link_release(struct link *link) {
    struct request_list again = link->again, waiting = link->waiting;
    link->again = link->waiting = (struct request_list){0};
    link_drop_all(link, &again, false);
    link_drop_all(link, &waiting, false);
}

bool link_waits_for_replicas(const struct link *link) {
    return link->expected_count > 0 && link->expected[link->expected_first].purpose == LINK_WAIT;
}

/* Misses within one deadline are one: a pause of the server that is a little longer than a deadline must not
 * cost the connection, however many were waiting. */
void link_miss(struct link *link, const struct request *request) {
    link_count(link, LINK_MISSES);
    bool is_heard = link->since_ns > request->sent_ns;
    bool is_known = request->sent_ns < link->missed_ns;
    if (is_heard || is_known || link->state != LINK_UP) return;
    link->missed_ns = request->job.deadline_ns;
    if (++link->misses < LINK_OPEN_MISSES) return;
    if (link->failures + 1 < LINK_OPEN_MISSES) link->failures = LINK_OPEN_MISSES - 1;
    link_lose_text(link, "the server is connected and silent");
}

/* Moves one request from its line to the stream. False: no memory. */
static bool link_append(struct link *link, struct request *request) {
    if (request->is_asking && !link_say_word(link, LINK_ASKING, "ASKING")) return false;
    char *at = link_room(link, request->bytes);
    if (at == NULL) return false;
    memcpy(at, request->command, request->bytes);
    link->unsent_to += request->bytes;
    request->is_asking  = false;
    request->sent_ns    = link->now_ns;
    request->batch      = request->wants_replicas ? link->batch + 1 : 0;
    request->end_offset = link->sent_bytes + (link->unsent_to - link->unsent_from);
    request->place      = REQUEST_SENT;
    link->flight_count++;
    link_expect(link, LINK_COMMAND, request);
    return true;
}

/* Gives the server the text of the script that it does not know, when what was sent before has come
 * back. False: commands have to wait for that. */
static bool link_pass_barrier(struct link *link) {
    if (link->unknown == NULL) return !link->is_loading;
    if (link->flight_count > 0) return false;
    struct view words[] = {view_of("SCRIPT"), view_of("LOAD"), link->unknown->text};
    if (!link_say(link, LINK_LOAD, words, 3)) return false;
    link_count(link, LINK_LOADS);
    link->unknown    = NULL;
    link->is_loading = true;
    return false;
}

static bool link_has_room(const struct link *link) {
    return link->flight_count < LINK_FLIGHT_MAX &&
           link->unsent_to - link->unsent_from < UNSENT_BYTES_MAX &&
           link->expected_count + 4 <= LINK_EXPECTED_MAX;
}

static bool link_takes_batch(const struct link *link) {
    unsigned most = link->confirm_ns <= CONFIRM_NS_SHORT ? LINK_BATCHES_MAX : 1;
    return link->wait_count < most;
}

/* From the line to the stream: one batch. */
static void link_fill(struct link *link) {
    if (link->again.first == NULL && link->waiting.first == NULL) return;
    if (!link_takes_batch(link) || !link_pass_barrier(link)) return;

    bool is_waited_for = false;
    while (link_has_room(link)) {
        struct request_list *list    = link->again.first != NULL ? &link->again : &link->waiting;
        struct request      *request = list->first;
        if (request == NULL || !link_append(link, request)) break;
        is_waited_for |= request->wants_replicas;
        request_list_remove(list, request);
    }
    if (!is_waited_for) return;

    char        replicas[20], ms[20];
    char       *replicas_end = word_digits_write(replicas, link->setting->replicas);
    uint64_t    wait_ms      = link->setting->replicas_ns / NS_PER_MS;
    char       *ms_end  = word_digits_write(ms, wait_ms > 0 ? wait_ms : 1); /* 0 were for ever */
    struct view words[] = {view_of("WAIT"),
                           {replicas, (size_t)(replicas_end - replicas)},
                           {ms, (size_t)(ms_end - ms)}};
    if (!link_say(link, LINK_WAIT, words, 3)) {
        link_lose_text(link, "out of memory");
        return;
    }
    link->batch++;
    link->batch_sent_ns[link->batch % LINK_BATCHES_MAX] = link->now_ns;
    link->wait_count++;
    link_count(link, LINK_WAITS);
}

static void link_watch(struct link *link, unsigned interest) {
    if (link->interest == interest) return;
    link->interest = interest;
    loop_change(link->setting->loop, link->stream.socket, interest, link);
}

static void link_flush(struct link *link) {
    size_t bytes = link->unsent_to - link->unsent_from, taken = 0;
    if (bytes > 0 || stream_is_writing(&link->stream)) {
        enum socket_outcome outcome =
            stream_write(&link->stream, link->unsent + link->unsent_from, bytes, &taken);
        link->unsent_from += taken;
        link->sent_bytes += taken;
        if (taken > 0) link_count(link, LINK_WRITES);
        if (outcome == SOCKET_LOST || outcome == SOCKET_ENDED) {
            /* What the server said last may be in the way of reading, and tells more. */
            link_read(link);
            if (link->state >= LINK_GREETING) link_lose_stream(link, outcome);
            return;
        }
    }
    bool is_stuffed = stream_is_writing(&link->stream) ||
                      (link->stream.session == NULL && link->unsent_from < link->unsent_to);
    link_watch(link, is_stuffed ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

/* ---- time ---- */

/* When the link gives up or says something if nothing happens until then. */
static uint64_t link_due_ns(const struct link *link) {
    switch (link->state) {
    case LINK_RESTING: return link->retry_ns;
    case LINK_DIALING:
        /* A lookup ends by itself. */
        return link->dial.is_connecting ? link->since_ns + link->setting->connect_ns : UINT64_MAX;
    case LINK_GREETING:
    case LINK_UP:
        return patience_end_ns(&link->patience, link->since_ns, link->setting->connect_ns);
    }
    return UINT64_MAX;
}

/* Whether the server was silent for as long as it may be, and we were there to hear it. */
static bool link_is_deserted(struct link *link) {
    return patience_is_over(&link->patience, link->since_ns, link->setting->connect_ns,
                            link->now_ns);
}

static void link_be_due(struct link *link) {
    switch (link->state) {
    case LINK_RESTING: link_begin(link); return;
    case LINK_DIALING: link_dialed(link, dial_give_up(&link->dial)); return;
    case LINK_GREETING:
        if (!link_is_deserted(link)) return;
        link_lose_text(link, dial_silence_text(&link->dial));
        return;
    case LINK_UP: break;
    }
    if (link->expected_count > 0) {
        if (!link_is_deserted(link)) return;
        if (link->failures + 1 < LINK_OPEN_MISSES) link->failures = LINK_OPEN_MISSES - 1;
        link_lose_text(link, "the server is connected and silent");
    } else if (!link_say_word(link, LINK_IDLE_PING, "PING")) {
        link_lose_text(link, "out of memory");
    }
}

uint64_t link_turn(struct link *link, uint64_t now_ns) {
    link->now_ns = now_ns;
    if (now_ns >= link_due_ns(link)) link_be_due(link);
    if (link->state == LINK_UP) link_fill(link);
    if (link->state >= LINK_GREETING && link->unsent_from < link->unsent_to) link_flush(link);
    return link_due_ns(link);
}
