/* SPDX-License-Identifier: MIT
 *
 * doctor: what can weir promise on this store? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/shared.h"
#include "base/range.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/doctor_cassandra_opinion.h"
#include "cmd/doctor_opinion.h"
#include "cmd/store.h"
#include "cmd/terminal.h"
#include "wire/json.h"

static const char about[] =
    "Connects to the servers of a URL and says what follows from how they are set up: a line for\n"
    "each thing looked at, what to change where it costs something, and in the last line what a\n"
    "limit can promise there. URLs: redis://HOST, redis+sentinel://H1,H2,H3/NAME,\n"
    "redis+cluster://H1,H2; cassandra://H1,H2/KEYSPACE; with rediss or cassandras for TLS.\n"
    "Without URL: $WEIR_STORE. Takes a second or a few. Redis: writes one key a server that lives\n"
    "for a second, and steps the clocks of limits that are there. Cassandra: asks each node that\n"
    "answers, and writes some rows of nobody's, which claim nothing and live for a minute.\n";

static const char epilogue[] =
    "examples:\n"
    "  weir doctor redis://127.0.0.1\n"
    "  weir doctor redis+sentinel://s1,s2,s3/mymaster --replicas 2\n"
    "  weir doctor rediss://ann:secret@redis.example.org --ca-file ca.pem --json\n"
    "  weir doctor cassandra://h1,h2,h3/limits\n"
    "\n"
    "A password in the URL can be seen by whoever lists processes: put the URL into WEIR_STORE\n"
    "and leave it out here.\n"
    "\n"
    "exit codes: 0 strict; 1 strict but denies too much, strict until something happens, or not\n"
    "strict; 2 wrong usage; 3 trouble, such as no server that answers.\n";

#define REPLICAS_AS_URL UINT64_MAX
#define WAIT_NS         UINT64_C(1000000000) /* the largest round-trip that a URL may say */

/* A kind of store, as it is spoken of. The words of levels are a contract: scripts depend on them. */
struct manner {
    const char *levels[4];
    const char *(*promise)(enum doctor_level level);
    const char *(*promise_more)(const struct doctor_opinion *opinion);
};

static const struct manner of_redis = {
    {"strict", "strict and idle", "strict until failover", "not strict"},
    doctor_promise,
    doctor_promise_more};
static const struct manner of_cassandra = {
    {"strict", "strict and idle", "strict until node loss", "not strict"},
    doctor_cassandra_promise,
    doctor_cassandra_promise_more};

static const char *const marks[] = {"+", "-", "!", "x"};

static struct doctor_opinion opinion;

static bool examine_redis(const struct shared_url *said, uint64_t replicas, int *code);
static bool examine_cassandra(const struct shared_url *said, int *code);
static void print_opinion(const struct manner *manner);
static void print_json(const struct manner *manner);

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
         .text   = "Redis: judge as if weir waited for N replicas (default: as\n"
                   "the URL says, or 0)"},
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

    weir_error        error = {.status = WEIR_OK};
    struct shared_url said;
    const char       *text = args.operand_count > 0 ? args.operands[0] : store_default();
    if (!shared_url_read(text, &said, &error)) return store_complain("doctor", &error);
    if (ca_file != NULL) said.redis.ca_file = said.cassandra.ca_file = ca_file;
    if (cert_file != NULL) said.redis.cert_file = said.cassandra.cert_file = cert_file;
    if (key_file != NULL) said.redis.key_file = said.cassandra.key_file = key_file;
    if (replicas == REPLICAS_AS_URL) {
        replicas = said.redis.replicas;
    } else if (said.is_cassandra) {
        terminal_complain("doctor", "--replicas is for Redis: on Cassandra a quorum of the "
                                    "keyspace's replicas is always waited for");
        shared_url_clear(&said);
        return COMMAND_USAGE;
    }
    const struct manner *manner = said.is_cassandra ? &of_cassandra : &of_redis;
    bool                 is_examined =
        said.is_cassandra ? examine_cassandra(&said, &code) : examine_redis(&said, replicas, &code);
    shared_url_clear(&said);
    if (!is_examined) return code;
    if (as_json) {
        print_json(manner);
    } else {
        print_opinion(manner);
    }
    return terminal_finish("doctor", opinion.level == DOCTOR_FINE ? COMMAND_DONE : COMMAND_DENIED);
}

static bool fail(int code, const char *problem, int *into) {
    char quoted[TERMINAL_QUOTE_BYTES_MAX];
    terminal_complain("doctor", "%s", terminal_quote(view_of(problem), quoted));
    *into = code;
    return false;
}

