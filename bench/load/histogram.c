/* SPDX-License-Identifier: MIT */
#include "histogram.h"

static unsigned slot_of(uint64_t value) {
    if (value < HISTOGRAM_PARTS) return (unsigned)value;
    unsigned top   = 63u - (unsigned)__builtin_clzll(value);
    unsigned shift = top - HISTOGRAM_PART_BITS;
    return (shift + 1) * HISTOGRAM_PARTS + (unsigned)((value >> shift) - HISTOGRAM_PARTS);
}

/* The largest value that falls into the slot. */
static uint64_t slot_top(unsigned slot) {
    if (slot < HISTOGRAM_PARTS) return slot;
    unsigned shift = slot / HISTOGRAM_PARTS - 1;
    uint64_t part  = HISTOGRAM_PARTS + slot % HISTOGRAM_PARTS;
    return (part << shift) + ((UINT64_C(1) << shift) - 1);
}

void histogram_add(struct histogram *h, uint64_t value) {
    h->slots[slot_of(value)]++;
    h->count++;
    h->sum += value;
    if (value > h->max) h->max = value;
}

void histogram_join(struct histogram *h, const struct histogram *other) {
    for (unsigned i = 0; i < HISTOGRAM_SLOTS; i++) h->slots[i] += other->slots[i];
    h->count += other->count;
    h->sum += other->sum;
    if (other->max > h->max) h->max = other->max;
}

uint64_t histogram_at(const struct histogram *h, double share) {
    if (h->count == 0) return 0;
    uint64_t wanted = (uint64_t)(share * (double)h->count);
    if (wanted >= h->count) return h->max;

    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_SLOTS; i++) {
        seen += h->slots[i];
        if (seen > wanted) return slot_top(i) < h->max ? slot_top(i) : h->max;
    }
    return h->max;
}

double histogram_mean(const struct histogram *h) {
    return h->count ? (double)h->sum / (double)h->count : 0;
}
