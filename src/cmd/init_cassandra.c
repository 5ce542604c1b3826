/* SPDX-License-Identifier: MIT
 *
 * init_cassandra: are keyspace and tables there? Makes those that are not. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/shared.h"
#include "cmd/cluster_nodes.h"
#include "cmd/command.h"
#include "cmd/init.h"
#include "cmd/terminal.h"
#include "os/clock.h"
#include "store/cassandra/ddl.h"

enum { REPLICAS_USUAL = 3, NAMES_BYTES_MAX = 200 };

#define ANSWER_NS UINT64_C(10000000000)
#define CHANGE_NS UINT64_C(60000000000) /* until all nodes have it, too */

struct making {
    struct cassandra           *c;
    const char                 *keyspace;
    const struct cluster_node  *maker;
    const struct cluster_nodes *nodes;
};

static int  init_on(struct cassandra *c, const struct shared_url *url, uint64_t replicas);
static bool make_keyspace(const struct making *m, const struct shared_url *url, uint64_t replicas,
                          int *code);
static bool make_tables(const struct making *m);

int init_cassandra(const struct shared_url *url, uint64_t replicas) {
    char              problem[CASSANDRA_PROBLEM_BYTES_MAX], quoted[TERMINAL_QUOTE_BYTES_MAX];
    struct cassandra *c = cassandra_open(view_of(url->cluster), &url->cassandra, problem);
    if (c == NULL) {
        terminal_complain("init", "%s", terminal_quote(view_of(problem), quoted));
        return COMMAND_USAGE;
    }
    int code = init_on(c, url, replicas);
    cassandra_close(c);
    return terminal_finish("init", code);
}

/* What the client says of a request that is not done; clears it. */
static int complain(const char *what, const char *cure, struct cassandra_result *result) {
    char quoted[TERMINAL_QUOTE_BYTES_MAX];
    terminal_complain("init", "%s%s%s", what, terminal_quote(view_of(result->problem), quoted),
                      cure);
    cassandra_result_clear(result);
    return COMMAND_TROUBLE;
}

struct candidate {
    const struct cluster_node *node;
};

static int compare_ids(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    return memcmp(&x->node->id, &y->node->id, sizeof x->node->id);
}

/* Two that make the same table at two nodes may leave the cluster with two of one name. So all ask the same
 * one: of those that answer, the one of the least id. */
static const struct cluster_node *choose_maker(struct cassandra           *c,
                                               const struct cluster_nodes *nodes) {
    struct candidate by_id[CLUSTER_NODES_MAX];
    for (unsigned i = 0; i < nodes->count; i++) by_id[i].node = &nodes->nodes[i];
    qsort(by_id, nodes->count, sizeof by_id[0], compare_ids);
    for (unsigned i = 0; i < nodes->count; i++) {
        struct cassandra_result result;
        bool                    answers = cluster_answers(c, &by_id[i].node->id, &result);
        cassandra_result_clear(&result);
        if (answers) return by_id[i].node;
    }
    return by_id[0].node;
}

static enum ddl_state look(const struct making *m, char problem[CASSANDRA_PROBLEM_BYTES_MAX]) {
    return ddl_look(m->c, m->keyspace, &m->maker->id, clock_now_ns() + ANSWER_NS, problem);
}

static int complain_of_tables(const char *problem) {
    terminal_complain("init", "%s", problem);
    return COMMAND_TROUBLE;
}

static int init_on(struct cassandra *c, const struct shared_url *url, uint64_t replicas) {
    static struct cluster_nodes nodes;
    struct cassandra_result     result;
    char                        problem[CASSANDRA_PROBLEM_BYTES_MAX];
    cassandra_ready(c, clock_now_ns() + ANSWER_NS, &result);
    if (result.status != CASSANDRA_DONE) return complain("", "", &result);
    cassandra_result_clear(&result);
    if (!cluster_nodes_ask(c, &nodes, &result))
        return complain("cannot ask which nodes there are: ", "", &result);

    struct making  m     = {c, url->keyspace, choose_maker(c, &nodes), &nodes};
    enum ddl_state state = look(&m, problem);
    if (state == DDL_READY) {
        printf("nothing to do: the schema is there (version %d)\n", DDL_VERSION);
        return COMMAND_DONE;
    }
    if (state == DDL_OTHER || state == DDL_UNASKED) return complain_of_tables(problem);
    int code = COMMAND_TROUBLE;
    if (state == DDL_NO_KEYSPACE && !make_keyspace(&m, url, replicas, &code)) return code;
    if (!make_tables(&m)) return COMMAND_TROUBLE;
    if (look(&m, problem) != DDL_READY) return complain_of_tables(problem);
    printf("this store is new: the schema is there (version %d)\n", DDL_VERSION);
    return COMMAND_DONE;
}

/* ---- the keyspace ---- */

static unsigned count_in(const struct cluster_nodes *nodes, const char *datacenter) {
    unsigned count = 0;
    for (unsigned i = 0; i < nodes->count; i++)
        count += strcmp(nodes->nodes[i].datacenter, datacenter) == 0;
    return count;
}

