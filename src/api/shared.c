/* SPDX-License-Identifier: MIT */
#include "api/shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/range.h"
#include "base/text.h"
#include "limiter/remote.h"
#include "store/cassandra/claim_store.h"

enum {
    NODES_MAX     = 1000000,
    REPLICAS_MAX  = 1000,
    USERS_MAX     = 1 << 24, /* entries that a fleet can number */
    CLAIMS_A_USER = 4, /* claims live for a window, entries for as long as they are asked for */
    CLAIMS_MAX    = 1 << 26,
};

#define CLOSE_WAIT_NS  UINT64_C(1000000000) /* to give back what is in hand */
#define ROUND_TRIP_MAX INT64_C(1000000000)
#define WAIT_NS_MIN    UINT64_C(10000000) /* for replicas */
#define SILENCE_NS_MIN UINT64_C(1000000000)

bool shared_is_cassandra(const char *url) {
    static const char scheme[] = "cassandra"; /* or cassandras */
    return strncmp(url, scheme, strlen(scheme)) == 0 && strstr(url, "://") != NULL;
}

bool shared_is_url(const char *url) {
    return (strncmp(url, "redis", 5) == 0 && strstr(url, "://") != NULL) ||
           shared_is_cassandra(url);
}

static bool fail(weir_error *error, weir_status status, const char *text) {
    if (error == NULL) return false;
    error->status = status;
    (void)snprintf(error->text, sizeof error->text, "%.*s", (int)sizeof error->text - 1, text);
    return false;
}

static bool fail_value(weir_error *error, const char *name, const char *wanted) {
    char text[sizeof error->text];
    (void)snprintf(text, sizeof text, "the URL's %s should be %s", name, wanted);
    return fail(error, WEIR_BAD_URL, text);
}

/* --- the query ------------------------------------------------------------------------------- */

/* In place. False: a % without two hexadecimal digits, or a zero byte. */
static bool unescape(char *text) {
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int byte = hex_byte(from + 1);
        if (byte <= 0) return false;
        *to++ = (char)byte;
        from += 2;
    }
    *to = '\0';
    return true;
}

static bool read_policy(const char *value, uint32_t *policy) {
    static const char *const names[] = {[WEIR_POLICY_CLOSED] = "closed",
                                        [WEIR_POLICY_OPEN]   = "open",
                                        [WEIR_POLICY_LOCAL]  = "local"};
    for (uint32_t i = WEIR_POLICY_CLOSED; i <= WEIR_POLICY_LOCAL; i++) {
        if (strcmp(value, names[i]) != 0) continue;
        *policy = i;
        return true;
    }
    return false;
}

