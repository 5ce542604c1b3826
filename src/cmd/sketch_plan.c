/* SPDX-License-Identifier: MIT
 *
 * sketch_plan: how often will a sketch of so many bytes deny a user who is within the limit?
 *
 * The model: each of n users takes permits at random, independently and alike (Poisson). The bound is
 * that of plain counting, where each permit raises all four counts: conservative update never
 * counts more. (By induction: the least of four is not above any of them, so that no count is raised
 * by more than the cost.) Denied requests take nothing, which the model does not use either.
 *
 * What a user's counts hold of others, in one cell: the user's first line has some users (Poisson) who
 * hit one of the two counts, some who hit the other, and some who hit both, which are three
 * independent Poisson numbers A, B, S, as each user chooses a pair of counts at random. The noise of
 * the line is min(Poisson(A l) + ..., Poisson(B l) + ...) + Poisson(S l), l being the permits of a
 * user in a cell; of both lines the lesser counts. Given who the neighbours are, the seven cells are
 * independent, and so are the two lines. So: for all pairs of neighbourhoods, the sum of six whole cells
 * and of what has passed of the newest; and for that sum, beside what the user took, whether the limit
 * is reached. A request finds the newest cell at a random point: rounded up to a quarter.
 *
 * There are too many neighbourhoods to pair them all. They are sorted into classes of like mean noise,
 * and each class has the greatest tail of its members at each point: the noise of a class is not
 * less than that of any member, so that what comes out is still a bound. What is so unlikely that it is
 * left out counts as a denial.
 *
 * A neighbour in both lines breaks the independence. Each one adds no more than what they took
 * themselves; one is accounted for so, two or more count as a denial. */
#include "cmd/sketch_plan.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "table/sketch.h"

enum {
    CLASSES        = 400, /* with four times as many the bound is 2 to 6 % lower */
    PHASES         = 4,   /* the newest cell is a quarter, a half, three quarters or whole */
    WHOLE          = PHASES - 1,
    NEIGHBOURS_MAX = 1200, /* who hit one count; if there may be more the bound is 1 */
    POINTS_MAX     = SKETCH_LIMIT_MAX + 1,
};

static const double unlikely  = 1e-13;
static const double mean_tiny = 1e-7; /* of the noise in one cell: those below are one class */

/* In a cell of which (phase + 1) / PHASES has passed: tail[phase][t] is the probability of t or more,
 * t = 0 to the limit. */
struct noise {
    double weight;
    double tail[PHASES][POINTS_MAX];
};

struct model {
    uint64_t      limit;
    double        permits; /* of a user in a cell */
    double        hit_one; /* neighbours in a line who hit one given count and not the other */
    double        hit_both;
    double        in_both_lines; /* neighbours who share a count in each line */
    double        left_out;      /* probability of what was left out */
    struct noise *counts;        /* classes of the noise of a line without those who hit both */
    struct noise *lines;         /* classes of the noise of a line */
    double        sum[PHASES][POINTS_MAX]; /* chance of so much noise in all cells */
    struct noise *poisson;                 /* of N users, for N = 0 to NEIGHBOURS_MAX */
};

static bool   model_of(const struct sketch_plan *plan, struct model *m);
static void   classify_counts(struct model *m);
static void   classify_lines(struct model *m);
static void   sum_cells(struct model *m);
static double denied(const struct model *m, double users);

double sketch_plan_false_denial(const struct sketch_plan *plan) {
    REQUIRE(plan->users > 0);
    REQUIRE(plan->mean >= 0);

    struct model m;
    double       bound = 1;
    if (!model_of(plan, &m)) return bound;
    m.poisson = calloc(NEIGHBOURS_MAX + 1, sizeof *m.poisson);
    m.counts  = calloc(CLASSES, sizeof *m.counts);
    m.lines   = calloc(CLASSES, sizeof *m.lines);
    if (m.poisson != NULL && m.counts != NULL && m.lines != NULL) {
        classify_counts(&m);
        classify_lines(&m);
        sum_cells(&m);
        double pair = m.in_both_lines * m.in_both_lines / 2;
        bound       = denied(&m, 1) + m.in_both_lines * denied(&m, 2) + pair + m.left_out;
    }
    free(m.poisson);
    free(m.counts);
    free(m.lines);
    return fmin(bound, 1);
}

