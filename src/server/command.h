/* SPDX-License-Identifier: MIT
 *
 * command: which words does the server know, and who answers them?
 *
 * Each command is one line of the table in command.c. Those that decide come in two halves, since all
 * decisions of a turn are made together: `ask` turns words into a request, `answer` turns the decision
 * into a reply. Those that do something else with the limiter have `act` alone, which may wait for a remote
 * store and is then called on another thread; it knows nothing of the peer. All others have `answer`
 * alone. */
#ifndef WEIR_SERVER_COMMAND_H
#define WEIR_SERVER_COMMAND_H

#include "server/batch.h"

enum command_flag {
    COMMAND_FAST   = 1, /* answers in a time that does not depend on its words */
    COMMAND_WRITE  = 2, /* changes what the limiter remembers */
    COMMAND_ALONE  = 4, /* ends its batch, so that all decisions before it are made by then and none
                          after it: it changes counters, or shows them, or its reply is large */
    COMMAND_LEAVES = 8, /* the last that is read of its peer */
};

enum { COMMAND_NAME_BYTES = 16 };

struct command {
    char        name[COMMAND_NAME_BYTES]; /* in small letters, filled up with zeros */
    int         arity;                    /* words, the name included; negative: at least so many */
    unsigned    flags;
    int         key_first, key_last, key_step; /* which words are users; 0: none */
    const char *group;                         /* for COMMAND DOCS */
    const char *summary;
    const char *arguments; /* as a person would write them */
    bool (*ask)(struct call *call, weir_request *request);
    void (*answer)(const struct batch *batch, const struct call *call, struct reply *reply);
    void (*act)(const struct service *service, const struct call *call, uint64_t now_ns,
                struct reply *reply); /* COMMAND_ALONE goes with it */
};

/* The command of that name, however its letters are written; NULL if there is none. */
const struct command *command_find(struct view name);

/* The table: command_at(0) to command_at(command_count() - 1). */
size_t                command_count(void);
const struct command *command_at(size_t index);

/* Whether the command may have so many words. */
bool command_takes(const struct command *command, size_t word_count);

/* The errors for words that are no command, and for a command with too many or too few of them. */
void command_answer_unknown(const struct call *call, struct reply *reply);
void command_answer_misused(const struct command *command, struct reply *reply);

/* The error for a question under `algorithm` that got this status instead of an answer. */
void command_answer_refused(weir_status status, uint32_t algorithm, struct reply *reply);

/* Fails a call in `ask`: it will be answered with `text`, and the word at its end if it is not NULL.
 * Always false. */
bool call_fail(struct call *call, const char *text, const struct view *word);

/* Two words are the same but for capitals. */
bool word_is(struct view word, const char *small);

/* The question and the answer of a call that was decided. */
static inline const weir_request *call_request(const struct batch *batch, const struct call *call) {
    return &batch->requests[call->decision_index];
}
static inline const weir_decision *call_decision(const struct batch *batch,
                                                 const struct call  *call) {
    return &batch->decisions[call->decision_index];
}

#endif
