/* SPDX-License-Identifier: MIT
 *
 * serve: a limiter for every program of this machine that can speak to a Redis server. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <weir.h>

#include "api/open.h"
#include "api/shared.h"
#include "base/text.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/store.h"
#include "cmd/store_past.h"
#include "cmd/store_watch.h"
#include "cmd/terminal.h"
#include "limiter/limiter.h"
#include "os/clock.h"
#include "os/thread.h"
#include "server/server.h"

static const char about[] =
    "Answers limit questions on a port and on unix sockets, in the protocol of Redis (RESP2 and\n"
    "RESP3), so that every Redis client is a client of weir.\n"
    "\n"
    "  redis-cli -p 7400 WEIR.ALLOW ann 100 60000      at most 100 in any minute: 1 yes, 0 no\n"
    "  redis-cli -p 7400 WEIR.DECIDE ann 100 1m        what is left, and when to come back\n"
    "  redis-cli -p 7400 CL.THROTTLE ann 15 30 60      as redis-cell answers it\n"
    "\n"
    "Counts are kept in a file (see --store), which other servers of this machine, weir allow\n"
    "and programs with the library may share, and which survives them all, however they end.\n"
    "On redis://HOST, redis+sentinel://HOSTS/NAME, redis+cluster://HOSTS or cassandra://HOSTS the\n"
    "servers of many machines share them; when a trouble with such a store begins, and when it is\n"
    "over, that is told on stderr.\n"
    "\n"
    "Ends on SIGTERM or SIGINT, when all that it had been asked is answered; the second closes\n"
    "all connections at once.\n";

static const char epilogue[] =
    "ADDRESS is 127.0.0.1:7400, [::1]:7400, localhost:7400, *:7400 (all addresses of this\n"
    "machine) or unix:/path. Port 0 lets the system choose; the line that says \"ready\" tells\n"
    "which.\n"
    "There is no password and no encryption: whoever reaches the port may spend and reset every\n"
    "user's permits. So other machines are kept out unless --allow-remote says that the network\n"
    "in between is trusted.\n"
    "\n"
    "Servers that share a file share its counts; --users-max, --bytes-max and --clock-error-ppm\n"
    "are the file's, for all who open it. weir top shows who has it open and what it holds.\n"
    "Servers that share a Redis: weir doctor URL says what a limit can promise there, weir init\n"
    "URL that it is new. What the URL says behind its ? (replicas, nodes, policy, deadline,\n"
    "round-trip, secret) goes before the options here.\n"
    "\n"
    "exit codes: 0 stopped by a signal; 2 wrong usage; 3 trouble, such as a port in use.\n";

/* How long the store may take to answer: at first, when it may have to be connected to, and later, when a
 * signal waits for it. */
#define FIRST_WAIT_NS UINT64_C(2000000000)
#define ASK_WAIT_NS   UINT64_C(1000000000)

/* How often a store of which nobody complains is asked how far back it knows what was granted. */
#define LOOK_NS UINT64_C(10000000000)

enum {
    LISTEN_MAX              = 16,
    THREADS_MAX             = 256,
    NODES_MAX               = 1000000,
    CONNECTIONS_MAX_DEFAULT = 10000,
    DESCRIPTORS_A_THREAD    = 7,  /* with that of its runner, where the store is remote */
    DESCRIPTORS_MORE        = 32, /* standard streams, listeners, what the C library opens */
    DESCRIPTORS_OF_STORE =
        256, /* remote: connections, two to each server and Sentinel; files, lookups */
};

struct serve {
    struct args_list listen;
    uint64_t thread_count, connections_max, users_max, bytes_max, clock_error_ppm, unrecorded_max,
        nodes;
    uint32_t       durability, policy;
    int64_t        idle_ns_max, wall_error_ns, deadline_ns;
    const char    *store, *unix_mode, *pid_file;
    bool           allows_remote, is_quiet;
    struct address addresses[LISTEN_MAX];
    size_t         address_count;
    unsigned       mode;
};

static const char *const durabilities[] = {"process", "power", NULL}; /* weir_durability */
static const char *const policies[]     = {"closed", "open", "local", NULL};