/* False: so crowded that there is nothing to compute. */
static bool model_of(const struct sketch_plan *plan, struct model *m) {
    struct sketch_shape shape = sketch_shape_of(plan->bytes, plan->limit);
    if (shape.lines == 0) return false;

    double counts     = shape.line_counts;
    double half       = (double)shape.lines / SKETCH_LINES;
    double neighbours = (double)(plan->users - 1) / half;
    double one        = 2 * (counts - 2) / (counts * (counts - 1));
    double both       = 2 / (counts * (counts - 1));
    double any        = 2 * one + both;
    *m                = (struct model){.limit         = plan->limit,
                                       .permits       = plan->mean / SKETCH_CELLS,
                                       .hit_one       = neighbours * one,
                                       .hit_both      = neighbours * both,
                                       .in_both_lines = neighbours / half * any * any};
    return 2 * m->hit_one < NEIGHBOURS_MAX;
}

/* --- neighbourhoods ------------------------------------------------------------------------- */

static double poisson(double mean, unsigned n) {
    return mean > 0 ? exp(n * log(mean) - mean - lgamma(n + 1.0)) : n == 0;
}

/* How many there may be of them, but for what is unlikely. */
static unsigned poisson_most(struct model *m, double mean) {
    double   left = 1;
    unsigned n    = 0;
    for (;; n++) {
        left -= poisson(mean, n);
        if (left < unlikely || n == NEIGHBOURS_MAX) break;
    }
    m->left_out += 2 * SKETCH_LINES * fmax(left, unlikely);
    return n;
}

/* The permits of so many users. */
static void noise_of(const struct model *m, unsigned users, struct noise *noise) {
    for (unsigned phase = 0; phase < PHASES; phase++) {
        double mean = users * m->permits * (phase + 1) / PHASES;
        double left = 1;
        for (unsigned t = 0; t <= m->limit; t++) {
            noise->tail[phase][t] = fmax(left, 0);
            left -= poisson(mean, t);
        }
    }
}

/* The lesser of two. */
static void noise_least(const struct model *m, const struct noise *a, const struct noise *b,
                        struct noise *least) {
    for (unsigned phase = 0; phase < PHASES; phase++)
        for (unsigned t = 0; t <= m->limit; t++)
            least->tail[phase][t] = a->tail[phase][t] * b->tail[phase][t];
}

/* chance[t] of exactly t, and at the limit of the limit or more. */
static void chance_of(const struct model *m, const double *tail, double *chance) {
    for (unsigned t = 0; t < m->limit; t++) chance[t] = tail[t] - tail[t + 1];
    chance[m->limit] = tail[m->limit];
}

static void add(const struct model *m, const double *a, const double *b, double *sum) {
    double into[POINTS_MAX] = {0};
    for (unsigned i = 0; i <= m->limit; i++) {
        if (a[i] == 0) continue;
        for (unsigned k = 0; k <= m->limit; k++) {
            uint64_t t = i + k < m->limit ? i + k : m->limit;
            into[t] += a[i] * b[k];
        }
    }
    memcpy(sum, into, (m->limit + 1) * sizeof *sum);
}

static void noise_sum(const struct model *m, const struct noise *a, const struct noise *b,
                      struct noise *sum) {
    double chance_a[POINTS_MAX], chance_b[POINTS_MAX];
    for (unsigned phase = 0; phase < PHASES; phase++) {
        chance_of(m, a->tail[phase], chance_a);
        chance_of(m, b->tail[phase], chance_b);
        add(m, chance_a, chance_b, chance_a);
        double at_least = 0;
        for (unsigned t = (unsigned)m->limit + 1; t-- > 0;)
            sum->tail[phase][t] = at_least += chance_a[t];
    }
}

