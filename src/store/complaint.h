/* SPDX-License-Identifier: MIT
 *
 * complaint: what was wrong with a store last, for as long as it is worth saying?
 *
 * One trouble among many answers would be gone before anybody could read of it, so it stands for a while: for
 * longer than from one probe of a store that is cut off to the next, which may be two seconds.
 * Any thread notes and reads. */
#ifndef WEIR_STORE_COMPLAINT_H
#define WEIR_STORE_COMPLAINT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define COMPLAINT_NS UINT64_C(10000000000)

struct complaint {
    _Atomic(const char *) text; /* NULL: none yet */
    _Atomic uint64_t      at_ns;
};

static inline void complaint_init(struct complaint *complaint) {
    atomic_store_explicit(&complaint->text, NULL, memory_order_relaxed);
}

/* `text` stays for as long as the process. */
static inline void complaint_note(struct complaint *complaint, const char *text, uint64_t now_ns) {
    atomic_store_explicit(&complaint->text, text, memory_order_relaxed);
    atomic_store_explicit(&complaint->at_ns, now_ns, memory_order_relaxed);
}

/* NULL: there is nothing to say, or nothing any more. */
static inline const char *complaint_text(struct complaint *complaint, uint64_t now_ns) {
    const char *text  = atomic_load_explicit(&complaint->text, memory_order_relaxed);
    uint64_t    at_ns = atomic_load_explicit(&complaint->at_ns, memory_order_relaxed);
    return now_ns > at_ns + COMPLAINT_NS ? NULL : text;
}

#endif