/* The weir_policy of the first, and of one that is not given. */
enum { POLICY_FIRST = WEIR_POLICY_CLOSED, POLICY_USUAL = WEIR_POLICY_LOCAL - POLICY_FIRST };

static bool serve_parse(struct serve *serve, int count, char **words, int *code);
static int  serve_run(struct serve *serve);

int serve_main(int count, char **words) {
    struct serve serve = {
        .connections_max = CONNECTIONS_MAX_DEFAULT,
        .policy          = POLICY_USUAL,
        .store           = store_default(),
        .unix_mode       = "0600",
    };
    int code;
    if (!serve_parse(&serve, count, words, &code)) return code;
    return terminal_finish("serve", serve_run(&serve));
}

/* ---- what is wanted ---- */

static bool addresses_parse(struct serve *serve) {
    if (serve->listen.count == 0) serve->listen.items[serve->listen.count++] = "127.0.0.1:7400";
    if (serve->listen.count > LISTEN_MAX) {
        terminal_complain("serve", "--listen may be given %d times", LISTEN_MAX);
        return false;
    }
    for (size_t i = 0; i < serve->listen.count; i++) {
        char            problem[SOCKET_PROBLEM_BYTES_MAX], quoted[TERMINAL_QUOTE_BYTES_MAX];
        const char     *text    = serve->listen.items[i];
        struct address *address = &serve->addresses[serve->address_count++];
        terminal_quote(view_of(text), quoted);
        if (!address_parse(text, address, problem)) {
            terminal_complain("serve", "--listen %s: %s", quoted, problem);
            return false;
        }
        if (!address_is_local(address) && !serve->allows_remote) {
            terminal_complain(
                "serve",
                "--listen %s: other machines could reach this address, and there is no password: "
                "anyone there could spend and reset every user's permits; add --allow-remote "
                "if that network is trusted",
                quoted);
            return false;
        }
    }
    return true;
}

static bool mode_parse(struct serve *serve) {
    unsigned mode    = 0;
    size_t   length  = strlen(serve->unix_mode);
    bool     is_mode = length >= 3 && length <= 4;
    for (size_t i = 0; i < length && is_mode; i++) {
        is_mode = serve->unix_mode[i] >= '0' && serve->unix_mode[i] <= '7';
        mode    = mode * 8 + (unsigned)(serve->unix_mode[i] - '0');
    }
    serve->mode = mode;
    if (is_mode && mode <= 0777) return true;
    terminal_complain("serve",
                      "--unix-mode takes an octal mode such as 0600 or 660, and not '%.32s'",
                      serve->unix_mode);
    return false;
}

