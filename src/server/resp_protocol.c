/* SPDX-License-Identifier: MIT */
#include "server/resp_protocol.h"

/* Anything: what is no RESP is told so in RESP. */
static bool resp_recognises(struct view first) { return first.bytes > 0; }

static struct intake resp_consume(struct batch *batch, struct session *session, void *peer,
                                  char *data, size_t bytes) {
    struct intake       intake = {.bytes_wanted = 1};
    struct resp_request request;

    while (!session->is_leaving && !intake.must_settle) {
        struct view *words = batch_words(batch);
        if (words == NULL) {
            intake.must_settle = true;
            return intake;
        }
        switch (resp_read(data + intake.bytes, bytes - intake.bytes, words, &request)) {
        case RESP_PARTIAL: intake.bytes_wanted = request.bytes_wanted; return intake;
        case RESP_NOTHING: break;
        case RESP_BROKEN: batch_take_broken(batch, session, peer, request.problem); break;
        case RESP_REQUEST:
            intake.must_settle =
                batch_take(batch, session, peer, request.word_count) == BATCH_TAKEN_LAST;
            break;
        }
        intake.bytes += request.bytes;
    }
    return intake;
}

const struct protocol resp_protocol = {
    .name       = "resp",
    .recognises = resp_recognises,
    .consume    = resp_consume,
};
