/* SPDX-License-Identifier: MIT
 *
 * doctor: what can weir promise on this Redis? */
#include <stdio.h>
#include <stdlib.h>

#include "api/shared.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/doctor_opinion.h"
#include "cmd/store.h"
#include "cmd/terminal.h"
#include "wire/json.h"

static const char about[] =
    "Connects to the Redis servers of a URL and says what follows from how they are set up: a\n"
    "line for each thing looked at, what to change where it costs something, and in the last line\n"
    "what a limit can promise there. URLs: redis://HOST, redis+sentinel://H1,H2,H3/NAME,\n"
    "redis+cluster://H1,H2; with rediss for TLS. Without URL: $WEIR_STORE. Takes a second, and\n"
    "writes one key a server that lives for a second.\n";

static const char epilogue[] =
    "examples:\n"
    "  weir doctor redis://127.0.0.1\n"
    "  weir doctor redis+sentinel://s1,s2,s3/mymaster --replicas 2\n"
    "  weir doctor rediss://ann:secret@redis.example.org --ca-file ca.pem --json\n"
    "\n"
    "A password in the URL can be seen by whoever lists processes: put the URL into WEIR_STORE\n"
    "and leave it out here.\n"
    "\n"
    "exit codes: 0 strict; 1 strict but denies too much, strict until something happens, or not\n"
    "strict; 2 wrong usage; 3 trouble, such as no server that answers.\n";

#define REPLICAS_AS_URL UINT64_MAX

static const char *const marks[]  = {"+", "-", "!", "x"};
static const char *const levels[] = {"strict", "strict and idle", "strict until failover",
                                     "not strict"};

static void print_opinion(const struct doctor_opinion *opinion);
static void print_json(const struct doctor_opinion *opinion);

int doctor_main(int count, char **words) {
    bool                     as_json  = false;
    uint64_t                 replicas = REPLICAS_AS_URL;
    const char              *ca_file = NULL, *cert_file = NULL, *key_file = NULL;
    const struct args_option options[] = {
        {.name   = "replicas",
         .letter = 'r',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &replicas,
         .max    = 1000,
         .text   = "judge as if weir waited for N replicas (default: as the URL\nsays, or 0)"},
        {.name  = "ca-file",
         .kind  = ARGS_TEXT,
         .value = "FILE",
         .into  = &ca_file,
         .text  = "TLS: authorities to trust (default: the system's)"},
        {.name  = "cert-file",
         .kind  = ARGS_TEXT,
         .value = "FILE",
         .into  = &cert_file,
         .text  = "TLS: our certificate, for servers that ask for one"},
        {.name  = "key-file",
         .kind  = ARGS_TEXT,
         .value = "FILE",
         .into  = &key_file,
         .text  = "TLS: its key"},
        {.name   = "json",
         .letter = 'j',
         .kind   = ARGS_FLAG,
         .into   = &as_json,
         .text   = "print one JSON document"},
    };
    struct args args = {.verb         = words[0],
                        .usage        = "[URL]",
                        .about        = about,
                        .epilogue     = epilogue,
                        .options      = options,
                        .option_count = sizeof options / sizeof options[0],
                        .operands_max = 1};
    int         code;
    if (!args_parse(&args, count, words, &code)) return code;

    weir_error                   error = {.status = WEIR_OK};
    struct shared_url            said;
    static struct doctor_facts   facts;
    static struct doctor_opinion opinion;
    const char                  *text = args.operand_count > 0 ? args.operands[0] : store_default();
    struct url                   url;
    char                         problem[REDIS_PROBLEM_BYTES_MAX], quoted[TERMINAL_QUOTE_BYTES_MAX];
    struct redis                *r = NULL;
    if (!shared_url_read(text, &said, &error)) return store_complain("doctor", &error);
    if (ca_file != NULL) said.redis.ca_file = ca_file;
    if (cert_file != NULL) said.redis.cert_file = cert_file;
    if (key_file != NULL) said.redis.key_file = key_file;
    if (replicas == REPLICAS_AS_URL) replicas = said.redis.replicas;
    said.redis.replicas    = (unsigned)replicas; /* waited for where a round trip is measured */
    uint64_t round_trip_ns = (uint64_t)said.round_trip_ns;
    if (url_parse(view_of(said.servers), &url, problem))
        r = redis_open(view_of(said.servers), &said.redis, problem);
    shared_url_clear(&said);
    if (r == NULL) {
        terminal_complain("doctor", "%s", terminal_quote(view_of(problem), quoted));
        return COMMAND_USAGE;
    }
    facts.kind            = url.kind;
    facts.is_tls          = url.is_tls;
    facts.replicas_wanted = replicas;
    facts.round_trip_ns   = round_trip_ns;

    struct redis_result result;
    bool                is_told = doctor_ask(r, &facts, &result);
    redis_close(r);
    if (!is_told) {
        terminal_complain("doctor", "%s", terminal_quote(view_of(result.problem), quoted));
        return COMMAND_TROUBLE;
    }
    doctor_judge(&facts, &opinion);
    if (as_json) {
        print_json(&opinion);
    } else {
        print_opinion(&opinion);
    }
    return terminal_finish("doctor", opinion.level == DOCTOR_FINE ? COMMAND_DONE : COMMAND_DENIED);
}

static void print_opinion(const struct doctor_opinion *opinion) {
    const char *server = "";
    char        quoted[TERMINAL_QUOTE_BYTES_MAX];
    for (unsigned i = 0; i < opinion->finding_count; i++) {
        const struct doctor_finding *finding = &opinion->findings[i];
        if (finding->server != server)
            printf("%s:\n", terminal_quote(view_of(finding->server), quoted));
        server = finding->server;
        printf("%s %-12s %s\n", marks[finding->level], finding->name,
               terminal_quote(view_of(finding->value), quoted));
        if (finding->level != DOCTOR_FINE) printf("  %-12s -> %s\n", "", finding->remedy);
    }
    printf("%s\n", doctor_promise(opinion->level));
    const char *more = doctor_promise_more(opinion);
    if (more[0] != '\0') printf("%s\n", more);
}

static void json_text(struct json_writer *out, const char *name, const char *text) {
    char quoted[TERMINAL_QUOTE_BYTES_MAX];
    json_write_name(out, name);
    json_write_text(out, view_of(terminal_quote(view_of(text), quoted)));
}

static void print_json(const struct doctor_opinion *opinion) {
    static char        buffer[4096];
    struct json_writer out;
    json_write_begin(&out, buffer, sizeof buffer, terminal_json_sink, NULL);
    json_write_object(&out);
    json_text(&out, "promise", levels[opinion->level]);
    json_text(&out, "because", doctor_promise(opinion->level));
    json_write_name(&out, "idle");
    json_write_bool(&out, opinion->is_idle);
    json_write_name(&out, "findings");
    json_write_array(&out);
    for (unsigned i = 0; i < opinion->finding_count; i++) {
        const struct doctor_finding *finding = &opinion->findings[i];
        json_write_object(&out);
        json_text(&out, "server", finding->server);
        json_text(&out, "name", finding->name);
        json_text(&out, "level", levels[finding->level]);
        json_text(&out, "value", finding->value);
        json_text(&out, "remedy", finding->remedy);
        json_write_object_end(&out);
    }
    json_write_array_end(&out);
    json_write_object_end(&out);
    json_write_line_end(&out);
    (void)json_write_end(&out);
}
