/* SPDX-License-Identifier: MIT
 *
 * commands_throttle: CL.THROTTLE as redis-cell answers it, for programs that were written for that.
 *
 * The rule is a leaky bucket: `count` permits in `period` seconds, evenly, and max_burst + 1 at once.
 * In weir's words: WEIR_GCRA with a limit of one permit per interval, the interval being what redis-cell
 * computes, period / count in floating point, cut to whole nanoseconds. A GCRA counter's state is a
 * time, whatever the rate, so one key is one counter, as there.
 *
 * Its arithmetic is followed to the rounding, with what is odd about it: `remaining` is computed from
 * microseconds that were cut, so at intervals that are no whole number of them it may be a little high; a
 * wait of less than a millisecond rounds to 0 seconds. Where it would overflow or run backwards
 * (negative numbers, bursts above 2^40, an interval below a nanosecond or above ten years) it is
 * refused here. */
#include "server/commands.h"

#include "limit/gcra.h"

enum {
    NS_PER_US = 1000,
    NS_PER_MS = 1000000,
    NS_PER_S  = 1000000000,
};

#define PERIOD_S_MAX (INT64_MAX / NS_PER_S)

/* ---- words to a request ---- */

/* As Rust reads an i64: a sign or none, digits, nothing else. */
static bool integer_parse(struct view word, int64_t *integer) {
    size_t at          = 0;
    bool   is_negative = word.bytes > 0 && word.data[0] == '-';
    if (is_negative || (word.bytes > 0 && word.data[0] == '+')) at++;
    if (at == word.bytes) return false;

    int64_t value = 0;
    for (; at < word.bytes; at++) {
        int digit = word.data[at] - '0';
        if (digit < 0 || digit > 9) return false;
        if (__builtin_mul_overflow(value, 10, &value)) return false;
        if (__builtin_add_overflow(value, is_negative ? -digit : digit, &value)) return false;
    }
    *integer = value;
    return true;
}

bool ask_throttle(struct call *call, weir_request *request) {
    int64_t numbers[4] = {0, 0, 0, 1};
    if (call->word_count != 5 && call->word_count != 6)
        return call_fail(
            call,
            "Cell error: Store error: Usage: cl.throttle <key> <max_burst> <count per period> "
            "<period> [<quantity>]",
            NULL);
    for (size_t i = 2; i < call->word_count; i++)
        if (!integer_parse(call->words[i], &numbers[i - 2]))
            return call_fail(
                call, "Cell error: Store error: Couldn't parse as integer: ", &call->words[i]);

    int64_t max_burst = numbers[0], count = numbers[1], period_s = numbers[2],
            quantity = numbers[3];
    if (max_burst < 0 || count < 0 || period_s < 0 || quantity < 0)
        return call_fail(call, "Cell error: Store error: Negative numbers are not supported", NULL);
    if (max_burst >= (int64_t)WEIR_LIMIT_MAX)
        return call_fail(call, "Cell error: Store error: max_burst is above 1099511627775", NULL);
    if (count == 0 || period_s == 0)
        return call_fail(call, "Cell error: Store error: Zero rates are not supported", NULL);
    if (period_s > PERIOD_S_MAX)
        return call_fail(call, "Cell error: Store error: period is above 9223372036", NULL);

    int64_t interval_ns = (int64_t)((double)(period_s * NS_PER_S) / (double)count);
    if (interval_ns == 0)
        return call_fail(call, "Cell error: Store error: Zero rates are not supported", NULL);
    if (interval_ns > WEIR_WINDOW_MAX)
        return call_fail(call, "Cell error: Store error: period / count is above 10 years", NULL);

    *request = weir_request_for(call->words[1].data, call->words[1].bytes, 1, interval_ns);
    request->algorithm = WEIR_GCRA;
    request->burst     = (uint64_t)max_burst + 1;
    request->cost      = (uint64_t)quantity;
    if (!gcra_rule_fits(1, (uint64_t)interval_ns, request->burst))
        return call_fail(
            call, "Cell error: Store error: a full bucket is worth more than 146 years", NULL);
    return true;
}

