/* SPDX-License-Identifier: MIT
 *
 * commands: the functions that stand in the table of command.c. What each promises to a peer is in
 * docs/server.md; what `ask`, `answer` and `act` are is in command.h. */
#ifndef WEIR_SERVER_COMMANDS_H
#define WEIR_SERVER_COMMANDS_H

#include "server/command.h"

typedef bool command_ask_fn(struct call *call, weir_request *request);
typedef void command_answer_fn(const struct batch *batch, const struct call *call,
                               struct reply *reply);
typedef void command_act_fn(const struct service *service, const struct call *call, uint64_t now_ns,
                            struct reply *reply);

/* commands_limit.c */
command_ask_fn    ask_allow, ask_decide;
command_answer_fn answer_allow, answer_decide, answer_explain;
command_act_fn    act_reset_user;

/* commands_throttle.c */
command_ask_fn    ask_throttle;
command_answer_fn answer_throttle;
command_act_fn    act_del;

/* commands_session.c */
command_answer_fn answer_ping, answer_echo, answer_hello, answer_auth, answer_client, answer_select,
    answer_reset, answer_quit;

/* commands_server.c */
command_answer_fn answer_command, answer_config, answer_time;
command_act_fn    act_info, act_dbsize;

#endif
