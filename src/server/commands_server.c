/* SPDX-License-Identifier: MIT
 *
 * commands_server: what clients, dashboards and redis-benchmark ask about the server. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "server/commands.h"

enum { TROUBLE_BYTES = 160 };

/* ---- COMMAND ---- */

static void describe_flags(const struct command *command, struct reply *reply) {
    bool is_fast  = (command->flags & COMMAND_FAST) != 0;
    bool is_write = (command->flags & COMMAND_WRITE) != 0;
    reply_set(reply, (size_t)is_fast + 1);
    reply_simple(reply, is_write ? "write" : "readonly");
    if (is_fast) reply_simple(reply, "fast");
}

static void describe_command(const struct command *command, struct reply *reply) {
    if (command == NULL) {
        reply_null(reply);
        return;
    }
    reply_array(reply, 10);
    reply_text(reply, command->name);
    reply_integer(reply, command->arity);
    describe_flags(command, reply);
    reply_integer(reply, command->key_first);
    reply_integer(reply, command->key_last);
    reply_integer(reply, command->key_step);
    for (int i = 0; i < 4; i++)
        reply_set(reply, 0); /* categories, tips, key specifications, subcommands */
}

static void document_command(const struct command *command, struct reply *reply) {
    reply_text(reply, command->name);
    reply_map(reply, 4);
    reply_text(reply, "summary");
    reply_text(reply, command->summary);
    reply_text(reply, "since");
    reply_text(reply, "0.1.0");
    reply_text(reply, "group");
    reply_text(reply, command->group);
    reply_text(reply, "syntax");
    reply_text(reply, command->arguments);
}

static void document_commands(const struct call *call, struct reply *reply) {
    if (call->word_count == 2) {
        reply_map(reply, command_count());
        for (size_t i = 0; i < command_count(); i++) document_command(command_at(i), reply);
        return;
    }
    size_t known = 0;
    for (size_t i = 2; i < call->word_count; i++) known += command_find(call->words[i]) != NULL;
    reply_map(reply, known);
    for (size_t i = 2; i < call->word_count; i++) {
        const struct command *command = command_find(call->words[i]);
        if (command != NULL) document_command(command, reply);
    }
}

void answer_command(const struct batch *batch, const struct call *call, struct reply *reply) {
    (void)batch;
    const struct view *words   = call->words;
    bool               is_info = call->word_count > 1 && word_is(words[1], "info");
    if (call->word_count == 1 || (is_info && call->word_count == 2)) {
        reply_array(reply, command_count());
        for (size_t i = 0; i < command_count(); i++) describe_command(command_at(i), reply);
    } else if (is_info) {
        reply_array(reply, (size_t)call->word_count - 2);
        for (size_t i = 2; i < call->word_count; i++)
            describe_command(command_find(words[i]), reply);
    } else if (word_is(words[1], "docs")) {
        document_commands(call, reply);
    } else if (word_is(words[1], "count") && call->word_count == 2) {
        reply_integer(reply, (int64_t)command_count());
    } else if (word_is(words[1], "list") && call->word_count == 2) {
        reply_set(reply, command_count());
        for (size_t i = 0; i < command_count(); i++) reply_text(reply, command_at(i)->name);
    } else {
        reply_error_about(reply, "ERR unknown subcommand or wrong number of arguments for COMMAND ",
                          words[1]);
    }
}

/* ---- INFO ---- */

struct page {
    char   text[4096];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void say(struct page *page, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int bytes =
        vsnprintf(page->text + page->used, sizeof page->text - page->used, format, arguments);
    va_end(arguments);
    if (bytes > 0 && (size_t)bytes < sizeof page->text - page->used) page->used += (size_t)bytes;
}

static void say_number(struct page *page, const char *name, uint64_t number) {
    say(page, "%s:%" PRIu64 "\r\n", name, number);
}

/* redis_version is the Redis whose clients this server understands: programs look at it. */
static void say_server(struct page *page, const struct service_facts *facts) {
    say(page, "# Server\r\nweir_version:%s\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n",
        weir_version());
    say_number(page, "process_id", facts->process_id);
    say_number(page, "tcp_port", facts->port);
    say_number(page, "uptime_in_seconds", facts->uptime_ns / (uint64_t)WEIR_SECOND);
    say_number(page, "threads", facts->thread_count);
}

static void say_clients(struct page *page, const struct service_facts *facts) {
    say(page, "# Clients\r\n");
    say_number(page, "connected_clients", facts->connections);
    say_number(page, "maxclients", facts->connections_max);
}

static void say_persistence(struct page *page) { say(page, "# Persistence\r\nloading:0\r\n"); }

static void say_stats(struct page *page, const struct service_facts *facts) {
    say(page, "# Stats\r\n");
    say_number(page, "total_connections_received", facts->counts.connections_accepted);
    say_number(page, "rejected_connections", facts->counts.connections_refused);
    say_number(page, "total_commands_processed", facts->counts.commands);
    say_number(page, "protocol_errors", facts->counts.errors_of_protocol);
    say_number(page, "total_net_input_bytes", facts->counts.bytes_read);
    say_number(page, "total_net_output_bytes", facts->counts.bytes_written);
    say_number(page, "turns", facts->counts.turns);
}

static void say_weir(struct page *page, const weir_statistics *statistics) {
    say(page, "# Weir\r\n");
    say_number(page, "weir_allowed", statistics->allowed);
    say_number(page, "weir_denied", statistics->denied);
    say_number(page, "weir_refused", statistics->refused);
    say_number(page, "weir_overflowed", statistics->overflowed);
    say_number(page, "weir_users", statistics->users);
    say_number(page, "weir_users_max", statistics->users_max);
    say_number(page, "weir_users_forgotten", statistics->users_forgotten);
    say_number(page, "weir_memory_bytes", statistics->memory_bytes);
}

static void say_store(struct page *page, const weir_statistics *statistics, const char *trouble) {
    say(page, "# Store\r\n");
    say_number(page, "store_degraded", statistics->degraded);
    say_number(page, "store_trips", statistics->trips);
    say_number(page, "store_misses", statistics->misses);
    say_number(page, "store_permits", statistics->permits);
    say_number(page, "store_shards_cut", statistics->shards_cut);
    say_number(page, "store_held", statistics->held);
    say(page, "store_trouble:%s\r\n", trouble);
}

static bool is_wanted(const struct call *call, const char *section) {
    if (call->word_count == 1) return true;
    for (size_t i = 1; i < call->word_count; i++) {
        struct view word = call->words[i];
        if (word_is(word, section) || word_is(word, "all") || word_is(word, "default") ||
            word_is(word, "everything"))
            return true;
    }
    return false;
}

void act_info(const struct service *service, const struct call *call, uint64_t now_ns,
              struct reply *reply) {
    (void)now_ns;
    struct service_facts facts      = {0};
    weir_statistics      statistics = service_statistics(service);
    struct page          page       = {.used = 0};
    char                 trouble[TROUBLE_BYTES];
    service_trouble(service, trouble, sizeof trouble);
    service->describe(service, &facts);

