/* SPDX-License-Identifier: MIT */
#include "os/lookup.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/contract.h"

static void lookup_keep(struct lookup *lookup, const struct addrinfo *found) {
    if (found->ai_addrlen > sizeof lookup->addresses[0].socket) return;
    struct address *address = &lookup->addresses[lookup->address_count++];
    memset(address, 0, sizeof *address);
    memcpy(&address->socket, found->ai_addr, found->ai_addrlen);
    address->bytes = found->ai_addrlen;
}

static void *lookup_run(void *context) {
    struct lookup  *lookup = context;
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char            port[8];
    (void)snprintf(port, sizeof port, "%u", lookup->port);

    struct addrinfo *found = NULL;
    int              why   = getaddrinfo(lookup->name, port, &wanted, &found);
    if (why != 0) {
        (void)snprintf(lookup->problem, sizeof lookup->problem,
                       "the name %s cannot be resolved: %s", lookup->name, gai_strerror(why));
    } else {
        for (struct addrinfo *a = found; a != NULL; a = a->ai_next)
            if (lookup->address_count < LOOKUP_ADDRESSES_MAX) lookup_keep(lookup, a);
        freeaddrinfo(found);
    }
    /* A full pipe is full of words that the loop has yet to read: it comes round. */
    while (!loop_post(lookup->loop, lookup->word)) {}
    return NULL;
}

bool lookup_start(struct lookup *lookup, struct loop *loop, uint64_t word, const char *name,
                  uint16_t port) {
    REQUIRE(strlen(name) < LOOKUP_NAME_BYTES_MAX);
    memset(lookup, 0, sizeof *lookup);
    lookup->loop = loop;
    lookup->word = word;
    lookup->port = port;
    memcpy(lookup->name, name, strlen(name) + 1);
    return thread_start_quiet(&lookup->thread, "weir-lookup", lookup_run, lookup);
}

void lookup_end(struct lookup *lookup) { thread_join(&lookup->thread); }