static bool serve_parse(struct serve *serve, int count, char **words, int *code) {
    const struct args_option options[] = {
        {.name   = "listen",
         .letter = 'l',
         .kind   = ARGS_LIST,
         .value  = "ADDRESS",
         .into   = &serve->listen,
         .text   = "where to answer (default 127.0.0.1:7400); may be repeated"},
        {.name   = "threads",
         .letter = 't',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &serve->thread_count,
         .min    = 1,
         .max    = THREADS_MAX,
         .text   = "threads (default: one a processor)"},
        {.name   = "users-max",
         .letter = 'u',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &serve->users_max,
         .min    = 1,
         .text   = "counters held at once, about 76 bytes each (default\n10000000, or as the "
                   "file has it)"},
        {.name  = "bytes-max",
         .kind  = ARGS_BYTES,
         .value = "BYTES",
         .into  = &serve->bytes_max,
         .min   = 1,
         .text  = "a bound on the bytes of the file or the memory, such as\n500M; lowers "
                  "--users-max"},
        {.name   = "connections-max",
         .letter = 'c',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &serve->connections_max,
         .min    = 1,
         .max    = 1000000,
         .text   = "connections open at once (default 10000)"},
        {.name  = "idle-timeout",
         .kind  = ARGS_DURATION,
         .value = "DURATION",
         .into  = &serve->idle_ns_max,
         .max   = (uint64_t)WEIR_YEAR,
         .text  = "close a connection that says nothing for so long\n(default 0s: never)"},
        {.name = "allow-remote",
         .kind = ARGS_FLAG,
         .into = &serve->allows_remote,
         .text = "let other machines ask; without a password"},
        {.name  = "unix-mode",
         .kind  = ARGS_TEXT,
         .value = "MODE",
         .into  = &serve->unix_mode,
         .text  = "mode of the files of unix sockets (default 0600)"},
        {.name  = "clock-error-ppm",
         .kind  = ARGS_NUMBER,
         .value = "N",
         .into  = &serve->clock_error_ppm,
         .max   = 100000,
         .text  = "how wrong the rate of this machine's clock may be;\nwindows are lengthened "
                  "by as much (default 0, or as the\nfile has it)"},
        {.name    = "durability",
         .kind    = ARGS_CHOICE,
         .choices = durabilities,
         .into    = &serve->durability,
         .text = "file: what a new one survives: the end of processes\n(process, the default), or "
                 "power losses too (power)"},
        {.name  = "unrecorded-max",
         .kind  = ARGS_NUMBER,
         .value = "N",
         .into  = &serve->unrecorded_max,
         .min   = 1,
         .text =
             "file, durability power: permits of a user that may be\nanswered before they are on "
             "the disk (default 16)"},
        {.name  = "wall-error",
         .kind  = ARGS_DURATION,
         .value = "DURATION",
         .into  = &serve->wall_error_ns,
         .max   = (uint64_t)WEIR_YEAR,
         .text  = "file: how wrong the wall clock may be. 0s: time stands\nstill for the counters "
                  "while the machine is off (default)"},
        {.name   = "store",
         .letter = 's',
         .kind   = ARGS_TEXT,
         .value  = "URL",
         .into   = &serve->store,
         .text   = "where to count: file:PATH, memory:, redis://HOST,\n"
                   "cassandra://HOST, or file: for the default place\n"
                   "(default $WEIR_STORE, or else file:)"},
        {.name  = "deadline",
         .kind  = ARGS_DURATION,
         .value = "DURATION",
         .into  = &serve->deadline_ns,
         .min   = 1,
         .max   = (uint64_t)WEIR_MINUTE,
         .text  = "redis, cassandra: how long a decision may wait for the\nstore (default 20ms)"},
        {.name    = "policy",
         .kind    = ARGS_CHOICE,
         .choices = policies,
         .into    = &serve->policy,
         .text =
             "redis, cassandra: what is decided while the store does\nnot answer: denied (closed), "
             "allowed (open), or each\nserver on its own up to limit / nodes (local, the "
             "default)"},
        {.name  = "nodes",
         .kind  = ARGS_NUMBER,
         .value = "N",
         .into  = &serve->nodes,
         .min   = 1,
         .max   = NODES_MAX,
         .text  = "redis, cassandra: how many servers and programs share\nthe limits (default 8)"},
        {.name  = "pid-file",
         .kind  = ARGS_TEXT,
         .value = "FILE",
         .into  = &serve->pid_file,
         .text  = "write the process number there while serving"},
        {.name   = "quiet",
         .letter = 'q',
         .kind   = ARGS_FLAG,
         .into   = &serve->is_quiet,
         .text   = "do not say when it is ready"},
    };
    struct args args = {.verb         = words[0],
                        .usage        = "",
                        .about        = about,
                        .epilogue     = epilogue,
                        .options      = options,
                        .option_count = sizeof options / sizeof options[0]};
    if (!args_parse(&args, count, words, code)) return false;
    *code = COMMAND_USAGE;
    if (serve->thread_count == 0) {
        serve->thread_count = thread_processor_count();
        if (serve->thread_count > THREADS_MAX) serve->thread_count = THREADS_MAX;
    }
    return mode_parse(serve) && addresses_parse(serve);
}

/* ---- running ---- */

