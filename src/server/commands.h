/* SPDX-License-Identifier: MIT
 *
 * commands: the functions that stand in the table of command.c. What each promises to a peer is in
 * docs/server.md; what `ask` and `answer` are is in command.h. */
#ifndef WEIR_SERVER_COMMANDS_H
#define WEIR_SERVER_COMMANDS_H

#include "server/command.h"

typedef bool command_ask_fn(struct call *call, weir_request *request);
typedef void command_answer_fn(const struct batch *batch, const struct call *call,
                               struct reply *reply);

/* commands_limit.c */
command_ask_fn    ask_allow, ask_decide;
command_answer_fn answer_allow, answer_decide, answer_reset_user, answer_explain;

/* commands_throttle.c */
command_ask_fn    ask_throttle;
command_answer_fn answer_throttle, answer_del;

/* commands_session.c */
command_answer_fn answer_ping, answer_echo, answer_hello, answer_auth, answer_client, answer_select,
    answer_reset, answer_quit;

/* commands_server.c */
command_answer_fn answer_command, answer_info, answer_config, answer_dbsize, answer_time;

#endif
