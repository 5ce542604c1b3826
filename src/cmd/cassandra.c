/* SPDX-License-Identifier: MIT
 *
 * cassandra: what does weir keep there? Prints it as CQL; no server is asked. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/terminal.h"
#include "store/cassandra/ddl.h"

static const char about[] =
    "weir cassandra schema prints the keyspace and the tables that weir init makes, with their\n"
    "version, for those who make them by themselves: as another user, with other options, or with\n"
    "a tool that keeps schemas. All of it may be run again; what is there is left as it is.\n"
    "\n"
    "No server is asked, so which data centre is the local one is not known: weir init makes\n"
    "replicas there only, and this in each data centre, unless --replication names some. Where\n"
    "there are several, name one: a quorum of two with 3 replicas each is 4 of 6, and each write\n"
    "and each read waits for the far one.\n";

static const char epilogue[] =
    "examples:\n"
    "  weir cassandra schema --keyspace limits --replication dc1=3   as weir init there\n"
    "  weir cassandra schema | cqlsh h1                              where it is the only one\n"
    "\n"
    "exit codes: 0 done; 2 wrong usage; 3 trouble.\n";

static const char everywhere[] =
    "-- So many in each data centre that there is when this is run. Where there are several, name\n"
    "-- one by --replication, as weir init does: else each trip waits for a far one.\n";

enum { REPLICAS_USUAL = 3, REPLICAS_MAX = 100, NAME_BYTES_MAX = 128 };

/* As a URL has it, so that a URL can name it. */
static bool is_keyspace(const char *name) {
    struct contact contact;
    char           url[2 * CONTACT_KEYSPACE_BYTES_MAX], problem[URL_PROBLEM_BYTES_MAX];
    int            length = snprintf(url, sizeof url, "cassandra://h/%s", name);
    return length >= 0 && (size_t)length < sizeof url &&
           contact_parse(view_of(url), &contact, problem) && contact.keyspace[0] != '\0' &&
           strcmp(contact.keyspace, name) == 0;
}

/* "3", or "dc1=3", whose name goes to `name`. */
static bool factor_parse(const char *text, char *name, struct ddl_factor *factor) {
    uint64_t    replicas = 0;
    const char *equals   = strrchr(text, '=');
    int         bytes    = equals != NULL ? (int)(equals - text) : 0;
    if (!text_number_parse(view_of(equals != NULL ? equals + 1 : text), &replicas)) return false;
    if (replicas == 0 || replicas > REPLICAS_MAX || bytes >= NAME_BYTES_MAX) return false;
    (void)snprintf(name, NAME_BYTES_MAX, "%.*s", bytes, text);
    *factor = (struct ddl_factor){equals != NULL ? name : "replication_factor", (unsigned)replicas};
    return factor->datacenter[0] != '\0';
}

static bool factors_parse(const struct args_list *said, struct ddl_factor *factors,
                          char names[][NAME_BYTES_MAX]) {
    char quoted[TERMINAL_QUOTE_BYTES_MAX];
    if (said->count > DDL_FACTORS_MAX) {
        terminal_complain("cassandra", "--replication may be given %d times", DDL_FACTORS_MAX);
        return false;
    }
    for (size_t i = 0; i < said->count; i++) {
        bool is_read = factor_parse(said->items[i], names[i], &factors[i]);
        bool is_all  = is_read && strchr(said->items[i], '=') == NULL;
        if (is_read && (!is_all || said->count == 1)) continue;
        terminal_complain("cassandra",
                          "--replication '%s' should be DATACENTER=N, repeated for each, or one N "
                          "for all of them, 1 to %d",
                          terminal_quote(view_of(said->items[i]), quoted), REPLICAS_MAX);
        return false;
    }
    return true;
}

int cassandra_main(int count, char **words) {
    const char              *keyspace  = "weir";
    struct args_list         said      = {.count = 0};
    const struct args_option options[] = {
        {.name   = "keyspace",
         .letter = 'k',
         .kind   = ARGS_TEXT,
         .value  = "NAME",
         .into   = &keyspace,
         .text   = "as the URL's path names it (default weir)"},
        {.name   = "replication",
         .letter = 'r',
         .kind   = ARGS_LIST,
         .value  = "DC=N",
         .into   = &said,
         .text   = "N replicas in the data centre DC; may be repeated. N\n"
                   "alone: so many in each that there is then (default 3)"},
    };
    struct args args = {.verb         = words[0],
                        .usage        = "schema",
                        .about        = about,
                        .epilogue     = epilogue,
                        .options      = options,
                        .option_count = sizeof options / sizeof options[0],
                        .operands_min = 1,
                        .operands_max = 1};
    int         code;
    if (!args_parse(&args, count, words, &code)) return code;

    char quoted[TERMINAL_QUOTE_BYTES_MAX], text[DDL_TEXT_BYTES_MAX];
    if (strcmp(args.operands[0], "schema") != 0) {
        terminal_complain("cassandra", "'%s' is nothing to print; say weir cassandra schema",
                          terminal_quote(view_of(args.operands[0]), quoted));
        return COMMAND_USAGE;
    }
    if (!is_keyspace(keyspace)) {
        terminal_complain(
            "cassandra", "--keyspace '%s' should be 1 to %d letters, digits and _ in all",
            terminal_quote(view_of(keyspace), quoted), CONTACT_KEYSPACE_BYTES_MAX - 1);
        return COMMAND_USAGE;
    }
    struct ddl_factor factors[DDL_FACTORS_MAX] = {{"replication_factor", REPLICAS_USUAL}};
    char              names[DDL_FACTORS_MAX][NAME_BYTES_MAX];
    unsigned          factor_count = said.count > 0 ? (unsigned)said.count : 1;
    if (!factors_parse(&said, factors, names)) return COMMAND_USAGE;
    bool is_everywhere = strcmp(factors[0].datacenter, "replication_factor") == 0;
    if (!ddl_write_keyspace(keyspace, factors, factor_count, text, sizeof text)) {
        terminal_complain("cassandra", "the names of the data centres are too long");
        return COMMAND_USAGE;
    }
    printf(
        "-- version %d of weir's schema. Three replicas or more: with two, no node may be away,\n"
        "-- and with one, the loss of its disk is the loss of what was used.\n"
        "%s%s\n",
        DDL_VERSION, is_everywhere ? everywhere : "", text);
    for (unsigned i = 0; i < DDL_TABLES; i++) {
        (void)ddl_write_table(keyspace, &ddl_tables[i], text, sizeof text);
        printf("\n%s\n", text);
    }
    return terminal_finish("cassandra", COMMAND_DONE);
}
