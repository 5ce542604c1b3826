/* SPDX-License-Identifier: MIT
 *
 * load: what does a server cost a request, and how long do users wait for it?
 *
 * Reads the command line, starts the workers, looks at the server's CPU time and memory at both ends of
 * the measured stretch, and writes one JSON line. Talks to this machine only. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "option.h"
#include "process.h"
#include "worker.h"

enum { THREADS_MAX = 64, CONNECTIONS_MAX = 10000, SECONDS_MAX = 3600 };

struct load_options {
    const char         *name, *target, *command, *script, *order;
    struct command_rule rule;
    uint64_t            users, requests, seed;
    double              seconds, warmup_s, rate_per_s, zipf_exponent;
    unsigned            threads, connections, pipeline;
    int                 cpu;
    pid_t               server;
    bool                is_even;
};

static const char usage[] =
    "usage: weir-load --command NAME --target 127.0.0.1:PORT|/path/of/socket [options]\n"
    "\n"
    "Asks a server and prints one JSON line. Exit 0; 1 if an answer was an error, malformed or missing;\n"
    "2 wrong usage; 3 trouble.\n"
    "\n"
    "  --connections N     in all [64]             --pipeline P        requests in a batch [1]\n"
    "  --threads N         [1]                     --cpu N             pin the first thread there\n"
    "  --seconds S         measured [2]            --warmup S          before that [0.5]\n"
    "  --rate R            open loop: R requests a second, latency from when each was due\n"
    "  --even              open loop with equal gaps [a Poisson process]\n"
    "  --users N           [1000000]               --order uniform|hot|zipf|sequence [uniform]\n"
    "  --zipf S            exponent [0.99]         --requests N        stop after N, no warm-up\n"
    "  --limit L           [1000000]               --window-ms W       [60000]\n"
    "  --server PID        whose CPU and memory    --script FILE       for evalsha\n"
    "  --name TEXT         copied to the output    --seed N            [1]\n"
    "\n"
    "commands:\n%s";

const char *option_program = "weir-load";

/* ---- the command line ---- */

static struct load_options options_of(int argc, char **argv) {
    struct load_options        o       = {.name          = "",
                                          .order         = "uniform",
                                          .rule          = {.limit = 1000000, .window_ms = 60000},
                                          .users         = 1000000,
                                          .seed          = 1,
                                          .seconds       = 2,
                                          .warmup_s      = 0.5,
                                          .zipf_exponent = 0.99,
                                          .threads       = 1,
                                          .connections   = 64,
                                          .pipeline      = 1,
                                          .cpu           = -1};
    static const struct option known[] = {
        {"command", 1, 0, 'c'},     {"target", 1, 0, 't'},
        {"connections", 1, 0, 'C'}, {"pipeline", 1, 0, 'P'},
        {"threads", 1, 0, 'T'},     {"cpu", 1, 0, 'p'},
        {"seconds", 1, 0, 's'},     {"warmup", 1, 0, 'w'},
        {"rate", 1, 0, 'r'},        {"even", 0, 0, 'e'},
        {"users", 1, 0, 'u'},       {"order", 1, 0, 'o'},
        {"zipf", 1, 0, 'z'},        {"requests", 1, 0, 'n'},
        {"limit", 1, 0, 'l'},       {"window-ms", 1, 0, 'W'},
        {"server", 1, 0, 'S'},      {"script", 1, 0, 'f'},
        {"name", 1, 0, 'N'},        {"seed", 1, 0, 'x'},
        {"help", 0, 0, 'h'},        {0},
    };
    int index = 0;
    for (int c; (c = getopt_long(argc, argv, "", known, &index)) != -1;) {
        const char *option = c == '?' ? "" : known[index].name;
        switch (c) {
        case 'c': o.command = optarg; break;
        case 't': o.target = optarg; break;
        case 'o': o.order = optarg; break;
        case 'f': o.script = optarg; break;
        case 'N': o.name = optarg; break;
        case 'e': o.is_even = true; break;
        case 'C': o.connections = (unsigned)number_of(option, optarg, 1, CONNECTIONS_MAX); break;
        case 'P': o.pipeline = (unsigned)number_of(option, optarg, 1, 1024); break;
        case 'T': o.threads = (unsigned)number_of(option, optarg, 1, THREADS_MAX); break;
        case 'p': o.cpu = (int)number_of(option, optarg, 0, 1023); break;
        case 's': o.seconds = number_of(option, optarg, 0.01, SECONDS_MAX); break;
        case 'w': o.warmup_s = number_of(option, optarg, 0, SECONDS_MAX); break;
        case 'r': o.rate_per_s = number_of(option, optarg, 1, 1e8); break;
        case 'u': o.users = (uint64_t)number_of(option, optarg, 1, COMMAND_USERS_MAX); break;
        case 'z': o.zipf_exponent = number_of(option, optarg, 0.01, 10); break;
        case 'n': o.requests = (uint64_t)number_of(option, optarg, 1, 1e12); break;
        case 'l': o.rule.limit = (uint64_t)number_of(option, optarg, 0, 0x1p40); break;
        case 'W': o.rule.window_ms = (uint64_t)number_of(option, optarg, 1, 3.2e11); break;
        case 'S': o.server = (pid_t)number_of(option, optarg, 1, 4194304); break;
        case 'x': o.seed = (uint64_t)number_of(option, optarg, 0, 1e15); break;
        case 'h': printf(usage, command_names); exit(0);
        default: fprintf(stderr, usage, command_names); exit(2);
        }
    }
    if (optind < argc) die(2, "what is '%s'?", argv[optind]);
    if (!o.command || !o.target) die(2, "--command and --target are needed; see --help");
    if (o.connections < o.threads) die(2, "--connections is below --threads");
    return o;
}

