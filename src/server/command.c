/* SPDX-License-Identifier: MIT */
#include "server/command.h"

#include <stdio.h>

#include "server/commands.h"

/* The order is that of the search: the hottest first. */
static const struct command commands[] = {
    {"weir.allow", -4, COMMAND_FAST | COMMAND_WRITE, 1, 1, 1, "weir",
     "May the user act now? Counts the act if so: 1 yes, 0 no", "user limit window [cost]",
     .ask = ask_allow, .answer = answer_allow},
    {"cl.throttle", -1, COMMAND_FAST | COMMAND_WRITE, 1, 1, 1, "weir",
     "The same by GCRA, with the arguments and the answer of redis-cell",
     "key max_burst count period [quantity]", .ask = ask_throttle, .answer = answer_throttle},
    {"ping", -1, COMMAND_FAST, 0, 0, 0, "connection", "PONG, or the message", "[message]",
     .answer = answer_ping},
    {"weir.decide", -4, COMMAND_FAST | COMMAND_WRITE, 1, 1, 1, "weir",
     "May the user act now, what is left, and when to come back",
     "user limit window [COST n] [ALGORITHM strict|gcra|fixed] [BURST n] [PEEK]", .ask = ask_decide,
     .answer = answer_decide},
    {"weir.reset", -3, COMMAND_FAST | COMMAND_WRITE | COMMAND_ALONE, 1, 1, 1, "weir",
     "Forgets what the user has used", "user window [ALGORITHM strict|gcra|fixed]",
     .act = act_reset_user},
    {"weir.explain", -3, COMMAND_FAST, 0, 0, 0, "weir", "What a rule means in numbers",
     "limit window [ALGORITHM strict|gcra|fixed] [BURST n]", .answer = answer_explain},
    {"del", -2, COMMAND_WRITE | COMMAND_ALONE, 1, -1, 1, "weir",
     "Forgets what keys have used under CL.THROTTLE; how many had used anything", "key [key ...]",
     .act = act_del},
    {"echo", 2, COMMAND_FAST, 0, 0, 0, "connection", "The message", "message",
     .answer = answer_echo},
    {"hello", -1, COMMAND_FAST, 0, 0, 0, "connection",
     "Chooses RESP2 or RESP3 and tells who answers", "[2|3 [AUTH user password] [SETNAME name]]",
     .answer = answer_hello},
    {"auth", -2, COMMAND_FAST, 0, 0, 0, "connection", "There is no password: always refused",
     "[user] password", .answer = answer_auth},
    {"client", -2, COMMAND_FAST, 0, 0, 0, "connection", "About this connection",
     "ID|INFO|LIST|GETNAME|SETNAME name|SETINFO what value|REPLY ON|OFF|SKIP|NO-EVICT ON|OFF|NO-TOUCH ON|OFF",
     .answer = answer_client},
    {"select", 2, COMMAND_FAST, 0, 0, 0, "connection", "There is one database: 0", "0",
     .answer = answer_select},
    {"reset", 1, COMMAND_FAST, 0, 0, 0, "connection", "The connection is as when it was opened", "",
     .answer = answer_reset},
    {"quit", -1, COMMAND_FAST | COMMAND_LEAVES, 0, 0, 0, "connection",
     "OK, then the connection is closed", "", .answer = answer_quit},
    {"command", -1, COMMAND_ALONE, 0, 0, 0, "server", "What commands there are",
     "[COUNT|LIST|INFO [name ...]|DOCS [name ...]]", .answer = answer_command},
    {"info", -1, COMMAND_ALONE, 0, 0, 0, "server", "What the server is and has done",
     "[section ...]", .act = act_info},
    {"config", -2, COMMAND_ALONE, 0, 0, 0, "server",
     "What clients ask of a Redis server's settings", "GET pattern [pattern ...]",
     .answer = answer_config},
    {"dbsize", 1, COMMAND_FAST | COMMAND_ALONE, 0, 0, 0, "server", "Counters held now", "",
     .act = act_dbsize},
    {"time", 1, COMMAND_FAST, 0, 0, 0, "server", "Seconds and microseconds since 1970", "",
     .answer = answer_time},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

/* ---- names ---- */

/* Adds 0x20 to each byte from 'A' to 'Z', all eight at once: the two sums carry into the top bit of a
 * byte if it is at least 'A', and more than 'Z'. */
static uint64_t small_letters(uint64_t word) {
    const uint64_t ones      = UINT64_C(0x0101010101010101);
    uint64_t       low       = word & (0x7f * ones);
    uint64_t       from_a    = low + (0x80 - 'A') * ones;
    uint64_t       beyond_z  = low + (0x7f - 'Z') * ones;
    uint64_t       is_letter = (from_a ^ beyond_z) & ~word & (0x80 * ones);
    return word | is_letter >> 2;
}

/* A walk along the table with two comparisons a line: with the hottest names in front it costs less
 * than a hash, whose multiplications alone take as long as three lines. */
const struct command *command_find(struct view name) {
    if (name.bytes == 0 || name.bytes >= COMMAND_NAME_BYTES) return NULL;
    if (name.data[name.bytes - 1] == '\0')
        return NULL; /* it would look like the zeros behind a name */
    uint64_t asked[2] = {0, 0};
    memcpy(asked, name.data, name.bytes);
    asked[0] = small_letters(asked[0]);
    asked[1] = small_letters(asked[1]);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        uint64_t known[2];
        memcpy(known, commands[i].name, sizeof known);
        if (((known[0] ^ asked[0]) | (known[1] ^ asked[1])) == 0) return &commands[i];
    }
    return NULL;
}