/* ---- a decision to the reply ---- */

/* Whole seconds, one more if whole milliseconds are left over. */
static int64_t seconds_of(int64_t ns) { return ns / NS_PER_S + (ns % NS_PER_S >= NS_PER_MS); }

/* Permits left when the bucket needs `ttl_ns` to drain. Below a microsecond the interval would be cut
 * to 0 and divide; there nanoseconds are used. */
static int64_t remaining_of(int64_t tolerance_ns, int64_t ttl_ns, int64_t interval_ns) {
    int64_t next_ns = tolerance_ns - ttl_ns;
    if (next_ns <= -interval_ns) return 0;
    if (interval_ns < NS_PER_US) return next_ns / interval_ns;
    int64_t next_us     = next_ns / NS_PER_US;
    int64_t interval_us = interval_ns / NS_PER_US;
    return (int64_t)((double)next_us / (double)interval_us);
}

/* The interval as it is counted: longer, where the host's clock may be wrong. */
static int64_t interval_of(const struct batch *batch, const weir_request *request) {
    struct rule rule;
    uint64_t    clock_error_ppm = batch->service->clock_error_ppm;
    if (clock_error_ppm == 0 || limiter_rule_of(request, clock_error_ppm, &rule) != WEIR_OK)
        return request->window_ns;
    return (int64_t)rule.window_ns;
}

void answer_throttle(const struct batch *batch, const struct call *call, struct reply *reply) {
    const weir_request  *request      = call_request(batch, call);
    const weir_decision *decision     = call_decision(batch, call);
    int64_t              interval_ns  = interval_of(batch, request);
    int64_t              tolerance_ns = interval_ns * (int64_t)request->burst;
    int64_t              ttl_ns       = decision->reset_after_ns;
    bool                 is_limited   = !decision->allowed;
    int64_t              retry_ns     = decision->retry_after_ns;

    /* A quantity of 0 looks, and here it asks whether 0 permits would pass, which they do unless the
     * bucket was filled under a rule that allowed more. weir's cost of 0 asks for 1. */
    if (request->cost == 0) {
        is_limited = ttl_ns > tolerance_ns;
        retry_ns   = ttl_ns - tolerance_ns;
    }
    bool is_wait_known = is_limited && retry_ns != WEIR_NEVER;

    reply_array(reply, 5);
    reply_integer(reply, is_limited);
    reply_integer(reply, (int64_t)request->burst);
    reply_integer(reply, remaining_of(tolerance_ns, ttl_ns, interval_ns));
    reply_integer(reply, is_wait_known ? seconds_of(retry_ns) : -1);
    reply_integer(reply, seconds_of(ttl_ns));
}

/* ---- DEL key [key ...] ---- */

/* As in redis-cell, a key exists as long as its bucket is not empty, and to delete it empties it. */
void act_del(const struct service *service, const struct call *call, uint64_t now_ns,
             struct reply *reply) {
    int64_t count = 0;
    for (size_t i = 1; i < call->word_count; i++) {
        weir_decision found;
        weir_request  look =
            weir_request_for(call->words[i].data, call->words[i].bytes, 1, WEIR_SECOND);
        look.algorithm     = WEIR_GCRA;
        look.burst         = 1;
        look.cost          = 0;
        weir_status status = service_decide(service, &look, now_ns, &found);
        if (status == WEIR_OK && found.reset_after_ns > 0 && found.how != WEIR_HOW_OVERFLOW) {
            status = service_reset(service, &look, now_ns);
            count += status == WEIR_OK;
        }
        if (status != WEIR_OK) {
            command_answer_refused(status, look.algorithm, reply);
            return;
        }
    }
    reply_integer(reply, count);
}
