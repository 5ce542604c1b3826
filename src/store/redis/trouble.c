/* SPDX-License-Identifier: MIT */
#include "store/redis/trouble.h"

#include "base/text.h"
#include "store/redis/slot.h"

static const struct {
    const char       *code;
    enum trouble_cure cure;
    const char       *text;
} troubles[] = {
#define TROUBLE_ENTRY(name, code, cure, text) {code, cure, text},
    TROUBLE_TABLE(TROUBLE_ENTRY)
#undef TROUBLE_ENTRY
};

static bool starts_with(struct view text, const char *start) {
    size_t bytes = strlen(start);
    return text.bytes >= bytes && memcmp(text.data, start, bytes) == 0;
}

static struct view first_word(struct view text) {
    const char *blank = text.bytes > 0 ? memchr(text.data, ' ', text.bytes) : NULL;
    if (blank != NULL) text.bytes = (size_t)(blank - text.data);
    return text;
}

/* Redis 6 wraps what a command said inside a script: "ERR Error running script (call to f_...):
 * @user_script:1: @user_script: 1: -READONLY You can't ...". Newer ones say it as it was. */
static struct view unwrapped(struct view reply) {
    static const char mark[] = ": -";
    if (!starts_with(reply, "ERR Error running script")) return reply;
    const char *at = memmem(reply.data, reply.bytes, mark, sizeof mark - 1);
    if (at == NULL) return reply;
    return view_from(reply, (size_t)(at - reply.data) + sizeof mark - 1);
}

enum trouble trouble_of(struct view reply) {
    reply            = unwrapped(reply);
    struct view code = first_word(reply);
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++)
        if (troubles[i].code != NULL && view_equals(code, view_of(troubles[i].code)))
            return (enum trouble)i;
    if (starts_with(reply, "ERR max number of clients")) return TROUBLE_CLIENTS;
    if (starts_with(reply, "ERR This instance has cluster support disabled"))
        return TROUBLE_NO_CLUSTER;
    if (starts_with(reply, "ERR unknown command")) return TROUBLE_COMMAND;
    /* Before Redis 6 a wrong password was a plain error, and one too many still is. */
    if (starts_with(reply, "ERR invalid password") || starts_with(reply, "ERR AUTH ") ||
        starts_with(reply, "ERR Client sent AUTH"))
        return TROUBLE_WRONGPASS;
    return TROUBLE_SCRIPT;
}

enum trouble_cure trouble_cure(enum trouble trouble) { return troubles[trouble].cure; }

const char *trouble_text(enum trouble trouble) { return troubles[trouble].text; }

static struct view next_word(struct view *rest) {
    struct view word = first_word(*rest);
    size_t      skip = word.bytes < rest->bytes ? word.bytes + 1 : word.bytes;
    *rest            = view_from(*rest, skip);
    return word;
}

bool trouble_redirect_parse(struct view reply, uint16_t *slot, struct view *host, uint16_t *port) {
    (void)next_word(&reply);
    struct view slot_text = next_word(&reply);
    struct view address   = next_word(&reply);
    uint64_t    number    = 0;
    if (!text_number_parse(slot_text, &number) || number >= SLOT_COUNT) return false;
    *slot = (uint16_t)number;

    /* An IPv6 address comes without brackets, so the last colon is the port's. */
    const char *colon = address.bytes > 0 ? memrchr(address.data, ':', address.bytes) : NULL;
    if (colon == NULL) return false;
    *host = (struct view){.data = address.data, .bytes = (size_t)(colon - address.data)};
    if (!text_number_parse(view_from(address, host->bytes + 1), &number)) return false;
    if (number == 0 || number > UINT16_MAX) return false;
    *port = (uint16_t)number;
    return true;
}
