/* SPDX-License-Identifier: MIT
 *
 * commands_session: what clients say about the connection itself, most of it before their first
 * question. Error texts are Redis's where a client may look at them. */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "server/commands.h"

void answer_ping(const struct batch *batch, const struct call *call, struct reply *reply) {
    (void)batch;
    if (call->word_count == 1)
        reply_simple(reply, "PONG");
    else if (call->word_count == 2)
        reply_bulk(reply, call->words[1]);
    else
        command_answer_misused(call->command, reply);
}

void answer_echo(const struct batch *batch, const struct call *call, struct reply *reply) {
    (void)batch;
    reply_bulk(reply, call->words[1]);
}

void answer_select(const struct batch *batch, const struct call *call, struct reply *reply) {
    (void)batch;
    if (word_is(call->words[1], "0"))
        reply_simple(reply, "OK");
    else
        reply_error(reply, "ERR DB index is out of range");
}

void answer_quit(const struct batch *batch, const struct call *call, struct reply *reply) {
    (void)batch;
    (void)call;
    reply_simple(reply, "OK");
}

void answer_reset(const struct batch *batch, const struct call *call, struct reply *reply) {
    (void)batch;
    call->session->protocol = 2;
    call->session->silence  = SESSION_ANSWERS;
    call->session->name[0]  = '\0';
    reply_simple(reply, "RESET");
}

/* ---- AUTH, HELLO ---- */

/* There is no password, so the one user there is may give any; what is wrong with the words, or NULL. */
static const char *login_problem(struct view user) {
    if (word_is(user, "default")) return NULL;
    return "WRONGPASS invalid username-password pair or user is disabled.";
}

void answer_auth(const struct batch *batch, const struct call *call, struct reply *reply) {
    (void)batch;
    const char *problem = NULL;
    if (call->word_count > 3)
        problem = "ERR syntax error";
    else if (call->word_count == 3)
        problem = login_problem(call->words[1]);
    else
        problem =
            "ERR AUTH <password> called without any password configured for the default user. "
            "Are you sure your configuration is correct?";
    if (problem != NULL)
        reply_error(reply, problem);
    else
        reply_simple(reply, "OK");
}

static const char *name_set(struct session *session, struct view name) {
    if (name.bytes > SESSION_NAME_BYTES_MAX) return "ERR Client names have at most 63 bytes here.";
    for (size_t i = 0; i < name.bytes; i++)
        if (name.data[i] < '!' || name.data[i] > '~')
            return "ERR Client names cannot contain spaces, newlines or special characters.";
    if (name.bytes > 0) memcpy(session->name, name.data, name.bytes);
    session->name[name.bytes] = '\0';
    return NULL;
}

static void describe_server(const struct session *session, struct reply *reply) {
    reply_map(reply, 7);
    reply_text(reply, "server");
    reply_text(reply, "weir");
    reply_text(reply, "version");
    reply_text(reply, weir_version());
    reply_text(reply, "proto");
    reply_integer(reply, session->protocol);
    reply_text(reply, "id");
    reply_integer(reply, (int64_t)session->id);
    reply_text(reply, "mode");
    reply_text(reply, "standalone");
    reply_text(reply, "role");
    reply_text(reply, "master");
    reply_text(reply, "modules");
    reply_array(reply, 0);
}

void answer_hello(const struct batch *batch, const struct call *call, struct reply *reply) {
    (void)batch;
    const struct view *words    = call->words;
    uint64_t           protocol = call->session->protocol;
    const char        *problem  = NULL;
    struct view        name     = {0};
    bool               has_name = false;

    if (call->word_count > 1 && !text_number_parse(words[1], &protocol))
        problem = "ERR Protocol version is not an integer or out of range";
    else if (protocol != 2 && protocol != 3)
        problem = "NOPROTO unsupported protocol version";
    for (size_t i = 2; i < call->word_count && problem == NULL;) {
        size_t left = call->word_count - i;
        if (word_is(words[i], "auth") && left >= 3) {
            problem = login_problem(words[i + 1]);
            i += 3;
        } else if (word_is(words[i], "setname") && left >= 2) {
            name     = words[i + 1];
            has_name = true;
            i += 2;
        } else {
            reply_error_about(reply, "ERR Syntax error in HELLO option ", words[i]);
            return;
        }
    }
    if (problem == NULL && has_name) problem = name_set(call->session, name);
    if (problem != NULL) {
        reply_error(reply, problem);
        return;
    }
    call->session->protocol = (uint8_t)protocol;
    reply->protocol         = call->session->protocol;
    describe_server(call->session, reply);
}

/* ---- CLIENT ---- */

static struct view describe_client(const struct batch *batch, const struct session *session,
                                   char *out, size_t room) {
    uint64_t age_s = (batch->now_ns - session->started_ns) / (uint64_t)WEIR_SECOND;
    int      bytes = snprintf(out, room, "id=%" PRIu64 " name=%s age=%" PRIu64 " db=0 resp=%u\n",
                              session->id, session->name, age_s, (unsigned)session->protocol);
    return (struct view){.data = out, .bytes = (size_t)bytes};
}

static bool client_reply(struct session *session, struct view how, struct reply *reply) {
    if (word_is(how, "on")) {
        session->silence = SESSION_ANSWERS;
        reply_simple(reply, "OK");
    } else if (word_is(how, "off")) {
        session->silence = SESSION_IS_SILENT;
    } else if (word_is(how, "skip")) {
        if (session->silence != SESSION_IS_SILENT) session->silence = SESSION_SKIPS_ONE;
    } else {
        return false;
    }
    return true;
}

void answer_client(const struct batch *batch, const struct call *call, struct reply *reply) {
    struct session    *session = call->session;
    const struct view *words   = call->words;
    size_t             count   = call->word_count;
    char               line[256];

    if (word_is(words[1], "id") && count == 2) {
        reply_integer(reply, (int64_t)session->id);
    } else if (word_is(words[1], "getname") && count == 2) {
        if (session->name[0] != '\0')
            reply_text(reply, session->name);
        else
            reply_null(reply);
    } else if (word_is(words[1], "setname") && count == 3) {
        const char *problem = name_set(session, words[2]);
        if (problem != NULL)
            reply_error(reply, problem);
        else
            reply_simple(reply, "OK");
    } else if (word_is(words[1], "setinfo") && count == 4) {
        bool is_known = word_is(words[2], "lib-name") || word_is(words[2], "lib-ver");
        if (is_known)
            reply_simple(reply, "OK");
        else
            reply_error_about(reply, "ERR Unrecognized option ", words[2]);
    } else if ((word_is(words[1], "info") && count == 2) || word_is(words[1], "list")) {
        /* Other threads' connections are theirs: the list holds the one that asks. */
        reply_verbatim(reply, describe_client(batch, session, line, sizeof line));
    } else if ((word_is(words[1], "no-evict") || word_is(words[1], "no-touch")) && count == 3) {
        reply_simple(reply, "OK");
    } else if (!(word_is(words[1], "reply") && count == 3 &&
                 client_reply(session, words[2], reply))) {
        reply_error_about(reply, "ERR unknown subcommand or wrong number of arguments for CLIENT ",
                          words[1]);
    }
}