/* What only the other kind of store has is refused by its name. */
static bool query_fits(const struct shared_url *q, const char *name, weir_error *error) {
    static const struct {
        const char *name;
        bool        is_cassandra;
        const char *why;
    } words[] = {
        {"replicas", false,
         "the URL's replicas is for Redis: on Cassandra the keyspace says how many there are, and a "
         "quorum of them is always waited for"},
        {"round-trip", false,
         "the URL's round-trip is for Redis: on Cassandra a permit is good however long it took; "
         "how long a decision may wait is its deadline"},
        {"sentinel-user", false,
         "the URL's sentinel-user is for Redis: Cassandra has no Sentinels"},
        {"sentinel-password", false,
         "the URL's sentinel-password is for Redis: Cassandra has no Sentinels"},
        {"datacenter", true, "the URL's datacenter is for Cassandra: Redis has none"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(name, words[i].name) == 0 && words[i].is_cassandra != q->is_cassandra)
            return fail(error, WEIR_BAD_URL, words[i].why);
    return true;
}

static bool query_set(struct shared_url *q, const char *name, const char *value,
                      weir_error *error) {
    const struct {
        const char  *name;
        const char **into, **also;
    } texts[] = {{"secret", &q->secret, NULL},
                 {"ca-file", &q->redis.ca_file, &q->cassandra.ca_file},
                 {"cert-file", &q->redis.cert_file, &q->cassandra.cert_file},
                 {"key-file", &q->redis.key_file, &q->cassandra.key_file},
                 {"sentinel-user", &q->redis.sentinel_user, NULL},
                 {"sentinel-password", &q->redis.sentinel_password, NULL},
                 {"datacenter", &q->datacenter, NULL}};
    if (!query_fits(q, name, error)) return false;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(name, texts[i].name) != 0) continue;
        *texts[i].into = value;
        if (texts[i].also != NULL) *texts[i].also = value;
        return value[0] != '\0' || fail_value(error, name, "a text that is not empty");
    }
    uint64_t number = 0;
    if (strcmp(name, "replicas") == 0) {
        if (!text_number_parse(view_of(value), &number) || number > REPLICAS_MAX)
            return fail_value(error, name, "a number of replicas to wait for, 0 to 1000");
        q->redis.replicas = (unsigned)number;
    } else if (strcmp(name, "nodes") == 0) {
        if (!text_number_parse(view_of(value), &q->nodes) || q->nodes == 0 || q->nodes > NODES_MAX)
            return fail_value(error, name, "how many processes share limits, 1 to 1000000");
    } else if (strcmp(name, "deadline") == 0) {
        if (!text_duration_parse(view_of(value), &q->deadline_ns) || q->deadline_ns <= 0)
            return fail_value(error, name, "a length of time, such as 20ms");
    } else if (strcmp(name, "round-trip") == 0) {
        if (!text_duration_parse(view_of(value), &q->round_trip_ns) || q->round_trip_ns <= 0 ||
            q->round_trip_ns > ROUND_TRIP_MAX)
            return fail_value(error, name, "a length of time up to 1s, such as 5ms");
        uint64_t trip_ns     = (uint64_t)q->round_trip_ns;
        q->redis.replicas_ns = larger(WAIT_NS_MIN, 2 * trip_ns);
        q->redis.connect_ns  = larger(SILENCE_NS_MIN, 8 * trip_ns);
    } else if (strcmp(name, "policy") == 0) {
        if (!read_policy(value, &q->policy))
            return fail_value(error, name, "closed, open or local");
    } else if (q->is_cassandra) {
        return fail(error, WEIR_BAD_URL,
                    "after the URL's \"?\" only these are known: datacenter, nodes, deadline, "
                    "policy, secret, ca-file, cert-file, key-file");
    } else {
        return fail(
            error, WEIR_BAD_URL,
            "after the URL's \"?\" only these are known: replicas, nodes, deadline, round-trip, policy, "
            "secret, ca-file, cert-file, key-file, sentinel-user, sentinel-password");
    }
    return true;
}

/* Cuts `text` up. */
static bool query_read(struct shared_url *q, char *text, weir_error *error) {
    char *rest = NULL;
    for (char *pair = strtok_r(text, "&", &rest); pair != NULL; pair = strtok_r(NULL, "&", &rest)) {
        char *equals = strchr(pair, '=');
        if (equals == NULL)
            return fail(error, WEIR_BAD_URL,
                        "what follows the URL's \"?\" is name=value, joined by \"&\"");
        *equals      = '\0';
        bool is_left = strcmp(pair, "datacenter") == 0; /* to contact.h, with its %XX */
        if (!is_left && !unescape(equals + 1))
            return fail_value(error, pair, "written with %XX for special bytes");
        if (!query_set(q, pair, equals + 1, error)) return false;
    }
    return true;
}

/* --- opening ---------------------------------------------------------------------------------- */

/* Without a secret of their own all nodes have this one: users then are not in clear in the store, but
 * whoever can name users can look for names that share a place. */
static struct hash_secret secret_of(const char *text) {
    static const char               standard[] = "weir: users are not in clear";
    static const struct hash_secret first = {0, 0}, second = {1, 0};
    if (text == NULL) text = standard;
    return (struct hash_secret){hash_of(first, 0, text, strlen(text)),
                                hash_of(second, 0, text, strlen(text))};
}

/* Puts together what the client reads: a keyspace where none is named, and the data centre. */
static bool url_of_cassandra(struct shared_url *url, weir_error *error) {
    struct contact contact;
    char           problem[URL_PROBLEM_BYTES_MAX];
    const char    *more = url->datacenter != NULL ? "?datacenter=" : "";
    const char    *name = url->datacenter != NULL ? url->datacenter : "";
    if (asprintf(&url->cluster, "%s%s%s", url->text, more, name) < 0) url->cluster = NULL;
    if (url->cluster == NULL) return fail(error, WEIR_NO_MEMORY, "out of memory");
    bool is_good = contact_parse(view_of(url->cluster), &contact, problem);
    if (is_good)
        (void)snprintf(url->keyspace, sizeof url->keyspace, "%s",
                       contact.keyspace[0] != '\0' ? contact.keyspace : "weir");
    explicit_bzero(&contact, sizeof contact); /* the password */
    if (!is_good) return fail(error, WEIR_BAD_URL, problem);

    /* A login holds no slash, so the first one begins the keyspace. */
    const char *path  = strchr(strstr(url->text, "://") + strlen("://"), '/');
    int         hosts = path != NULL ? (int)(path - url->text) : (int)strlen(url->text);
    free(url->cluster);
    if (asprintf(&url->cluster, "%.*s%s%s", hosts, url->text, more, name) < 0) url->cluster = NULL;
    if (asprintf(&url->servers, "%.*s/%s%s%s", hosts, url->text, url->keyspace, more, name) < 0)
        url->servers = NULL;
    bool is_there = url->cluster != NULL && url->servers != NULL;
    return is_there || fail(error, WEIR_NO_MEMORY, "out of memory");
}

