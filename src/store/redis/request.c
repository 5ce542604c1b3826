/* SPDX-License-Identifier: MIT */
#include "store/redis/request.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "store/redis/word.h"

struct request *request_new(const struct redis_command *command, bool *is_long) {
    struct view evalsha = view_of("EVALSHA");
    size_t      bytes   = WORD_COUNT_BYTES_MAX;
    uint64_t    count   = command->word_count;
    if (command->script != NULL) {
        count += 3 + (uint64_t)command->key_count;
        bytes += word_bytes(evalsha.bytes) + word_bytes(REDIS_SCRIPT_NAME_BYTES) + word_bytes(20);
        for (unsigned i = 0; i < command->key_count; i++)
            bytes += word_bytes(command->keys[i].bytes);
    }
    for (unsigned i = 0; i < command->word_count; i++) bytes += word_bytes(command->words[i].bytes);
    *is_long = bytes > REDIS_COMMAND_BYTES_MAX;
    if (*is_long) return NULL;

    struct request *request = malloc(sizeof *request + bytes);
    if (request == NULL) return NULL;
    *request = (struct request){.script         = command->script,
                                .done           = command->done,
                                .context        = command->context,
                                .job            = {.deadline_ns = command->deadline_ns},
                                .wants_replicas = command->wants_replicas,
                                .slot           = command->slot};

    char *at = word_count_write(request->command, count);
    if (command->script != NULL) {
        at = word_write(at, evalsha);
        at = word_write(at, (struct view){command->script->name, REDIS_SCRIPT_NAME_BYTES});
        at = word_number_write(at, command->key_count);
        for (unsigned i = 0; i < command->key_count; i++) at = word_write(at, command->keys[i]);
    }
    for (unsigned i = 0; i < command->word_count; i++) at = word_write(at, command->words[i]);
    request->bytes = (uint32_t)(at - request->command);
    INVARIANT(request->bytes <= bytes);
    return request;
}

void request_free(struct request *request) {
    if (request->reply != NULL) freeReplyObject(request->reply);
    free(request->asked);
    free(request);
}
