/* SPDX-License-Identifier: MIT
 *
 * trouble: what does an error reply mean, what is to be done, and what does an operator read?
 *
 * One table. All but TROUBLE_SCRIPT mean that the command was not executed: a server says them before it
 * runs a command, or at the first write of a script that has written nothing yet. */
#ifndef WEIR_STORE_REDIS_TROUBLE_H
#define WEIR_STORE_REDIS_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"

enum trouble_cure {
    TROUBLE_GIVE_UP,   /* only a person can help */
    TROUBLE_LATER,     /* the same server may do it soon */
    TROUBLE_ELSEWHERE, /* another server is the one to ask: look who it is */
    TROUBLE_REDIRECT,  /* the reply names the server */
    TROUBLE_LOAD,      /* the server does not know the script: give it the text */
};

/* X(name, code, cure, what an operator reads) */
#define TROUBLE_TABLE(X)                                                                               \
    X(TROUBLE_MOVED, "MOVED", TROUBLE_REDIRECT,                                                        \
      "the slot has another server; a Cluster needs a redis+cluster:// URL")                           \
    X(TROUBLE_ASK, "ASK", TROUBLE_REDIRECT, "the slot is moving to another server")                    \
    X(TROUBLE_TRYAGAIN, "TRYAGAIN", TROUBLE_LATER,                                                     \
      "the slot is moving: its keys are on two servers")                                               \
    X(TROUBLE_NOSCRIPT, "NOSCRIPT", TROUBLE_LOAD, "the server has forgotten the script")               \
    X(TROUBLE_LOADING, "LOADING", TROUBLE_LATER,                                                       \
      "the server reads its data from disk after a start")                                             \
    X(TROUBLE_BUSY, "BUSY", TROUBLE_LATER,                                                             \
      "a script has been running for too long on the server; see SCRIPT KILL")                         \
    X(TROUBLE_READONLY, "READONLY", TROUBLE_ELSEWHERE,                                                 \
      "the server is a replica and takes no writes; name the primary, or use Sentinel")                \
    X(TROUBLE_MASTERDOWN, "MASTERDOWN", TROUBLE_ELSEWHERE,                                             \
      "the server is a replica that has lost its primary")                                             \
    X(TROUBLE_CLUSTERDOWN, "CLUSTERDOWN", TROUBLE_ELSEWHERE,                                           \
      "the Cluster does not serve the slot: servers are missing, or slots are not assigned")           \
    X(TROUBLE_NOREPLICAS, "NOREPLICAS", TROUBLE_LATER,                                                 \
      "fewer replicas follow than min-replicas-to-write asks for")                                     \
    X(TROUBLE_UNBLOCKED, "UNBLOCKED", TROUBLE_ELSEWHERE,                                               \
      "the server was made a replica while the command waited")                                        \
    X(TROUBLE_OOM, "OOM", TROUBLE_GIVE_UP,                                                             \
      "the server is at its maxmemory and may evict nothing; give it more")                            \
    X(TROUBLE_MISCONF, "MISCONF", TROUBLE_GIVE_UP,                                                     \
      "the server cannot write to its disk and therefore takes no writes; see its log")                \
    X(TROUBLE_NOAUTH, "NOAUTH", TROUBLE_GIVE_UP,                                                       \
      "the server asks for a password: put user:password@ or :password@ into the URL")                 \
    X(TROUBLE_WRONGPASS, "WRONGPASS", TROUBLE_GIVE_UP,                                                 \
      "the server does not accept the user and password of the URL")                                   \
    X(TROUBLE_NOPERM, "NOPERM", TROUBLE_GIVE_UP,                                                       \
      "the user of the URL may not run this command or touch this key; see docs/redis.md for its ACL") \
    X(TROUBLE_DENIED, "DENIED", TROUBLE_GIVE_UP,                                                       \
      "the server is in protected mode and takes no connections from other machines")                  \
    X(TROUBLE_CROSSSLOT, "CROSSSLOT", TROUBLE_GIVE_UP, "the keys of one command are in two slots")     \
    X(TROUBLE_CLIENTS, NULL, TROUBLE_LATER, "the server has its maxclients already")                   \
    X(TROUBLE_NO_CLUSTER, NULL, TROUBLE_GIVE_UP,                                                       \
      "the server is not part of a Cluster; use redis://")                                             \
    X(TROUBLE_IN_CLUSTER, NULL, TROUBLE_GIVE_UP,                                                       \
      "the server is one of a Cluster; a Cluster needs a redis+cluster:// URL")                        \
    X(TROUBLE_SENTINEL, NULL, TROUBLE_GIVE_UP,                                                         \
      "the server is a Sentinel; use redis+sentinel://HOSTS/NAME, which finds the primary")            \
    X(TROUBLE_COMMAND, NULL, TROUBLE_GIVE_UP,                                                          \
      "the server does not know the command: another program listens there, or it was renamed")        \
    X(TROUBLE_SCRIPT, NULL, TROUBLE_GIVE_UP, "the server reports an error")

enum trouble {
#define TROUBLE_VALUE(name, code, cure, text) name,
    TROUBLE_TABLE(TROUBLE_VALUE)
#undef TROUBLE_VALUE
};

/* Of an error reply, without its dash. */
enum trouble trouble_of(struct view reply);

enum trouble_cure trouble_cure(enum trouble trouble);
const char       *trouble_text(enum trouble trouble);

/* Reads "MOVED 3999 127.0.0.1:6381" and "ASK ...". An empty host means: the one that said it. False: the
 * bytes are no such thing. */
bool trouble_redirect_parse(struct view reply, uint16_t *slot, struct view *host, uint16_t *port);

#endif