static bool examine_redis(const struct shared_url *said, uint64_t replicas, int *code) {
    static struct doctor_facts facts;
    struct url                 url;
    struct redis_result        result;
    char                       problem[REDIS_PROBLEM_BYTES_MAX];
    struct redis              *r       = NULL;
    struct redis_options       options = said->redis;
    options.replicas    = (unsigned)replicas; /* waited for where a round trip is measured */
    options.replicas_ns = larger(said->redis.replicas_ns, WAIT_NS);
    options.connect_ns  = larger(said->redis.connect_ns, 2 * WAIT_NS);
    if (url_parse(view_of(said->servers), &url, problem))
        r = redis_open(view_of(said->servers), &options, problem);
    if (r == NULL) return fail(COMMAND_USAGE, problem, code);
    facts.kind            = url.kind;
    facts.replicas_wanted = replicas;
    facts.round_trip_ns   = (uint64_t)said->round_trip_ns;
    facts.wait_ns =
        said->redis.replicas_ns != 0 ? said->redis.replicas_ns : REDIS_REPLICAS_NS_DEFAULT;

    bool is_told = doctor_ask(r, &facts, &result);
    redis_close(r);
    if (!is_told) return fail(COMMAND_TROUBLE, result.problem, code);
    doctor_ask_past(view_of(said->servers), &options, &facts);
    doctor_judge(&facts, &opinion);
    return true;
}

static bool examine_cassandra(const struct shared_url *said, int *code) {
    static struct doctor_cassandra facts;
    struct cassandra_result        result;
    char                           problem[CASSANDRA_PROBLEM_BYTES_MAX];
    struct cassandra *c = cassandra_open(view_of(said->cluster), &said->cassandra, problem);
    if (c == NULL) return fail(COMMAND_USAGE, problem, code);
    bool is_told = doctor_cassandra_ask(c, said, &facts, &result);
    cassandra_close(c);
    if (!is_told) {
        (void)fail(COMMAND_TROUBLE, result.problem, code);
        cassandra_result_clear(&result);
        return false;
    }
    doctor_cassandra_judge(&facts, &opinion);
    return true;
}

static void print_opinion(const struct manner *manner) {
    const char *server = "";
    char        quoted[TERMINAL_QUOTE_BYTES_MAX];
    for (unsigned i = 0; i < opinion.finding_count; i++) {
        const struct doctor_finding *finding = &opinion.findings[i];
        if (strcmp(finding->server, server) != 0)
            printf("%s:\n", terminal_quote(view_of(finding->server), quoted));
        server = finding->server;
        printf("%s %-12s %s\n", marks[finding->level], finding->name,
               terminal_quote(view_of(finding->value), quoted));
        if (finding->level != DOCTOR_FINE) printf("  %-12s -> %s\n", "", finding->remedy);
    }
    printf("%s\n", manner->promise(opinion.level));
    const char *more = manner->promise_more(&opinion);
    if (more[0] != '\0') printf("%s\n", more);
}

static void json_text(struct json_writer *out, const char *name, const char *text) {
    char quoted[TERMINAL_QUOTE_BYTES_MAX];
    json_write_name(out, name);
    json_write_text(out, view_of(terminal_quote(view_of(text), quoted)));
}

static void print_json(const struct manner *manner) {
    static char        buffer[4096];
    struct json_writer out;
    json_write_begin(&out, buffer, sizeof buffer, terminal_json_sink, NULL);
    json_write_object(&out);
    json_text(&out, "promise", manner->levels[opinion.level]);
    json_write_name(&out, "because");
    json_write_text(&out, view_of(manner->promise(opinion.level)));
    json_write_name(&out, "idle");
    json_write_bool(&out, opinion.is_idle);
    json_write_name(&out, "findings");
    json_write_array(&out);
    for (unsigned i = 0; i < opinion.finding_count; i++) {
        const struct doctor_finding *finding = &opinion.findings[i];
        json_write_object(&out);
        json_text(&out, "server", finding->server);
        json_text(&out, "name", finding->name);
        json_text(&out, "level", manner->levels[finding->level]);
        json_text(&out, "value", finding->value);
        json_write_name(&out, "remedy");
        json_write_text(&out, view_of(finding->remedy));
        json_write_object_end(&out);
    }
    json_write_array_end(&out);
    json_write_object_end(&out);
    json_write_line_end(&out);
    (void)json_write_end(&out);
}