bool shared_url_read(const char *url, struct shared_url *read, weir_error *error) {
    *read = (struct shared_url){.is_cassandra = shared_is_cassandra(url), .text = strdup(url)};
    if (read->text == NULL) return fail(error, WEIR_NO_MEMORY, "out of memory");
    char *question = strchr(read->text, '?');
    if (question != NULL) *question = '\0';
    if (!read->is_cassandra) read->servers = read->text;
    bool is_read = (question == NULL || query_read(read, question + 1, error)) &&
                   (!read->is_cassandra || url_of_cassandra(read, error));
    if (!is_read) shared_url_clear(read);
    return is_read;
}

void shared_url_clear(struct shared_url *url) {
    if (url->servers != url->text) free(url->servers);
    free(url->cluster);
    free(url->text);
    url->text = url->servers = url->cluster = NULL;
}

static bool open_redis(struct shared *s, weir_error *error) {
    char problem[REDIS_PROBLEM_BYTES_MAX];
    s->redis = lease_store_open(view_of(s->url.servers), &s->url.redis, problem);
    if (s->redis == NULL) return fail(error, WEIR_BAD_URL, problem);
    s->store = lease_store_interface(s->redis);
    return true;
}

bool shared_open_redis(struct shared *s, const char *url, weir_error *error) {
    *s = (struct shared){.store = NULL};
    if (!shared_url_read(url, &s->url, error)) return false;
    if (s->url.is_cassandra ? fail(error, WEIR_BAD_URL, "this is for stores on Redis")
                            : open_redis(s, error))
        return true;
    shared_url_clear(&s->url);
    return false;
}

static bool open_claims(struct shared *s, const weir_options *o, const struct lease_options *lease,
                        weir_error *error) {
    struct claim_store_options options = {
        .client          = s->url.cassandra,
        .clock_error_ppm = lease->clock_error_ppm,
        .nodes           = lease->nodes,
        .users_max       = (uint32_t)smaller(CLAIMS_A_USER * o->users_max, CLAIMS_MAX)};
    char problem[CASSANDRA_PROBLEM_BYTES_MAX];
    s->claims = claim_store_open(view_of(s->url.servers), &options, problem);
    if (s->claims == NULL) return fail(error, WEIR_BAD_URL, problem);
    s->store = claim_store_interface(s->claims);
    return true;
}

bool shared_open(struct shared *s, const char *url, const weir_options *o, weir_error *error) {
    *s = (struct shared){.store = NULL};
    if (o->users_max > USERS_MAX)
        return fail(
            error, WEIR_BAD_OPTIONS,
            "users_max is above 16777216, the most users of whom one process can have permits");
    if (!shared_url_read(url, &s->url, error)) return false;
    const struct shared_url *said    = &s->url;
    int64_t              deadline_ns = said->deadline_ns != 0 ? said->deadline_ns : o->deadline_ns;
    uint32_t             policy      = said->policy != 0 ? said->policy : o->policy;
    struct fleet_options options     = {.users_max = (uint32_t)o->users_max,
                                        .wait_ns   = (uint64_t)deadline_ns,
                                        .policy    = (enum fleet_policy)policy,
                                        .lease     = {.clock_error_ppm = o->clock_error_ppm,
                                                      .round_trip_ns   = (uint64_t)said->round_trip_ns,
                                                      .nodes = said->nodes != 0 ? said->nodes : o->nodes}};
    bool                 is_open =
        said->is_cassandra ? open_claims(s, o, &options.lease, error) : open_redis(s, error);
    if (!is_open) {
        shared_url_clear(&s->url);
        return false;
    }
    s->lease = options.lease; /* as fleet_open() completes them */
    if (s->lease.round_trip_ns == 0) s->lease.round_trip_ns = s->store->round_trip_ns;
    s->remote = remote_open(s->store, &options, secret_of(said->secret));
    if (s->remote != NULL) return true;
    shared_close(s);
    return fail(error, WEIR_NO_MEMORY, "no memory for users_max users, or no thread");
}

void shared_close(struct shared *s) {
    if (s->remote != NULL) remote_close(s->remote, CLOSE_WAIT_NS);
    s->store->close(s->store->context);
    shared_url_clear(&s->url);
}
