/* SPDX-License-Identifier: MIT
 *
 * paxos: a model of one record that is changed on conditions, on replicas without a leader. See paxos.c. */
#ifndef WEIR_SIM_PAXOS_H
#define WEIR_SIM_PAXOS_H

#include <stdalign.h>

#include "sim/ledger.h"
#include "sim/scenario.h"
#include "sim/world.h"

enum { PAXOS_QUEUE_MAX = 64, PAXOS_CLOCKS_MAX = 64 };

/* What a process has told of its clock. */
struct paxos_clock {
    uint64_t id, us;
};

/* Sent with as much as is used: paxos_request_bytes(). */
struct paxos_request {
    uint32_t             node;
    uint64_t             machine, memory; /* of the node when it sent this */
    uint64_t             number;          /* of its errands */
    bool                 is_update;       /* else a read */
    bool                 is_beat; /* else, too: writes `clock`, and then reads all of them */
    struct paxos_clock   clock;
    struct ledger_update update;
};

/* `bytes` follow: the record, as it was read, or as it is where an update's condition does not hold; or the
 * clocks. */
struct paxos_reply {
    uint32_t         node;
    uint64_t         machine, memory, number;
    enum ledger_fate fate;
    size_t           bytes;
};

struct paxos_wait {
    uint64_t             since_ns;
    struct paxos_request request;
};

enum paxos_luck {
    PAXOS_FINE,
    PAXOS_NEVER,  /* the coordinator gives up, and nothing comes of it */
    PAXOS_UNTOLD, /* it is done, but the coordinator has given up */
    PAXOS_LATE,   /* it is done when nobody expects it any more, if its condition holds then */
};

struct paxos {
    struct world          *world;
    const struct scenario *scenario;
    struct random          random_fault, random_link;
    uint32_t               replica_count, quorum;
    bool                   is_down[SIM_SERVERS_MAX];
    struct ledger_record   record;

    /* Until it has been confirmed, the last update may be read or not: then this is put back. */
    bool               is_unsure;
    bool               had_page;
    struct ledger_page page_before;

    bool              is_busy; /* with the first of the queue */
    uint64_t          rest_ns; /* that its first two rounds take yet when it is looked at */
    enum paxos_luck   luck;
    uint32_t          first, waiting;
    struct paxos_wait queue[PAXOS_QUEUE_MAX];

    uint32_t           clock_count, clock_next;
    struct paxos_clock clocks[PAXOS_CLOCKS_MAX]; /* the last that were told */

    bool                 has_backup;
    struct ledger_record backup; /* an old copy, of which a rollback makes the present */

    /* Sends a reply back over the network; the record is behind it. */
    void (*reply)(void *context, const struct paxos_reply *reply, size_t bytes);
    void *context;
    alignas(struct paxos_reply) unsigned char scratch[sizeof(struct paxos_reply) +
                                                      sizeof(struct ledger_record)];
};

void paxos_begin(struct paxos *p, struct world *w, const struct scenario *s);

/* A request has come over the network to a replica, which coordinates it. */
void paxos_serve(struct paxos *p, const struct paxos_request *request);

size_t paxos_request_bytes(const struct paxos_request *request);
size_t paxos_reply_bytes(const struct paxos_reply *reply);
/* The record that is behind a reply. */
void paxos_unpack(const struct paxos_reply *reply, struct ledger_record *record);

#endif
