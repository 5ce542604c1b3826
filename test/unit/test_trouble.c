/* SPDX-License-Identifier: MIT */
#include "store/redis/trouble.h"

#include "support/check.h"

/* As servers say them: Redis 7.0 for all, and what 6.x puts around those of a script. */
TEST(each_error_has_its_meaning_and_its_cure) {
    static const struct {
        const char       *said;
        enum trouble      trouble;
        enum trouble_cure cure;
    } known[] = {
        {"MOVED 3999 127.0.0.1:6381", TROUBLE_MOVED, TROUBLE_REDIRECT},
        {"ASK 3999 127.0.0.1:6381", TROUBLE_ASK, TROUBLE_REDIRECT},
        {"TRYAGAIN Multiple keys request during rehashing of slot", TROUBLE_TRYAGAIN,
         TROUBLE_LATER},
        {"NOSCRIPT No matching script. Please use EVAL.", TROUBLE_NOSCRIPT, TROUBLE_LOAD},
        {"LOADING Redis is loading the dataset in memory", TROUBLE_LOADING, TROUBLE_LATER},
        {"BUSY Redis is busy running a script.", TROUBLE_BUSY, TROUBLE_LATER},
        {"READONLY You can't write against a read only replica.", TROUBLE_READONLY,
         TROUBLE_ELSEWHERE},
        {"ERR Error running script (call to f_0123): @user_script:1: @user_script: 1: -READONLY You can't",
         TROUBLE_READONLY, TROUBLE_ELSEWHERE},
        {"ERR Error running script (call to f_0123): @user_script:1: @user_script: 1: -OOM command not "
         "allowed",
         TROUBLE_OOM, TROUBLE_GIVE_UP},
        {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
         TROUBLE_MASTERDOWN, TROUBLE_ELSEWHERE},
        {"CLUSTERDOWN Hash slot not served", TROUBLE_CLUSTERDOWN, TROUBLE_ELSEWHERE},
        {"NOREPLICAS Not enough good replicas to write.", TROUBLE_NOREPLICAS, TROUBLE_LATER},
        {"UNBLOCKED force unblock from blocking operation", TROUBLE_UNBLOCKED, TROUBLE_ELSEWHERE},
        {"OOM command not allowed when used memory > 'maxmemory'.", TROUBLE_OOM, TROUBLE_GIVE_UP},
        {"MISCONF Redis is configured to save RDB snapshots", TROUBLE_MISCONF, TROUBLE_GIVE_UP},
        {"NOAUTH Authentication required.", TROUBLE_NOAUTH, TROUBLE_GIVE_UP},
        {"WRONGPASS invalid username-password pair or user is disabled.", TROUBLE_WRONGPASS,
         TROUBLE_GIVE_UP},
        {"ERR AUTH <password> called without any password configured", TROUBLE_WRONGPASS,
         TROUBLE_GIVE_UP},
        {"ERR Client sent AUTH, but no password is set", TROUBLE_WRONGPASS, TROUBLE_GIVE_UP},
        {"ERR invalid password", TROUBLE_WRONGPASS, TROUBLE_GIVE_UP},
        {"NOPERM this user has no permissions to run the 'evalsha' command", TROUBLE_NOPERM,
         TROUBLE_GIVE_UP},
        {"DENIED Redis is running in protected mode", TROUBLE_DENIED, TROUBLE_GIVE_UP},
        {"CROSSSLOT Keys in request don't hash to the same slot", TROUBLE_CROSSSLOT,
         TROUBLE_GIVE_UP},
        {"ERR max number of clients reached", TROUBLE_CLIENTS, TROUBLE_LATER},
        {"ERR This instance has cluster support disabled", TROUBLE_NO_CLUSTER, TROUBLE_GIVE_UP},
        {"ERR unknown command 'EVALSHA', with args beginning with: 'a' 'b' ", TROUBLE_COMMAND,
         TROUBLE_GIVE_UP},
        {"ERR value is not an integer or out of range", TROUBLE_SCRIPT, TROUBLE_GIVE_UP},
        {"ERR Error running script (call to f_0): no dash", TROUBLE_SCRIPT, TROUBLE_GIVE_UP},
        {"BUSYGROUP Consumer Group name already exists", TROUBLE_SCRIPT, TROUBLE_GIVE_UP},
        {"MOVEDX", TROUBLE_SCRIPT, TROUBLE_GIVE_UP},
        {"", TROUBLE_SCRIPT, TROUBLE_GIVE_UP},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        enum trouble trouble = trouble_of(view_of(known[i].said));
        CHECK_SAYS(trouble == known[i].trouble, "%s: %s", known[i].said, trouble_text(trouble));
        CHECK_EQ(trouble_cure(trouble), known[i].cure);
    }
}

TEST(redirections_name_a_server) {
    uint16_t    slot, port;
    struct view host;
    CHECK(trouble_redirect_parse(view_of("MOVED 3999 127.0.0.1:6381"), &slot, &host, &port));
    CHECK_EQ(slot, 3999);
    CHECK(view_equals(host, view_of("127.0.0.1")));
    CHECK_EQ(port, 6381);
    CHECK(trouble_redirect_parse(view_of("ASK 0 ::1:7000"), &slot, &host, &port));
    CHECK(view_equals(host, view_of("::1")));
    CHECK(trouble_redirect_parse(view_of("MOVED 16383 :7000"), &slot, &host, &port));
    CHECK_EQ(host.bytes, 0);
}

TEST(redirections_that_name_none_are_refused) {
    static const char *const wrong[] = {"MOVED",       "MOVED ",          "MOVED 1",
                                        "MOVED 1 h",   "MOVED 16384 h:1", "MOVED -1 h:1",
                                        "MOVED 1 h:0", "MOVED 1 h:65536", "MOVED 1 h:x",
                                        "MOVED x h:1", "MOVED 1 h:"};
    uint16_t                 slot, port;
    struct view              host;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK_SAYS(!trouble_redirect_parse(view_of(wrong[i]), &slot, &host, &port), "%s", wrong[i]);
}
