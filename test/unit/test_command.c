/* SPDX-License-Identifier: MIT */
#include "server/command.h"

#include "base/random.h"
#include "support/check.h"
#include "support/conversation.h"

#define SECOND_NS UINT64_C(1000000000)

static struct conversation *talk;

static void begin(void) {
    if (talk != NULL) conversation_free(talk);
    talk = conversation_new(10000);
}

#define CHECK_ANSWER(line, expected) CHECK_STR_EQ(conversation_ask(talk, (line)), (expected))

/* ---- names ---- */

TEST(every_command_is_found_by_its_name_in_any_letters) {
    for (size_t i = 0; i < command_count(); i++) {
        char        name[COMMAND_NAME_BYTES + 1];
        const char *known = command_at(i)->name;
        for (size_t j = 0; j <= strlen(known); j++)
            name[j] =
                known[j] >= 'a' && known[j] <= 'z' && j % 2 == 0 ? (char)(known[j] - 32) : known[j];
        CHECK_EQ(command_find(view_of(name)), command_at(i));
        name[strlen(name) - 1] ^= 0x40;
        CHECK_EQ(command_find(view_of(name)), NULL);
    }
}

TEST(only_letters_have_two_forms) {
    CHECK_NE(command_find(view_of("WEIR.ALLOW")), NULL);
    CHECK_EQ(command_find(view_of("WEIR\016ALLOW")), NULL);
    CHECK_EQ(command_find(view_of("weir.allow\377")), NULL);
    CHECK_EQ(command_find((struct view){.data = "PING\0", .bytes = 5}), NULL);
    CHECK_EQ(command_find(view_of("")), NULL);
    CHECK_EQ(command_find(view_of("averyverylongcommandname")), NULL);
}

TEST(whoever_may_wait_for_a_store_is_the_last_of_its_batch) {
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *command = command_at(i);
        CHECK_NE(command->act == NULL, command->answer == NULL);
        if (command->act != NULL) CHECK((command->flags & COMMAND_ALONE) != 0);
    }
}

TEST(words_that_are_no_command_are_told_so_and_talk_goes_on) {
    begin();
    CHECK_ANSWER("FOO a 'b c'",
                 "-ERR unknown command 'FOO', with args beginning with: 'a' 'b c' \r\n");
    CHECK_ANSWER("WEIR.ALLOW ann 3", "-ERR wrong number of arguments for 'weir.allow' command\r\n");
    CHECK_ANSWER("PING a b", "-ERR wrong number of arguments for 'ping' command\r\n");
    CHECK_ANSWER("PING", "+PONG\r\n");
}

TEST(a_browser_led_here_is_not_obeyed) {
    begin();
    const char *reply =
        conversation_ask(talk, "POST / HTTP/1.1\r\nHost: x\r\n\r\nWEIR.RESET ann 60000");
    CHECK_CONTAINS(reply, "-ERR unknown command 'POST'");
    CHECK(strstr(reply, "OK") == NULL);
    CHECK(talk->session.is_leaving);
}

/* ---- WEIR.ALLOW, WEIR.DECIDE, WEIR.RESET, WEIR.EXPLAIN ---- */

TEST(allow_answers_one_until_the_limit_and_then_zero) {
    begin();
    for (int i = 0; i < 3; i++) CHECK_ANSWER("WEIR.ALLOW ann 3 1000", ":1\r\n");
    CHECK_ANSWER("WEIR.ALLOW ann 3 1000", ":0\r\n");
    CHECK_ANSWER("WEIR.ALLOW ann 3 1s", ":0\r\n");
    CHECK_ANSWER("WEIR.ALLOW bob 3 1000 3", ":1\r\n");
    CHECK_ANSWER("WEIR.ALLOW bob 3 1000 1", ":0\r\n");
    talk->now_ns += 2 * SECOND_NS;
    CHECK_ANSWER("WEIR.ALLOW ann 3 1000", ":1\r\n");
}

