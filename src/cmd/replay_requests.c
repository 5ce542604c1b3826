/* SPDX-License-Identifier: MIT
 *
 * replay_requests: all requests of a log, in memory, in order of time.
 *
 * Servers write a line when a request ends, or when a buffer is full, or from several processes, so
 * real logs are out of order, by seconds or by hours. A bounded reorder buffer would have to guess
 * by how much; sorting all is right for any. It takes 16 bytes a request, 32 while they are sorted,
 * and some 40 bytes and the name for each user: 10 million requests are 320 MB. `count_max` bounds it.
 *
 * The rest of the replay goes user by user, since no algorithm lets one user's past decide about
 * another: the requests are grouped by user through an index of 4 bytes each, and the verdicts of
 * all algorithms stand in the request itself. */
#include "cmd/replay_requests.h"

#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "base/hash.h"

enum {
    NS_PER_SECOND    = 1000000000,
    SORT_DIGIT_BITS  = 11,
    SORT_DIGIT_COUNT = 1 << SORT_DIGIT_BITS,
};

static bool users_find(struct replay_users *users, struct view name, uint32_t *user);
static bool sort(struct replay_requests *r);
static void spread_seconds(struct replay_requests *r);
static bool group(struct replay_requests *r);

void replay_requests_init(struct replay_requests *r, size_t count_max) {
    REQUIRE(count_max > 0);
    REQUIRE(count_max <= REPLAY_REQUESTS_MAX);
    *r = (struct replay_requests){.count_max = count_max};
}

void replay_requests_clear(struct replay_requests *r) {
    free(r->request);
    free(r->users.slot);
    free(r->users.hash);
    free(r->users.name_end);
    free(r->users.names);
    free(r->big_cost);
    free(r->place);
    free(r->first);
    *r = (struct replay_requests){0};
}

/* Makes room for `wanted` things of `size` bytes, by half more each time. */
static bool make_room(void **array, size_t *room, size_t wanted, size_t size) {
    if (wanted <= *room) return true;
    size_t larger = *room + *room / 2 + 1024;
    if (larger < wanted) larger = wanted;
    if (larger > SIZE_MAX / size) return false;
    void *grown = realloc(*array, larger * size);
    if (grown == NULL) return false;
    *array = grown;
    *room  = larger;
    return true;
}

void replay_requests_begin_file(struct replay_requests *r) { r->newest_ns = 0; }

enum replay_added replay_requests_add(struct replay_requests *r, uint64_t time_ns, struct view user,
                                      uint64_t cost) {
    REQUIRE(r->place == NULL);
    if (r->count == r->count_max) return REPLAY_FULL;
    if (!make_room((void **)&r->request, &r->room, r->count + 1, sizeof *r->request)) {
        return REPLAY_NO_MEMORY;
    }

    struct replay_request *request = &r->request[r->count];
    *request                       = (struct replay_request){.time_ns = time_ns};
    if (!users_find(&r->users, user, &request->user)) return REPLAY_NO_MEMORY;

    uint64_t code = cost;
    if (cost >= REPLAY_COST_INLINE) {
        code = REPLAY_COST_INLINE + r->big_cost_count;
        if (code >> REPLAY_COST_BITS != 0) return REPLAY_COSTS_FULL;
        if (!make_room((void **)&r->big_cost, &r->big_cost_room, r->big_cost_count + 1,
                       sizeof *r->big_cost)) {
            return REPLAY_NO_MEMORY;
        }
        r->big_cost[r->big_cost_count++] = cost;
    }
    request->cost = (uint32_t)code & ((1u << REPLAY_COST_BITS) - 1);
    r->count++;

    if (cost != 1) r->has_costs = true;
    if (time_ns % NS_PER_SECOND != 0) r->has_fractions = true;
    if (time_ns >= r->newest_ns) {
        r->newest_ns = time_ns;
    } else {
        r->late_count++;
        if (r->newest_ns - time_ns > r->late_ns_max) r->late_ns_max = r->newest_ns - time_ns;
    }
    return REPLAY_ADDED;
}

bool replay_requests_seal(struct replay_requests *r, bool spread) {
    if (!sort(r)) return false;
    if (spread && !r->has_fractions) spread_seconds(r);
    return group(r);
}

/* ---- users ---- */

struct view replay_user_name(const struct replay_requests *r, uint32_t user) {
    REQUIRE(user < r->users.count);
    size_t begin = user == 0 ? 0 : r->users.name_end[user - 1];
    return (struct view){r->users.names + begin, r->users.name_end[user] - begin};
}

static struct view users_name(const struct replay_users *users, uint32_t user) {
    size_t begin = user == 0 ? 0 : users->name_end[user - 1];
    return (struct view){users->names + begin, users->name_end[user] - begin};
}

static bool users_grow(struct replay_users *users) {
    size_t   room = users->room == 0 ? 1024 : (size_t)users->room * 2;
    uint64_t mask = room * 2 - 1;
    if (room > UINT32_MAX) return false;

    uint64_t *hash = realloc(users->hash, room * sizeof *hash);
    if (hash == NULL) return false;
    users->hash      = hash;
    size_t *name_end = realloc(users->name_end, room * sizeof *name_end);
    if (name_end == NULL) return false;
    users->name_end = name_end;

    uint32_t *slot = calloc(room * 2, sizeof *slot);
    if (slot == NULL) return false;
    for (uint32_t user = 0; user < users->count; user++) {
        uint64_t at = users->hash[user] & mask;
        while (slot[at] != 0) at = (at + 1) & mask;
        slot[at] = user + 1;
    }
    free(users->slot);
    users->slot      = slot;
    users->slot_mask = mask;
    users->room      = (uint32_t)room;
    return true;
}