size_t command_count(void) { return COMMAND_COUNT; }

const struct command *command_at(size_t index) { return &commands[index]; }

bool command_takes(const struct command *command, size_t word_count) {
    if (command->arity >= 0) return word_count == (size_t)command->arity;
    return word_count >= (size_t)-command->arity;
}

bool word_is(struct view word, const char *small) {
    for (size_t i = 0; i < word.bytes; i++) {
        char c = word.data[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c + ('a' - 'A'));
        if (c == '\0' || c != small[i]) return false;
    }
    return small[word.bytes] == '\0';
}

/* ---- errors ---- */

bool call_fail(struct call *call, const char *text, const struct view *word) {
    call->problem      = text;
    call->problem_word = word != NULL ? *word : (struct view){.data = NULL, .bytes = 0};
    return false;
}

/* The errors are in Redis's words, which clients know. */

/* Appends at most `room` bytes of a word, in quotes; returns the new end. */
static char *quote(char *at, struct view word, size_t room) {
    size_t bytes = word.bytes < room ? word.bytes : room;
    *at++        = '\'';
    memcpy(at, word.data, bytes);
    at += bytes;
    *at++ = '\'';
    return at;
}

void command_answer_unknown(const struct call *call, struct reply *reply) {
    static const char begin[] = "ERR unknown command ", middle[] = ", with args beginning with: ";
    char              text[sizeof begin + sizeof middle + 3 * REPLY_WORD_SHOWN_MAX + 16];
    char             *at = text;
    memcpy(at, begin, sizeof begin - 1);
    at = quote(at + sizeof begin - 1, call->words[0], REPLY_WORD_SHOWN_MAX);
    memcpy(at, middle, sizeof middle - 1);
    at += sizeof middle - 1;

    const char *end = at + REPLY_WORD_SHOWN_MAX;
    for (size_t i = 1; i < call->word_count && at < end; i++) {
        at    = quote(at, call->words[i], (size_t)(end - at));
        *at++ = ' ';
    }
    reply_error_bytes(reply, (struct view){.data = text, .bytes = (size_t)(at - text)});
}

void command_answer_misused(const struct command *command, struct reply *reply) {
    char text[128];
    snprintf(text, sizeof text, "ERR wrong number of arguments for '%s' command", command->name);
    reply_error(reply, text);
}

void command_answer_refused(weir_status status, uint32_t algorithm, struct reply *reply) {
    if (status == WEIR_UNSUPPORTED && algorithm != WEIR_STRICT)
        reply_error(reply, "ERR this store counts strict windows only; use WEIR.ALLOW");
    else
        reply_error_about(reply, "ERR ", view_of(weir_status_text(status)));
}