TEST(requests_of_one_packet_see_each_other) {
    begin();
    CHECK_ANSWER(
        "WEIR.ALLOW u 2 1m\r\nWEIR.ALLOW u 2 1m\r\nPING\r\nWEIR.ALLOW u 2 1m\r\nWEIR.RESET u 1m\r\n"
        "WEIR.ALLOW u 2 1m\r\nCL.THROTTLE u 0 1 60\r\nDEL u\r\nCL.THROTTLE u 0 1 60\r\nECHO x",
        ":1\r\n:1\r\n+PONG\r\n:0\r\n+OK\r\n:1\r\n*5\r\n:0\r\n:1\r\n:0\r\n:-1\r\n:60\r\n:1\r\n"
        "*5\r\n:0\r\n:1\r\n:0\r\n:-1\r\n:60\r\n$1\r\nx\r\n");
}

TEST(bad_rules_are_each_answered_clearly) {
    begin();
    CHECK_ANSWER("WEIR.ALLOW ann 0 1000", ":0\r\n");
    CHECK_ANSWER("WEIR.ALLOW ann 3 1000 4", ":0\r\n");
    CHECK_ANSWER("WEIR.ALLOW ann 3 0", "-ERR the window is outside 1us to 10 years\r\n");
    CHECK_ANSWER("WEIR.ALLOW ann 3 999ns", "-ERR the window is outside 1us to 10 years\r\n");
    CHECK_ANSWER("WEIR.ALLOW ann 3 3651d", "-ERR the window is outside 1us to 10 years\r\n");
    CHECK_ANSWER("WEIR.ALLOW ann 1099511627777 1",
                 "-ERR the limit is above 1099511627776 (2^40)\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.ALLOW ann 3 -1"),
                   "-ERR the window must be a number of millisec");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.ALLOW ann 3 9223372036854775807"),
                   "-ERR the window must be");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.ALLOW ann -3 1"),
                   "-ERR the limit must be a number from 0");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.ALLOW ann 18446744073709551616 1"),
                   "and not 18446744073709551616");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.ALLOW ann 3 1 x"),
                   "-ERR the cost must be a number");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.ALLOW ann 3 1 1 1"), "-ERR WEIR.ALLOW takes");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.DECIDE ann 3 1 COST"), "-ERR syntax error");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.DECIDE ann 3 1 COST 1 PEEK"),
                   "-ERR PEEK takes nothing");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.DECIDE ann 3 1 BURST 5"),
                   "-ERR the burst is out of range, or");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.DECIDE ann 3 1 ALGORITHM leaky"),
                   "must be strict, gcra or fixed");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.DECIDE ann 3 1 COLOUR red"),
                   "-ERR unknown option COLOUR");
    CHECK_ANSWER("WEIR.ALLOW ann 3 1000", ":1\r\n");
}

TEST(users_are_any_bytes_up_to_64_KiB) {
    begin();
    static const char nul[] = "*4\r\n$10\r\nWEIR.ALLOW\r\n$3\r\na\0b\r\n$1\r\n1\r\n$4\r\n1000\r\n";
    CHECK_STR_EQ(conversation_say(talk, nul, sizeof nul - 1), ":1\r\n");
    CHECK_STR_EQ(conversation_say(talk, nul, sizeof nul - 1), ":0\r\n");
    CHECK_ANSWER("WEIR.ALLOW a 1 1000", ":1\r\n");
    CHECK_ANSWER("WEIR.ALLOW \"\" 1 1000", ":1\r\n");
    CHECK_ANSWER("WEIR.ALLOW \"\" 1 1000", ":0\r\n");
    CHECK_ANSWER("WEIR.ALLOW \"\\xff\\xfe\" 1 1000", ":1\r\n");

    char *request = malloc(80000);
    for (size_t extra = 0; extra < 2; extra++) {
        size_t user = WEIR_USER_BYTES_MAX + extra;
        int    head = snprintf(request, 64, "*4\r\n$10\r\nWEIR.ALLOW\r\n$%zu\r\n", user);
        memset(request + head, 'u', user);
        int tail = snprintf(request + head + user, 64, "\r\n$1\r\n1\r\n$4\r\n1000\r\n");
        CHECK_STR_EQ(conversation_say(talk, request, (size_t)head + user + (size_t)tail),
                     extra == 0 ? ":1\r\n"
                                : "-ERR the user is missing or longer than 65536 bytes\r\n");
    }
    free(request);
    CHECK_ANSWER("PING", "+PONG\r\n");
}