/* The data centres but one, between commas; empty: there are no others. */
static void name_others(const struct cluster_nodes *nodes, const char *datacenter,
                        char names[NAMES_BYTES_MAX]) {
    size_t used = 0;
    names[0]    = '\0';
    for (unsigned i = 0; i < nodes->count; i++) {
        const char *name    = nodes->nodes[i].datacenter;
        bool        is_seen = strcmp(name, datacenter) == 0;
        for (unsigned k = 0; k < i; k++)
            is_seen = is_seen || strcmp(name, nodes->nodes[k].datacenter) == 0;
        if (is_seen || used >= NAMES_BYTES_MAX) continue;
        used += (size_t)snprintf(names + used, NAMES_BYTES_MAX - used, "%s%s", used > 0 ? ", " : "",
                                 name);
    }
}

/* False: what is wrong was said. */
static bool make(const struct making *m, const char *what, const char *text) {
    static const char cure[] = "; a user with the right may run weir init, or what weir cassandra "
                               "schema prints";
    char              before[128];
    struct cassandra_result result;
    cassandra_call(m->c,
                   &(struct cassandra_request){.text        = view_of(text),
                                               .node        = &m->maker->id,
                                               .consistency = CQL_ONE,
                                               .deadline_ns = clock_now_ns() + CHANGE_NS},
                   &result);
    bool is_done   = result.status == CASSANDRA_DONE;
    bool is_agreed = is_done && (result.is_agreed || result.result.kind != CQL_SCHEMA_CHANGE);
    if (!is_done) {
        (void)snprintf(before, sizeof before, "cannot make %s: ", what);
        (void)complain(before, result.error == CQL_ERROR_UNAUTHORIZED ? cure : "", &result);
        return false;
    }
    cassandra_result_clear(&result);
    if (!is_agreed)
        terminal_complain("init",
                          "%s is made, but not every node that is up has it after a minute; see "
                          "nodetool describecluster, and run weir init again",
                          what);
    return is_agreed;
}

/* The data centre that the URL names, or that of the node that answered. The client has looked whether it is
 * there. */
static void find_datacenter(const struct making *m, const struct shared_url *url,
                            char out[CONTACT_DATACENTER_BYTES_MAX]) {
    struct contact contact;
    char           problem[CASSANDRA_PROBLEM_BYTES_MAX];
    bool           is_read = contact_parse(view_of(url->cluster), &contact, problem);
    bool           is_said = is_read && contact.datacenter[0] != '\0';
    (void)snprintf(out, CONTACT_DATACENTER_BYTES_MAX, "%.127s",
                   is_said ? contact.datacenter : m->nodes->nodes[0].datacenter);
    explicit_bzero(&contact, sizeof contact); /* the password */
}

static bool make_keyspace(const struct making *m, const struct shared_url *url, uint64_t replicas,
                          int *code) {
    char datacenter[CONTACT_DATACENTER_BYTES_MAX], others[NAMES_BYTES_MAX], what[80];
    char text[DDL_TEXT_BYTES_MAX], quoted[TERMINAL_QUOTE_BYTES_MAX];
    find_datacenter(m, url, datacenter);
    (void)terminal_quote(view_of(datacenter), quoted);
    name_others(m->nodes, datacenter, others);
    /* Of a cluster that is too large to be told whole there are enough everywhere; and of a name that is not
     * ASCII it is not known. */
    unsigned there = count_in(m->nodes, datacenter);
    if (m->nodes->left_out > 0 || there == 0) there = UINT_MAX;
    if (replicas > there) {
        terminal_complain("init", "--replication %llu: the data centre %s has %u node%s",
                          (unsigned long long)replicas, quoted, there, there > 1 ? "s" : "");
        *code = COMMAND_USAGE;
        return false;
    }
    unsigned wanted = replicas > 0 ? (unsigned)replicas : REPLICAS_USUAL;
    unsigned made   = wanted < there ? wanted : there;
    (void)snprintf(what, sizeof what, "the keyspace %s", m->keyspace);
    if (!ddl_write_keyspace(m->keyspace, &(struct ddl_factor){datacenter, made}, 1, text,
                            sizeof text) ||
        !make(m, what, text))
        return false;
    printf("made the keyspace %s: %u replica%s in the data centre %s", m->keyspace, made,
           made > 1 ? "s" : "", quoted);
    if (made < wanted)
        printf(", which has no more nodes; %d are usual: see weir doctor", REPLICAS_USUAL);
    printf("\n");
    if (others[0] != '\0')
        printf("none in %s: docs/cassandra.md has how data centres get replicas later\n", others);
    return true;
}

/* ---- the tables ---- */

static bool make_tables(const struct making *m) {
    char text[DDL_TEXT_BYTES_MAX], what[128];
    for (unsigned i = 0; i < DDL_TABLES; i++) {
        (void)snprintf(what, sizeof what, "the table %s.%.48s", m->keyspace, ddl_tables[i].name);
        if (!ddl_write_table(m->keyspace, &ddl_tables[i], text, sizeof text) ||
            !make(m, what, text))
            return false;
    }
    printf("made the tables %s and %s\n", ddl_tables[0].name, ddl_tables[1].name);
    return true;
}
