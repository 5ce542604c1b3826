/* SPDX-License-Identifier: MIT */
#include "base/login.h"

#include "support/check.h"

#define CHECK_SHOWN(url, expected)                                                                 \
    do {                                                                                           \
        char shown[64];                                                                            \
        CHECK_STR_EQ(login_hide((url), shown, sizeof shown), (expected));                          \
    } while (0)

TEST(who_logs_in_is_not_shown) {
    CHECK_SHOWN("redis://ann:secret@host:6379/0", "redis://***@host:6379/0");
    CHECK_SHOWN("redis://:secret@host", "redis://***@host");
    CHECK_SHOWN("redis://ann@host", "redis://***@host");
    CHECK_SHOWN("rediss+sentinel://ann:s@a:1,b:2/main?x=1",
                "rediss+sentinel://***@a:1,b:2/main?x=1");
}

TEST(a_password_with_marks_in_it_is_hidden_whole) {
    CHECK_SHOWN("redis://:a@b:c/d?e@host/1", "redis://***@host/1");
    CHECK_SHOWN("redis://:a://b@host", "redis://***@host");
    CHECK_SHOWN("redis:ann:secret@host", "redis:***@host");
    CHECK_SHOWN("ann:secret@host", "ann:***@host");
    CHECK_SHOWN("secret@host:1", "***@host:1");
}

TEST(options_that_are_secret_are_hidden) {
    CHECK_SHOWN("redis://h?secret=abc", "redis://h?secret=***");
    CHECK_SHOWN("redis://a:b@h/0?nodes=3&secret=abc&policy=open",
                "redis://***@h/0?nodes=3&secret=***&policy=open");
    CHECK_SHOWN("redis://h?sentinel-password=x&&secret=",
                "redis://h?sentinel-password=***&&secret=***");
    CHECK_SHOWN("redis://h?secrets&nodes=3&", "redis://h?secrets&nodes=3&");
    CHECK_SHOWN("redis://h?", "redis://h?");
}

TEST(options_that_are_secret_are_hidden_with_marks_in_them) {
    CHECK_SHOWN("redis://127.0.0.1:1?secret=aaaa@bbbb", "redis://***");
    CHECK_SHOWN("redis://h?nodes=3&secret=a?b@c&policy=open", "redis://***&policy=open");
    CHECK_SHOWN("redis://h?secret=a?b&x=1", "redis://h?secret=***&x=1");
    CHECK_SHOWN("redis://:a?b@h?secret=c@d", "redis://***");
    CHECK_SHOWN("redis://h?x?secret=a", "redis://h?x?secret=***");
    CHECK_SHOWN("redis://h?secret=a&sentinel-password=b",
                "redis://h?secret=***&sentinel-password=***");
    CHECK_SHOWN("redis://:p?w@h?secret=a", "redis://***@h?secret=***");
    CHECK_SHOWN("redis://h?secret=a&x=b@c?secret=d", "redis://***@c?secret=***");
}

TEST(what_holds_no_login_is_shown_as_it_is) {
    CHECK_SHOWN("redis://host:6379/0", "redis://host:6379/0");
    CHECK_SHOWN("memory:", "memory:");
    CHECK_SHOWN("", "");
    CHECK_SHOWN("file:/srv/a@b/limits.weir", "file:/srv/a@b/limits.weir");
}

TEST(a_long_url_is_cut) {
    char shown[16];
    CHECK_STR_EQ(login_hide("redis://ann:secret@host", shown, sizeof shown), "redis://***@hos");
    CHECK_STR_EQ(login_hide("redis://ann:secret@host", shown, 10), "redis://*");
    CHECK_STR_EQ(login_hide("redis://ann:secret@host", shown, 1), "");
    CHECK_STR_EQ(login_hide("redis://a.long.host", shown, sizeof shown), "redis://a.long.");
}