/* Fewer connections than wanted, where the system allows fewer descriptors. */
static void connections_fit(struct serve *serve) {
    uint64_t most = socket_count_max();
    uint64_t ours = serve->thread_count * DESCRIPTORS_A_THREAD + DESCRIPTORS_MORE;
    if (shared_is_url(serve->store)) ours += DESCRIPTORS_OF_STORE;
    uint64_t left = most > ours + 16 ? most - ours : 16;
    if (left >= serve->connections_max) return;
    terminal_complain("serve",
                      "the system allows %" PRIu64 " open files, so at most %" PRIu64
                      " connections are taken, and not %" PRIu64 "; raise the limit with ulimit -n",
                      most, left, serve->connections_max);
    serve->connections_max = left;
}

static weir *serve_open(const struct serve *serve, int *code) {
    weir_options options    = WEIR_OPTIONS_DEFAULT;
    options.users_max       = serve->users_max;
    options.bytes_max       = serve->bytes_max;
    options.clock_error_ppm = serve->clock_error_ppm;
    options.wall_error_ns   = serve->wall_error_ns;
    options.durability      = serve->durability;
    options.unrecorded_max  = serve->unrecorded_max;
    options.deadline_ns     = serve->deadline_ns;
    options.policy          = serve->policy + POLICY_FIRST;
    options.nodes           = (uint32_t)serve->nodes;
    return store_open("serve", serve->store, &options, code);
}

static bool pid_file_write(const struct serve *serve) {
    if (serve->pid_file == NULL) return true;
    FILE *file  = fopen(serve->pid_file, "we");
    bool  is_ok = file != NULL && fprintf(file, "%ld\n", (long)getpid()) > 0;
    if (file != NULL && fclose(file) != 0) is_ok = false;
    if (is_ok) return true;
    char quoted[TERMINAL_QUOTE_BYTES_MAX];
    int  why = errno;
    terminal_complain("serve", "--pid-file %s: %s",
                      terminal_quote(view_of(serve->pid_file), quoted), terminal_error_text(why));
    return false;
}

static void say_ready(const struct serve *serve, const struct server *server) {
    if (serve->is_quiet) return;
    printf("weir %s ready on", weir_version());
    for (size_t i = 0; i < server_address_count(server); i++) {
        char text[SOCKET_ADDRESS_BYTES_MAX];
        address_write(server_address(server, i), text);
        printf("%s %s", i == 0 ? "" : ",", text);
    }
    char name[STORE_NAME_BYTES_MAX], quoted[TERMINAL_QUOTE_BYTES_MAX];
    terminal_quote(view_of(store_name(serve->store, name)), quoted);
    printf("; %" PRIu64 " %s, store %s, process %ld\n", serve->thread_count,
           serve->thread_count == 1 ? "thread" : "threads", quoted, (long)getpid());
    (void)fflush(stdout);
}

/* ---- how the store is ---- */

struct watching {
    weir              *w;
    bool               has_known;
    struct store_watch watch;
    struct lease_past  known;   /* has_known: when it was asked last */
    uint64_t           look_ns; /* at its past, next */
};

/* So that nobody has to find out why nothing is granted. It may be mended while this server runs. Of a past
 * that was lost meanwhile weir init says nothing: it takes no word against who knew it, as we did. */
static void note_past(struct watching *it, const struct lease_past *past, uint64_t now_ns) {
    char text[STORE_PAST_BYTES_MAX];
    bool is_lost  = it->has_known && store_past_is_shorter(past, &it->known);
    bool is_short = !it->has_known && !store_past_is_fair(past);
    it->known     = *past;
    it->has_known = true;
    it->look_ns   = now_ns + LOOK_NS;
    if (is_lost && store_past_write(past, text))
        terminal_complain(
            "serve",
            "this store has lost its past and %s; each is granted again when its window "
            "and a term have passed",
            text);
    if (is_short && store_past_write(past, text))
        terminal_complain("serve", "this store %s; if it is new, say so with weir init", text);
}

