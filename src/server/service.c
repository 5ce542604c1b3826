/* SPDX-License-Identifier: MIT */
#include "server/service.h"

weir_status service_decide(const struct service *s, const weir_request *request, uint64_t now_ns,
                           weir_decision *decision) {
    if (service_is_remote(s)) return weir_decide(s->store, request, decision);
    return limiter_decide(s->limiter, request, now_ns, decision);
}

weir_status service_reset(const struct service *s, const weir_request *request, uint64_t now_ns) {
    if (service_is_remote(s)) return weir_reset(s->store, request);
    return limiter_reset(s->limiter, request, now_ns);
}

weir_statistics service_statistics(const struct service *s) {
    weir_statistics statistics = {.size = sizeof statistics};
    if (service_is_remote(s))
        (void)weir_stats(s->store, &statistics);
    else
        limiter_stats(s->limiter, &statistics);
    return statistics;
}

void service_trouble(const struct service *s, char *out, size_t room) {
    out[0] = '\0';
    if (s->trouble != NULL) s->trouble(s->store, out, room);
}