/* The user's number, a new one for a new name. The hash is keyed so that a log cannot be written
 * which makes this slow; the key is fixed, so that runs repeat exactly. */
static bool users_find(struct replay_users *users, struct view name, uint32_t *user) {
    static const struct hash_secret secret = {UINT64_C(0x7265706c6179206f),
                                              UINT64_C(0x6620612077656972)};
    if (users->count == users->room && !users_grow(users)) return false;

    uint64_t hash = hash_of(secret, 0, name.data, name.bytes);
    uint64_t at   = hash & users->slot_mask;
    for (; users->slot[at] != 0; at = (at + 1) & users->slot_mask) {
        uint32_t found = users->slot[at] - 1;
        if (users->hash[found] != hash) continue;
        if (!view_equals(users_name(users, found), name)) continue;
        *user = found;
        return true;
    }

    size_t begin = users->count == 0 ? 0 : users->name_end[users->count - 1];
    if (!make_room((void **)&users->names, &users->names_room, begin + name.bytes + 1, 1)) {
        return false;
    }
    if (name.bytes > 0) memcpy(users->names + begin, name.data, name.bytes);
    *user                  = users->count++;
    users->slot[at]        = *user + 1;
    users->hash[*user]     = hash;
    users->name_end[*user] = begin + name.bytes;
    return true;
}

/* ---- order ---- */

/* What is sorted by: as few bits as tell the times apart. */
static uint64_t sort_key(const struct replay_request *request, uint64_t oldest_ns,
                         bool has_fractions) {
    uint64_t age = request->time_ns - oldest_ns;
    return has_fractions ? age : age / NS_PER_SECOND;
}

/* A stable radix sort from the lowest digit: requests of one instant keep their order, and the time
 * it takes does not depend on how the log was shuffled. */
static bool sort(struct replay_requests *r) {
    if (r->count == 0) return true;
    uint64_t oldest_ns = r->request[0].time_ns;
    uint64_t newest_ns = oldest_ns;
    bool     is_sorted = true;
    for (size_t i = 1; i < r->count; i++) {
        uint64_t time_ns = r->request[i].time_ns;
        if (time_ns < r->request[i - 1].time_ns) is_sorted = false;
        if (time_ns < oldest_ns) oldest_ns = time_ns;
        if (time_ns > newest_ns) newest_ns = time_ns;
    }
    if (is_sorted) return true;

    /* What was reserved for growth is given back before as much again is asked for. */
    struct replay_request *fitted = realloc(r->request, r->count * sizeof *r->request);
    if (fitted != NULL) {
        r->request = fitted;
        r->room    = r->count;
    }
    struct replay_request *other = malloc(r->count * sizeof *other);
    if (other == NULL) return false;

    struct replay_request last = {.time_ns = newest_ns};
    uint64_t              most = sort_key(&last, oldest_ns, r->has_fractions);
    for (unsigned shift = 0; most >> shift != 0; shift += SORT_DIGIT_BITS) {
        size_t begin[SORT_DIGIT_COUNT] = {0};
        for (size_t i = 0; i < r->count; i++) {
            begin[sort_key(&r->request[i], oldest_ns, r->has_fractions) >> shift &
                  (SORT_DIGIT_COUNT - 1)]++;
        }
        size_t sum = 0;
        for (size_t digit = 0; digit < SORT_DIGIT_COUNT; digit++) {
            size_t count = begin[digit];
            begin[digit] = sum;
            sum += count;
        }
        for (size_t i = 0; i < r->count; i++) {
            other[begin[sort_key(&r->request[i], oldest_ns, r->has_fractions) >> shift &
                        (SORT_DIGIT_COUNT - 1)]++] = r->request[i];
        }
        struct replay_request *swap = r->request;
        r->request                  = other;
        other                       = swap;
        r->room                     = r->count;
        if (shift + SORT_DIGIT_BITS >= 64) break;
    }
    free(other);
    return true;
}

static void spread_seconds(struct replay_requests *r) {
    for (size_t begin = 0, end; begin < r->count; begin = end) {
        uint64_t time_ns = r->request[begin].time_ns;
        for (end = begin + 1; end < r->count && r->request[end].time_ns == time_ns;) end++;
        size_t count = end - begin;
        for (size_t i = 0; i < count; i++) {
            r->request[begin + i].time_ns = time_ns + i * NS_PER_SECOND / count;
        }
    }
}

static bool group(struct replay_requests *r) {
    r->first = calloc((size_t)r->users.count + 2, sizeof *r->first);
    r->place = malloc((r->count > 0 ? r->count : 1) * sizeof *r->place);
    if (r->first == NULL || r->place == NULL) return false;

    /* first[u + 1] counts, then says where the next request of u goes, and ends as its end. */
    uint32_t *next = r->first + 1;
    for (size_t i = 0; i < r->count; i++) next[r->request[i].user + 1]++;
    for (uint32_t u = 1; u <= r->users.count; u++) next[u] += next[u - 1];
    for (size_t i = 0; i < r->count; i++) r->place[next[r->request[i].user]++] = (uint32_t)i;
    return true;
}