TEST(decide_tells_what_is_left_and_when_to_come_back) {
    begin();
    CHECK_ANSWER(
        "WEIR.DECIDE ann 2 1s ALGORITHM gcra BURST 2",
        "*14\r\n$7\r\nallowed\r\n:1\r\n$9\r\nremaining\r\n:1\r\n$14\r\nretry_after_ms\r\n:0\r\n"
        "$14\r\nreset_after_ms\r\n:500\r\n$14\r\nretry_after_ns\r\n:0\r\n"
        "$14\r\nreset_after_ns\r\n:500000000\r\n$3\r\nhow\r\n$4\r\ngcra\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.DECIDE ann 2 1s algorithm GCRA peek"),
                   "remaining\r\n:1\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.DECIDE ann 2 1s ALGORITHM gcra COST 2"),
                   "retry_after_ms\r\n:500\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.DECIDE ann 2 1s ALGORITHM gcra COST 3"),
                   "retry_after_ns\r\n:-1\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.DECIDE ann 2 1s ALGORITHM fixed"),
                   "$5\r\nfixed\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.DECIDE ann 2 1s"), "$6\r\nstrict\r\n");
    (void)conversation_ask(talk, "HELLO 3");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.DECIDE ann 2 1s PEEK"),
                   "%7\r\n$7\r\nallowed\r\n:1\r\n");
}

TEST(reset_forgets_one_counter) {
    begin();
    CHECK_ANSWER("WEIR.ALLOW ann 1 1m", ":1\r\n");
    CHECK_ANSWER("WEIR.ALLOW ann 1 1h", ":1\r\n");
    CHECK_ANSWER("WEIR.RESET ann 1m", "+OK\r\n");
    CHECK_ANSWER("WEIR.ALLOW ann 1 1m", ":1\r\n");
    CHECK_ANSWER("WEIR.ALLOW ann 1 1h", ":0\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.RESET ann x"), "-ERR the window must be");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.RESET ann 1m BURST 3"),
                   "-ERR unknown option BURST");
}

TEST(explain_says_what_a_rule_admits_at_worst) {
    begin();
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.EXPLAIN 100 1m"),
                   "strict\r\n:1\r\n$12\r\nworst_window\r\n:100\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.EXPLAIN 100 1m ALGORITHM fixed"),
                   "worst_window\r\n:200\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "WEIR.EXPLAIN 100 0"), "-ERR the window is outside");
}

/* ---- CL.THROTTLE ---- */

static const char *five(int limited, int limit, int remaining, int retry, int reset) {
    static char text[128];
    snprintf(text, sizeof text, "*5\r\n:%d\r\n:%d\r\n:%d\r\n:%d\r\n:%d\r\n", limited, limit,
             remaining, retry, reset);
    return text;
}

TEST(throttle_answers_the_example_of_redis_cell) {
    begin();
    CHECK_ANSWER("CL.THROTTLE user123 15 30 60", five(0, 16, 15, -1, 2));
    CHECK_ANSWER("cl.throttle user123 15 30 60 1", five(0, 16, 14, -1, 4));
}

/* A bucket of five that drains one a second; the cases that redis-cell tests itself with. */
TEST(throttle_follows_redis_cell_through_a_life) {
    static const struct {
        uint64_t at_ms;
        int      quantity, limited, remaining, retry, reset;
    } cases[] = {
        {0, 6, 1, 5, -1, 0},    {0, 1, 0, 4, -1, 1},    {0, 1, 0, 3, -1, 2},
        {0, 1, 0, 2, -1, 3},    {0, 1, 0, 1, -1, 4},    {0, 1, 0, 0, -1, 5},
        {0, 1, 1, 0, 1, 5},     {3000, 1, 0, 2, -1, 3}, {3100, 1, 0, 1, -1, 4},
        {4000, 1, 0, 1, -1, 4}, {8000, 1, 0, 4, -1, 1}, {9500, 1, 0, 4, -1, 1},
        {9500, 0, 0, 4, -1, 1}, {9500, 2, 0, 2, -1, 3}, {9500, 5, 1, 2, 3, 3},
    };
    begin();
    uint64_t start_ns = talk->now_ns;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[64];
        talk->now_ns = start_ns + cases[i].at_ms * 1000000;
        snprintf(line, sizeof line, "CL.THROTTLE foo 4 1 1 %d", cases[i].quantity);
        CHECK_ANSWER(line,
                     five(cases[i].limited, 5, cases[i].remaining, cases[i].retry, cases[i].reset));
    }
}