static enum users_order order_of(const char *name) {
    static const char *const names[] = {"uniform", "hot", "zipf", "sequence"};
    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0) return (enum users_order)i;
    }
    die(2, "--order is '%s'; it may be uniform, hot, zipf or sequence", name);
}

static void address_of(const char *target, struct load_plan *plan) {
    if (target[0] == '/') {
        struct sockaddr_un *local = (struct sockaddr_un *)&plan->address;
        if (strlen(target) >= sizeof local->sun_path) die(2, "the socket's path is too long");
        local->sun_family = AF_UNIX;
        memcpy(local->sun_path, target, strlen(target) + 1);
        plan->address_bytes = sizeof *local;
        return;
    }
    struct sockaddr_in *inet  = (struct sockaddr_in *)&plan->address;
    const char         *colon = strrchr(target, ':');
    char                host[64];
    if (!colon || (size_t)(colon - target) >= sizeof host) die(2, "--target is '%s'", target);
    memcpy(host, target, (size_t)(colon - target));
    host[colon - target] = 0;
    inet->sin_family     = AF_INET;
    inet->sin_port       = htons((uint16_t)number_of("target", colon + 1, 1, 65535));
    if (inet_pton(AF_INET, host, &inet->sin_addr) != 1) die(2, "--target is '%s'", target);
    if (ntohl(inet->sin_addr.s_addr) >> 24 != 127) {
        die(2,
            "%s is not this machine: weir-load sends its load to 127.0.0.0/8 and unix sockets only",
            host);
    }
    plan->address_bytes = sizeof *inet;
}

/* ---- scripts ---- */