/* Puts a noise into its class, which from then on is at least as noisy. */
static void classify(const struct model *m, struct noise *classes, const struct noise *noise) {
    double mean = 0;
    for (unsigned t = 1; t <= m->limit; t++) mean += noise->tail[WHOLE][t];
    double share = log(fmax(mean, mean_tiny) / mean_tiny) / log((double)m->limit / mean_tiny);

    struct noise *class = &classes[(unsigned)(fmin(share, 1) * (CLASSES - 1))];
    class->weight += noise->weight;
    for (unsigned phase = 0; phase < PHASES; phase++)
        for (unsigned t = 0; t <= m->limit; t++)
            class->tail[phase][t] = fmax(class->tail[phase][t], noise->tail[phase][t]);
}

static void classify_counts(struct model *m) {
    unsigned most = poisson_most(m, m->hit_one);
    for (unsigned n = 0; n <= most; n++) noise_of(m, n, &m->poisson[n]);

    struct noise least;
    for (unsigned a = 0; a <= most; a++) {
        for (unsigned b = a; b <= most; b++) {
            least.weight = poisson(m->hit_one, a) * poisson(m->hit_one, b) * (a == b ? 1 : 2);
            noise_least(m, &m->poisson[a], &m->poisson[b], &least);
            classify(m, m->counts, &least);
        }
    }
}

static void classify_lines(struct model *m) {
    unsigned     most = poisson_most(m, m->hit_both);
    struct noise both, line;
    for (unsigned n = 0; n <= most; n++) {
        noise_of(m, n, &both);
        for (unsigned i = 0; i < CLASSES; i++) {
            if (m->counts[i].weight == 0) continue;
            line.weight = m->counts[i].weight * poisson(m->hit_both, n);
            noise_sum(m, &m->counts[i], &both, &line);
            classify(m, m->lines, &line);
        }
    }
}

/* --- cells ---------------------------------------------------------------------------------- */

_Static_assert(SKETCH_CELLS == 6, "four whole cells and two");

/* The noise of all cells: for each pair of lines that of one cell, six times, and of the newest. */
static void sum_cells(struct model *m) {
    struct noise cell;
    double       one[POINTS_MAX], two[POINTS_MAX], whole[POINTS_MAX];
    for (unsigned i = 0; i < CLASSES; i++) {
        for (unsigned k = i; k < CLASSES; k++) {
            double weight = m->lines[i].weight * m->lines[k].weight * (i == k ? 1 : 2);
            if (weight < unlikely) {
                m->left_out += weight;
                continue;
            }
            noise_least(m, &m->lines[i], &m->lines[k], &cell);
            chance_of(m, cell.tail[WHOLE], one);
            add(m, one, one, two);
            add(m, two, two, whole);
            add(m, whole, two, whole);
            for (unsigned phase = 0; phase < PHASES; phase++) {
                chance_of(m, cell.tail[phase], one);
                add(m, whole, one, one);
                for (unsigned t = 0; t <= m->limit; t++) m->sum[phase][t] += weight * one[t];
            }
        }
    }
}

/* Of requests that find less than the limit taken by so many users, the share for which noise fills it.
 * The later in the newest cell, the larger it is and the fewer such requests there are: so the plain
 * mean is a bound. */
static double denied(const struct model *m, double users) {
    double share = 0;
    for (unsigned phase = 0; phase < PHASES; phase++) {
        double taken  = users * m->permits * (SKETCH_CELLS + (phase + 1.0) / PHASES);
        double within = 0, full = 0, noise = m->sum[phase][m->limit];
        /* Of none taken, noise must fill the limit; of one, all but one; and so on. */
        for (unsigned own = 0; own < m->limit; own++) {
            within += poisson(taken, own);
            full += poisson(taken, own) * noise;
            noise += m->sum[phase][m->limit - own - 1];
        }
        share += within > 0 ? full / within : 1;
    }
    return share / PHASES;
}