/* redis-cell's arithmetic, written again from its source with its own order of rounding. */
struct cell {
    int64_t tat_ns; /* -1: no key */
};

static int64_t cell_seconds(int64_t ns) {
    int64_t seconds = ns / 1000000000, ms = ns % 1000000000 / 1000000;
    return ms > 0 ? seconds + 1 : seconds;
}

static const char *cell_throttle(struct cell *cell, int64_t now, int64_t burst, int64_t count,
                                 int64_t period, int64_t quantity) {
    int64_t interval  = (int64_t)((double)(period * 1000000000) / (double)count);
    int64_t tolerance = interval * (burst + 1), increment = interval * quantity;
    int64_t tat      = cell->tat_ns < now ? now : cell->tat_ns; /* an expired key is no key */
    int64_t next_tat = tat + increment, diff = now - (next_tat - tolerance);
    int64_t retry = -1, ttl = 0, remaining = 0;
    bool    limited = diff < 0;
    if (limited) {
        if (increment <= tolerance) retry = cell_seconds(-diff);
        ttl = tat - now;
    } else {
        ttl          = next_tat - now;
        cell->tat_ns = next_tat;
    }
    int64_t next    = tolerance - ttl;
    int64_t next_us = next / 1000, interval_us = interval / 1000;
    if (next > -interval) remaining = (int64_t)((double)next_us / (double)interval_us);
    static char text[192];
    snprintf(text, sizeof text, "*5\r\n:%d\r\n:%lld\r\n:%lld\r\n:%lld\r\n:%lld\r\n", limited,
             (long long)burst + 1, (long long)remaining, (long long)retry,
             (long long)cell_seconds(ttl));
    return text;
}

TEST(throttle_equals_redis_cells_arithmetic_on_random_lives) {
    struct random r = {.state = check_seed()};
    for (uint64_t life = 0; life < check_effort(300); life++) {
        begin();
        struct cell cell   = {.tat_ns = -1};
        int64_t     burst  = (int64_t)random_below(&r, 50);
        int64_t     count  = (int64_t)random_between(&r, 1, 200);
        int64_t     period = (int64_t)random_between(&r, 1, 120);
        for (int step = 0; step < 200; step++) {
            /* Now and then the rule changes, as when a new version of a program is rolled out. */
            if (random_below(&r, 40) == 0) burst = (int64_t)random_below(&r, 50);
            if (random_below(&r, 40) == 0) count = (int64_t)random_between(&r, 1, 200);
            int64_t quantity = random_below(&r, 4) == 0 ? (int64_t)random_below(&r, 60) : 1;
            talk->now_ns += random_below(&r, 3) == 0
                                ? 0
                                : random_below(&r, (uint64_t)(period * 2000000000 / count));
            char line[128];
            snprintf(line, sizeof line, "CL.THROTTLE k %lld %lld %lld %lld", (long long)burst,
                     (long long)count, (long long)period, (long long)quantity);
            CHECK_ANSWER(
                line, cell_throttle(&cell, (int64_t)talk->now_ns, burst, count, period, quantity));
        }
    }
}