/* SCRIPT LOAD: the server's name for the script, 40 hexadecimal digits. */
static void script_load(const struct load_plan *plan, const char *path, char sha[41]) {
    static char text[16384];
    FILE       *file = fopen(path, "re");
    if (!file) die(3, "%s: %s", path, strerror(errno));
    size_t bytes = fread(text, 1, sizeof text, file);
    fclose(file);
    if (bytes == sizeof text) die(3, "%s is too long", path);

    int  fd = socket(plan->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char head[64], answer[256] = "";
    int  head_bytes =
        snprintf(head, sizeof head, "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$%zu\r\n", bytes);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&plan->address, plan->address_bytes) != 0 ||
        send(fd, head, (size_t)head_bytes, MSG_NOSIGNAL) < 0 ||
        send(fd, text, bytes, MSG_NOSIGNAL) < 0 || send(fd, "\r\n", 2, MSG_NOSIGNAL) < 0) {
        die(3, "loading %s: %s", path, strerror(errno));
    }
    ssize_t n = recv(fd, answer, sizeof answer - 1, 0);
    close(fd);
    if (n < 47 || strncmp(answer, "$40\r\n", 5) != 0)
        die(3, "loading %s: the server says %s", path, answer);
    memcpy(sha, answer + 5, 40);
    sha[40] = 0;
}

/* ---- the run ---- */

struct sample {
    uint64_t cpu_ns, resident_bytes, at_ns;
};

static struct sample sample_take(pid_t server) {
    struct sample s = {.at_ns = worker_now_ns()};
    if (server && (!process_cpu_ns(server, &s.cpu_ns) ||
                   !process_resident_bytes(server, &s.resident_bytes))) {
        die(3, "there is no process %d any more", (int)server);
    }
    return s;
}

static void sleep_until(uint64_t at_ns) {
    struct timespec t = {.tv_sec  = (time_t)(at_ns / 1000000000u),
                         .tv_nsec = (long)(at_ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
}

/* A JSON string: what a server says may hold anything. */
static void print_text(const char *name, const char *text) {
    printf("\"%s\":\"", name);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\') {
            printf("\\%c", *c);
        } else if (*c < 32 || *c > 126) {
            printf("\\u%04x", *c);
        } else {
            putchar(*c);
        }
    }
    putchar('"');
}

static void print_result(const struct load_options *o, const struct load_plan *plan,
                         const struct worker *sum, struct sample before, struct sample after) {
    const struct load_counts *c       = &sum->counts;
    double                    seconds = (double)(after.at_ns - before.at_ns) / 1e9;
    double                    server  = (double)(after.cpu_ns - before.cpu_ns) / 1e9;

    putchar('{');
    print_text("name", o->name);
    printf(",");
    print_text("command", o->command);
    printf(",\"mode\":\"%s\",\"rate\":%.0f,\"connections\":%u,\"pipeline\":%u,\"threads\":%u",
           plan->rate_per_s > 0 ? "open" : "closed", o->rate_per_s,
           plan->connection_count * plan->thread_count, o->pipeline, o->threads);
    printf(",\"users\":%" PRIu64 ",\"order\":\"%s\",\"seconds\":%.4f", o->users, o->order, seconds);
    printf(",\"sent\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"allowed\":%" PRIu64
           ",\"denied\":%" PRIu64,
           c->sent, c->answered, c->allowed, c->denied);
    printf(",\"errors\":%" PRIu64 ",\"malformed\":%" PRIu64 ",\"wrong_shape\":%" PRIu64
           ",\"unanswered\":%" PRIu64 ",\"unsent\":%" PRIu64,
           c->errors, c->malformed, c->wrong_shape, c->unanswered, c->unsent);
    printf(",\"per_second\":%.1f,\"load_cpu_share\":%.3f", (double)c->answered / seconds,
           (double)c->cpu_ns / (double)c->run_ns);
    printf(",\"latency_us\":{\"mean\":%.2f", histogram_mean(&sum->latency) / 1e3);
    static const struct {
        const char *name;
        double      share;
    } points[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}};
    for (unsigned i = 0; i < sizeof points / sizeof points[0]; i++) {
        printf(",\"%s\":%.2f", points[i].name,
               (double)histogram_at(&sum->latency, points[i].share) / 1e3);
    }
    printf(",\"max\":%.2f}", (double)sum->latency.max / 1e3);
    if (o->server) {
        printf(",\"server_cpu_s\":%.6f,\"server_cpu_share\":%.3f,\"server_cpu_s_per_million\":%.4f",
               server, server / seconds, c->answered ? server * 1e6 / (double)c->answered : 0);
        printf(",\"server_resident_before\":%" PRIu64 ",\"server_resident_after\":%" PRIu64,
               before.resident_bytes, after.resident_bytes);
    }
    if (sum->first_error[0]) {
        putchar(',');
        print_text("first_error", sum->first_error);
    }
    puts("}");
}