static void say_news(const struct store_watch *watch, enum store_watch_news news) {
    char        quoted[TERMINAL_QUOTE_BYTES_MAX], lasted[TEXT_DURATION_BYTES_MAX];
    const char *text = terminal_quote(view_of(watch->text), quoted);
    const char *more = store_doctor(text, "; see weir doctor");
    switch (news) {
    case STORE_WATCH_NOTHING: return;
    case STORE_WATCH_BEGUN:
        terminal_complain("serve",
                          "trouble with the store: %s; until it is over, --policy decides what "
                          "permits in hand do not serve%s",
                          text, more);
        return;
    case STORE_WATCH_OTHER:
        terminal_complain("serve", "the trouble with the store goes on: %s%s", text, more);
        return;
    case STORE_WATCH_OVER:
        text_duration_write_short(
            (int64_t)((watch->well_ns - watch->begun_ns) / WEIR_SECOND) * WEIR_SECOND, lasted);
        terminal_complain("serve", "the store answers again, after %s", lasted);
        return;
    }
}

static void ask_store(struct watching *it, const char *complaint, uint64_t wait_ns) {
    struct lease_past     past;
    char                  problem[OPEN_PROBLEM_BYTES_MAX];
    bool                  answers = open_ask(it->w, clock_now_ns() + wait_ns, &past, problem);
    uint64_t              now_ns  = clock_now_ns();
    enum store_watch_news news =
        store_watch_note(&it->watch, complaint, answers ? NULL : problem, now_ns);
    say_news(&it->watch, news);
    /* It may have come back without what it had, and so soon that nobody missed it. */
    if (answers && !it->watch.is_told) note_past(it, &past, now_ns);
}

/* Nobody need complain of a store that is emptied. One that does not answer now is told when somebody's
 * question has shown it. */
static void look_at_past(struct watching *it) {
    struct lease_past past;
    char              problem[OPEN_PROBLEM_BYTES_MAX];
    bool              answers = open_ask(it->w, clock_now_ns() + ASK_WAIT_NS, &past, problem);
    uint64_t          now_ns  = clock_now_ns();
    it->look_ns               = now_ns + LOOK_NS;
    if (answers) note_past(it, &past, now_ns);
}

static void watch_store(void *context) {
    struct watching *it = context;
    char             complaint[STORE_HEALTH_BYTES];
    open_trouble(it->w, complaint, sizeof complaint);
    if (store_watch_wants(&it->watch, complaint, clock_now_ns()))
        ask_store(it, complaint, ASK_WAIT_NS);
    else if (open_has_past(it->w) && complaint[0] == '\0' && !it->watch.is_told &&
             clock_now_ns() >= it->look_ns)
        look_at_past(it);
}

static int serve_run(struct serve *serve) {
    int code = COMMAND_TROUBLE;
    connections_fit(serve);
    weir *w = serve_open(serve, &code);
    if (w == NULL) return code;

    uint64_t clock_error_ppm =
        open_is_remote(w) ? serve->clock_error_ppm : limiter_clock_error_ppm(open_limiter(w));
    char                        problem[SOCKET_PROBLEM_BYTES_MAX];
    struct watching             watching = {.w = w};
    const struct server_options options  = {.limiter         = open_limiter(w),
                                            .store           = w,
                                            .trouble         = open_trouble,
                                            .clock_error_ppm = clock_error_ppm,
                                            .addresses       = serve->addresses,
                                            .address_count   = serve->address_count,
                                            .unix_mode       = serve->mode,
                                            .thread_count    = (unsigned)serve->thread_count,
                                            .connections_max = serve->connections_max,
                                            .idle_ns_max     = (uint64_t)serve->idle_ns_max,
                                            .tick         = open_is_remote(w) ? watch_store : NULL,
                                            .tick_context = &watching};
    struct server              *server   = server_open(&options, problem);
    if (server == NULL) {
        terminal_complain("serve", "%s", problem);
        goto close_store;
    }
    if (!pid_file_write(serve)) goto close_server;

    say_ready(serve, server);
    if (open_is_remote(w)) ask_store(&watching, "", FIRST_WAIT_NS);
    server_wait(server);
    code = COMMAND_DONE;
    if (serve->pid_file != NULL) (void)unlink(serve->pid_file);

close_server:
    server_close(server);
close_store:
    weir_close(w);
    return code;
}