TEST(throttle_refuses_in_redis_cells_words) {
    static const char prefix[] = "-Cell error: Store error: ";
    begin();
    CHECK_ANSWER("CL.THROTTLE k 1 2",
                 "-Cell error: Store error: Usage: cl.throttle <key> <max_burst> "
                 "<count per period> <period> [<quantity>]\r\n");
    CHECK_ANSWER("CL.THROTTLE", "-Cell error: Store error: Usage: cl.throttle <key> <max_burst> "
                                "<count per period> <period> [<quantity>]\r\n");
    CHECK_ANSWER("CL.THROTTLE k 1 two 3",
                 "-Cell error: Store error: Couldn't parse as integer: two\r\n");
    CHECK_ANSWER("CL.THROTTLE k 9223372036854775808 1 1",
                 "-Cell error: Store error: Couldn't parse as integer: 9223372036854775808\r\n");
    CHECK_ANSWER("CL.THROTTLE k 1 0 1",
                 "-Cell error: Store error: Zero rates are not supported\r\n");
    CHECK_ANSWER("CL.THROTTLE k 1 1 0",
                 "-Cell error: Store error: Zero rates are not supported\r\n");
    CHECK_ANSWER("CL.THROTTLE k 1 2000000000 1",
                 "-Cell error: Store error: Zero rates are not supported\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "CL.THROTTLE k 1 1 1 -1"), prefix);
    CHECK_CONTAINS(conversation_ask(talk, "CL.THROTTLE k -1 1 1"), prefix);
    CHECK_CONTAINS(conversation_ask(talk, "CL.THROTTLE k 1099511627776 1 1"), prefix);
    CHECK_CONTAINS(conversation_ask(talk, "CL.THROTTLE k 1 1 9223372037"), prefix);
    CHECK_CONTAINS(conversation_ask(talk, "CL.THROTTLE k 1 1 400000000"), prefix);
    CHECK_CONTAINS(conversation_ask(talk, "CL.THROTTLE k 1000000000000 1 300000000"),
                   "-Cell error: Store error: a full bucket is worth more than 146 years");
    CHECK_ANSWER("CL.THROTTLE k +1 1 1", five(0, 2, 1, -1, 1));
}

TEST(throttle_reports_very_fast_rates_too) {
    begin();
    CHECK_ANSWER("CL.THROTTLE fast 9 1000000000 1", five(0, 10, 9, -1, 0));
}

TEST(del_empties_buckets_and_counts_those_that_held_something) {
    begin();
    CHECK_ANSWER("DEL a b", ":0\r\n");
    CHECK_ANSWER("CL.THROTTLE a 0 1 60", five(0, 1, 0, -1, 60));
    CHECK_ANSWER("CL.THROTTLE a 0 1 60", five(1, 1, 0, 60, 60));
    CHECK_ANSWER("DEL a b a", ":1\r\n");
    CHECK_ANSWER("CL.THROTTLE a 0 1 60", five(0, 1, 0, -1, 60));
}

/* ---- what clients say first ---- */

TEST(hello_chooses_the_protocol) {
    begin();
    CHECK_CONTAINS(conversation_ask(talk, "HELLO"), "*14\r\n$6\r\nserver\r\n$4\r\nweir\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "HELLO 3"), "%7\r\n$6\r\nserver\r\n");
    CHECK_ANSWER("CLIENT GETNAME", "_\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "HELLO 2 SETNAME joe"), "*14\r\n");
    CHECK_ANSWER("CLIENT GETNAME", "$3\r\njoe\r\n");
    CHECK_ANSWER("HELLO 4", "-NOPROTO unsupported protocol version\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "HELLO x"), "-ERR Protocol version is not an integer");
    CHECK_CONTAINS(conversation_ask(talk, "HELLO 3 AUTH joe secret"), "-WRONGPASS");
    CHECK_CONTAINS(conversation_ask(talk, "HELLO 3 AUTH default secret"), "%7\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "HELLO 2 AUTH default"),
                   "-ERR Syntax error in HELLO option AUTH");
    CHECK_ANSWER("RESET", "+RESET\r\n");
    CHECK_ANSWER("CLIENT GETNAME", "$-1\r\n");
}

TEST(clients_shake_hands_and_look_around) {
    begin();
    CHECK_CONTAINS(conversation_ask(talk, "AUTH secret"),
                   "-ERR AUTH <password> called without any password");
    CHECK_ANSWER("CLIENT SETINFO lib-name redis-py", "+OK\r\n");
    CHECK_ANSWER("CLIENT SETINFO colour red", "-ERR Unrecognized option colour\r\n");
    CHECK_ANSWER("CLIENT SETNAME \"a b\"",
                 "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    CHECK_ANSWER("CLIENT ID", ":7\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "CLIENT LIST"), "id=7 name= age=0 db=0 resp=2\n");
    CHECK_CONTAINS(conversation_ask(talk, "CLIENT DANCE"), "-ERR unknown subcommand");
    CHECK_ANSWER("SELECT 0", "+OK\r\n");
    CHECK_ANSWER("SELECT 1", "-ERR DB index is out of range\r\n");
    CHECK_ANSWER("CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
    CHECK_ANSWER("CONFIG GET append*", "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n");
    CHECK_ANSWER("CONFIG GET nothing", "*0\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "CONFIG SET save x"), "-ERR only CONFIG GET");
    CHECK_ANSWER("TIME", "*2\r\n$10\r\n1700000000\r\n$6\r\n123456\r\n");
    CHECK_ANSWER("DBSIZE", ":0\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "INFO"), "# Weir\r\nweir_allowed:0\r\n");
    CHECK(strstr(conversation_ask(talk, "INFO server"), "# Weir") == NULL);
    CHECK_CONTAINS(conversation_ask(talk, "COMMAND COUNT"), ":");
    CHECK_CONTAINS(conversation_ask(talk, "COMMAND INFO weir.allow nosuch"),
                   "*2\r\n*10\r\n$10\r\nweir.allow\r\n:-4\r\n");
    CHECK_CONTAINS(conversation_ask(talk, "COMMAND DOCS ping"),
                   "*2\r\n$4\r\nping\r\n*8\r\n$7\r\nsummary\r\n");
}

TEST(replies_can_be_switched_off_and_skipped) {
    begin();
    CHECK_ANSWER("CLIENT REPLY SKIP\r\nPING a\r\nPING b", "$1\r\nb\r\n");
    CHECK_ANSWER("CLIENT REPLY OFF\r\nPING\r\nWEIR.ALLOW u 1 1m", "");
    CHECK_ANSWER("CLIENT REPLY ON", "+OK\r\n");
    CHECK_ANSWER("WEIR.ALLOW u 1 1m", ":0\r\n");
}

TEST(nothing_is_read_after_quit_or_a_protocol_error) {
    begin();
    CHECK_ANSWER("PING\r\nQUIT\r\nPING", "+PONG\r\n+OK\r\n");
    CHECK(talk->session.is_leaving);
    begin();
    CHECK_ANSWER("PING\r\n*1\r\nPING\r\nPING",
                 "+PONG\r\n-ERR Protocol error: expected '$' before each word\r\n");
    CHECK(talk->session.is_leaving);
}

TEST(many_requests_at_once_are_answered_in_order) {
    begin();
    enum { COUNT = 3 * BATCH_CALLS_MAX + 7 };
    char  *request = malloc(COUNT * 40), *expected = malloc(COUNT * 16);
    size_t used = 0, due = 0;
    for (int i = 0; i < COUNT; i++) {
        used += (size_t)snprintf(request + used, 40,
                                 i % 5 == 4 ? "ECHO %d\r\n" : "WEIR.ALLOW u%d 1 1m\r\n", i % 50);
        if (i % 5 == 4) {
            char number[8];
            int  bytes = snprintf(number, sizeof number, "%d", i % 50);
            due += (size_t)snprintf(expected + due, 16, "$%d\r\n%s\r\n", bytes, number);
        } else {
            due += (size_t)snprintf(expected + due, 16, ":%d\r\n", i < 50);
        }
    }
    CHECK_STR_EQ(conversation_say(talk, request, used), expected);
    free(request);
    free(expected);
}

TEST(every_command_survives_any_number_of_odd_words) {
    static const char *const odd[] = {"",
                                      "0",
                                      "-1",
                                      "1",
                                      "x",
                                      "\"\\x00\"",
                                      "COST",
                                      "PEEK",
                                      "ALGORITHM",
                                      "gcra",
                                      "1m",
                                      "BURST",
                                      "AUTH",
                                      "SETNAME",
                                      "GET",
                                      "*",
                                      "INFO",
                                      "DOCS",
                                      "LIST",
                                      "REPLY",
                                      "off",
                                      "9223372036854775807",
                                      "18446744073709551615",
                                      "server"};
    struct random            r     = {.state = check_seed()};
    for (uint64_t round = 0; round < check_effort(20000); round++) {
        if (round % 1000 == 0) begin();
        char   line[512];
        size_t used = (size_t)snprintf(line, sizeof line, "%s",
                                       command_at(random_below(&r, command_count()))->name);
        for (uint64_t count = random_below(&r, 8); count > 0; count--)
            used += (size_t)snprintf(line + used, sizeof line - used, " %s",
                                     odd[random_below(&r, sizeof odd / sizeof odd[0])]);
        talk->session.is_leaving = false;
        talk->session.silence    = SESSION_ANSWERS;
        const char *reply        = conversation_ask(talk, line);
        CHECK_SAYS(reply[0] != '\0' || talk->session.silence != SESSION_ANSWERS, "no answer to: %s",
                   line);
    }
}