static void counts_join(struct load_counts *sum, const struct load_counts *c) {
    sum->sent += c->sent;
    sum->answered += c->answered;
    sum->allowed += c->allowed;
    sum->denied += c->denied;
    sum->errors += c->errors;
    sum->malformed += c->malformed;
    sum->wrong_shape += c->wrong_shape;
    sum->unanswered += c->unanswered;
    sum->unsent += c->unsent;
    sum->cpu_ns += c->cpu_ns;
    sum->run_ns += c->run_ns;
    if (c->finished_ns > sum->finished_ns) sum->finished_ns = c->finished_ns;
}

static struct load_plan plan_of(const struct load_options *o) {
    struct load_plan    plan = {.order            = order_of(o->order),
                                .user_count       = o->users,
                                .zipf_exponent    = o->zipf_exponent,
                                .thread_count     = o->threads,
                                .connection_count = o->connections / o->threads,
                                .pipeline         = o->pipeline,
                                .rate_per_s       = o->rate_per_s / o->threads,
                                .is_even          = o->is_even,
                                .request_count    = o->requests / o->threads,
                                .drain_ns         = 2000000000,
                                .seed             = o->seed,
                                .cpu              = o->cpu};
    struct command_rule rule = o->rule;
    char                sha[41];
    address_of(o->target, &plan);
    if (o->script) {
        script_load(&plan, o->script, sha);
        rule.script_sha = sha;
    }
    if (!command_make(&plan.command, o->command, &rule)) {
        die(2, "--command is '%s', or the rule cannot be said in it; see --help", o->command);
    }
    double warmup_s = o->requests ? 0 : o->warmup_s;
    double length_s = o->requests ? SECONDS_MAX : o->seconds;
    plan.start_ns   = worker_now_ns() + (uint64_t)(warmup_s * 1e9);
    plan.end_ns     = plan.start_ns + (uint64_t)(length_s * 1e9);
    return plan;
}

int main(int argc, char **argv) {
    struct load_options o       = options_of(argc, argv);
    struct load_plan    plan    = plan_of(&o);
    struct worker      *workers = calloc(o.threads + 1, sizeof *workers);
    if (!workers) die(3, "out of memory");

    struct sample before = sample_take(o.server);
    for (unsigned i = 0; i < o.threads; i++) {
        workers[i].plan  = &plan;
        workers[i].index = i;
        if (pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]) != 0)
            die(3, "no thread");
    }
    struct sample after = before;
    if (!o.requests) {
        sleep_until(plan.start_ns);
        before = sample_take(o.server);
        sleep_until(plan.end_ns);
        after = sample_take(o.server);
    }
    struct worker *sum = &workers[o.threads];
    for (unsigned i = 0; i < o.threads; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].trouble[0]) die(3, "%s", workers[i].trouble);
        counts_join(&sum->counts, &workers[i].counts);
        histogram_join(&sum->latency, &workers[i].latency);
        if (workers[i].first_error[0])
            memcpy(sum->first_error, workers[i].first_error, sizeof sum->first_error);
    }
    if (o.requests) {
        after       = sample_take(o.server);
        after.at_ns = sum->counts.finished_ns;
    }
    print_result(&o, &plan, sum, before, after);

    const struct load_counts *c        = &sum->counts;
    bool                      is_clean = c->answered > 0 &&
                    c->errors + c->malformed + c->wrong_shape + c->unanswered + c->unsent == 0;
    free(workers);
    return is_clean ? 0 : 1;
}