    static const char *const sections[] = {"server", "clients", "persistence",
                                           "stats",  "weir",    "store"};
    size_t section_count = sizeof sections / sizeof sections[0] - !service_is_remote(service);
    for (size_t i = 0; i < section_count; i++) {
        if (!is_wanted(call, sections[i])) continue;
        if (page.used > 0) say(&page, "\r\n");
        switch (i) {
        case 0: say_server(&page, &facts); break;
        case 1: say_clients(&page, &facts); break;
        case 2: say_persistence(&page); break;
        case 3: say_stats(&page, &facts); break;
        case 4: say_weir(&page, &statistics); break;
        default: say_store(&page, &statistics, trouble); break;
        }
    }
    reply_verbatim(reply, (struct view){.data = page.text, .bytes = page.used});
}

void act_dbsize(const struct service *service, const struct call *call, uint64_t now_ns,
                struct reply *reply) {
    (void)call;
    (void)now_ns;
    reply_integer(reply, (int64_t)service_statistics(service).users);
}

void answer_time(const struct batch *batch, const struct call *call, struct reply *reply) {
    (void)call;
    uint64_t us = batch->service->wall_ns() / 1000;
    char     number[24];
    reply_array(reply, 2);
    snprintf(number, sizeof number, "%" PRIu64, us / 1000000);
    reply_text(reply, number);
    snprintf(number, sizeof number, "%" PRIu64, us % 1000000);
    reply_text(reply, number);
}

/* ---- CONFIG GET ---- */

enum { SETTING_COUNT = 9 };

struct setting {
    const char *name;
    char        value[24];
};

static void settings_fill(struct setting              settings[SETTING_COUNT],
                          const struct service_facts *facts) {
    static const char *const fixed[][2] = {
        {"save", ""},       {"appendonly", "no"},
        {"maxmemory", "0"}, {"maxmemory-policy", "noeviction"},
        {"databases", "1"}, {"bind", ""},
    };
    size_t count = sizeof fixed / sizeof fixed[0];
    for (size_t i = 0; i < count; i++) {
        settings[i].name = fixed[i][0];
        snprintf(settings[i].value, sizeof settings[i].value, "%s", fixed[i][1]);
    }
    const struct {
        const char *name;
        uint64_t    number;
    } counted[] = {
        {"maxclients", facts->connections_max},
        {"timeout", facts->idle_ns_max / (uint64_t)WEIR_SECOND},
        {"proto-max-bulk-len", RESP_WORD_BYTES_MAX},
    };
    for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++) {
        settings[count + i].name = counted[i].name;
        snprintf(settings[count + i].value, sizeof settings[0].value, "%" PRIu64,
                 counted[i].number);
    }
}

/* Whether a name fits a pattern of letters, ? and *. */
static bool pattern_fits(struct view pattern, const char *name) {
    size_t      at = 0, star = SIZE_MAX;
    const char *star_name = name;
    while (*name != '\0') {
        if (at < pattern.bytes && pattern.data[at] == '*') {
            star      = at++;
            star_name = name;
        } else if (at < pattern.bytes && (pattern.data[at] == '?' || pattern.data[at] == *name)) {
            at++;
            name++;
        } else if (star != SIZE_MAX) {
            at   = star + 1;
            name = ++star_name;
        } else {
            return false;
        }
    }
    while (at < pattern.bytes && pattern.data[at] == '*') at++;
    return at == pattern.bytes;
}

static bool setting_is_asked(const struct call *call, const char *name) {
    for (size_t i = 2; i < call->word_count; i++)
        if (pattern_fits(call->words[i], name)) return true;
    return false;
}

void answer_config(const struct batch *batch, const struct call *call, struct reply *reply) {
    if (!word_is(call->words[1], "get") || call->word_count < 3) {
        reply_error_about(
            reply,
            "ERR only CONFIG GET is known; settings are given when the server is started, not ",
            call->words[1]);
        return;
    }
    struct service_facts facts = {0};
    struct setting       settings[SETTING_COUNT];
    batch->service->describe(batch->service, &facts);
    settings_fill(settings, &facts);

    size_t count = 0;
    for (size_t i = 0; i < SETTING_COUNT; i++) count += setting_is_asked(call, settings[i].name);
    reply_map(reply, count);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (!setting_is_asked(call, settings[i].name)) continue;
        reply_text(reply, settings[i].name);
        reply_text(reply, settings[i].value);
    }
}
