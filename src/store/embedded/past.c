/* SPDX-License-Identifier: MIT
 *
 * past: what did everybody have when the power failed?
 *
 * After a power loss the table is not trusted. What it held is read from the journal, and from the past
 * that an earlier power loss left: of each counter the newest image. That makes the new past, a file of
 * counters in the order of their tags, in which a user is looked up when they come to the new, empty
 * table.
 *
 * NAME.past, little endian:
 *
 *     0   8  magic "weirPST1"; the digit is the version
 *     8   8  checksum of bytes 16..63
 *    16   8  generation of the table that was lost
 *    24   8  count of counters
 *    32   8  last_fresh_ns: from then on all counters equal new
 *    40   8  now_ns: the file's clock when it was written
 *    48   8  checksum of what follows
 *    56   4  count of rings
 *    60   4  0
 *    64      counters of 64 bytes by rising tag, as in a frame (segment.c); then rings of 280 bytes, as there
 *
 * Bit 63 of a counter's head may be set while the file is used (past_forget) and is not checked. The
 * checksum of what follows is made of pieces of 65,536 bytes, each with the one before it in its key.
 *
 * Which frames count (past_scan):
 *   - of a file all up to the first that is not good or does not follow;
 *   - of those, if there is a later file, the ones up to its `after`: the others were never acknowledged;
 *   - none up to the highest `dropped`.
 * Those must follow one another from `dropped` + 1 without a gap, or something acknowledged is lost. A bad
 * frame may be what was being written when the power failed; not so if a good one of a later commit stands
 * behind it. What cannot be seen is that the very last commit was spoiled after it was acknowledged.
 *
 * Memory is what the caller gives (past_write): images are collected until it is full, sorted in place,
 * and older ones of the same tag dropped. If too many remain, those with the higher half of the tags are
 * left to another walk through the journal. */
#include "store/embedded/past.h"

#include <string.h>

#include "base/contract.h"
#include "base/hash.h"
#include "base/wide.h"

#define PAST_MAGIC     UINT64_C(0x3154535072696577) /* weirPST1 */
#define PAST_FORGOTTEN (UINT64_C(1) << 63)

enum {
    PAST_PIECE_BYTES    = 65536,
    PAST_GUESSES_MAX    = 8,  /* in a search, before it halves */
    PAST_FEW            = 24, /* so many are sorted by insertion */
    PAST_SEGMENTS_FIRST = SEGMENT_BUFFER_BYTES,
};

/* A counter while it is sorted. */
struct past_item {
    uint64_t       order; /* later images are higher */
    uint64_t       tag;
    struct counter counter;
};

_Static_assert(sizeof(struct past_item) == PAST_ITEM_BYTES, "an item");
_Static_assert(sizeof(struct past_record) == PAST_RECORD_BYTES, "records lie as in the file");
_Static_assert(PAST_PIECE_BYTES % PAST_RECORD_BYTES == 0, "a piece holds whole counters");
_Static_assert(PAST_MEMORY_MIN >= 2 * SEGMENT_BUFFER_BYTES, "room for buffers and segments");

struct past_header {
    uint64_t generation, count, last_fresh_ns, now_ns, checksum;
    uint32_t rings;
};

static const char past_word[]     = ".past";
static const char past_new_word[] = ".past.new";

static void name_write(const char *store, const char *word, char *out) {
    size_t store_bytes = strlen(store);
    REQUIRE(store_bytes <= SEGMENT_NAME_BYTES_MAX);
    memcpy(out, store, store_bytes);
    memcpy(out + store_bytes, word, strlen(word) + 1);
}

void past_name(const char *store, char *out) { name_write(store, past_word, out); }

static void header_write(const struct past_header *h, unsigned char out[PAST_HEADER_BYTES]) {
    word_write(out, PAST_MAGIC);
    word_write(out + 16, h->generation);
    word_write(out + 24, h->count);
    word_write(out + 32, h->last_fresh_ns);
    word_write(out + 40, h->now_ns);
    word_write(out + 48, h->checksum);
    word_write(out + 56, h->rings);
    word_write(out + 8, hash_of((struct hash_secret){.k0 = PAST_MAGIC}, 0, out + 16,
                                PAST_HEADER_BYTES - 16));
}

/* False: it is no header, or not of a file of so many bytes. */
static bool header_read(const unsigned char in[PAST_HEADER_BYTES], uint64_t file_bytes,
                        struct past_header *h) {
    if (word_read(in) != PAST_MAGIC) return false;
    if (word_read(in + 8) !=
        hash_of((struct hash_secret){.k0 = PAST_MAGIC}, 0, in + 16, PAST_HEADER_BYTES - 16)) {
        return false;
    }
    *h             = (struct past_header){.generation    = word_read(in + 16),
                                          .count         = word_read(in + 24),
                                          .last_fresh_ns = word_read(in + 32),
                                          .now_ns        = word_read(in + 40),
                                          .checksum      = word_read(in + 48),
                                          .rings         = (uint32_t)word_read(in + 56)};
    uint64_t bytes = file_bytes - PAST_HEADER_BYTES;
    uint64_t rings = (uint64_t)h->rings * FRAME_RING_BYTES;
    return bytes >= rings && h->count <= bytes / PAST_RECORD_BYTES &&
           bytes == h->count * PAST_RECORD_BYTES + rings;
}

/* The checksum of the pieces up to this one. */
static uint64_t piece_checksum(uint64_t before, const unsigned char *piece, size_t bytes) {
    return hash_of((struct hash_secret){.k0 = before, .k1 = PAST_MAGIC}, bytes, piece, bytes);
}

/* Takes the marks out of those counters that lie in a piece. */
static void piece_unmark(unsigned char *piece, size_t bytes, uint64_t counters) {
    for (uint64_t i = 0; i < counters && (i + 1) * PAST_RECORD_BYTES <= bytes; i++) {
        unsigned char *head = piece + i * PAST_RECORD_BYTES + 16;
        word_write(head, word_read(head) & ~PAST_FORGOTTEN);
    }
}

/* --- past_scan: which frames count? ---------------------------------------------------------- */

struct past_names {
    struct past_replay *replay;
    uint32_t            count_max;
    bool                has_room;
};

static void past_names_add(void *list, const char *name) {
    struct past_names  *names  = list;
    struct past_replay *p      = names->replay;
    uint32_t            number = segment_number(p->store, name);
    if (number == 0) return;
    if (p->segment_count == names->count_max) {
        names->has_room = false;
        return;
    }
    uint32_t at = p->segment_count++;
    for (; at > 0 && p->segment[at - 1].number > number; at--) p->segment[at] = p->segment[at - 1];
    p->segment[at] = (struct past_segment){.number = number};
}

static unsigned char *past_buffer(const struct past_replay *p) { return p->memory; }

static enum disk_status past_open_segment(const struct past_replay *p, uint32_t number, int *file) {
    char name[DISK_NAME_BYTES_MAX];
    segment_name(p->store, number, name);
    return p->disk->file_open(p->disk->context, name, DISK_READ, file);
}

static void past_see_time(struct past_replay *p, uint64_t now_ns, uint64_t wall_ns) {
    if (now_ns < p->now_ns) return;
    p->now_ns  = now_ns;
    p->wall_ns = wall_ns;
}

/* Reads the header. False: the file is of an earlier table. */
static enum disk_status past_scan_header(struct past_replay *p, int file, struct past_segment *s,
                                         bool *is_ours) {
    unsigned char    header[SEGMENT_HEADER_BYTES];
    size_t           bytes = 0;
    enum disk_status status =
        p->disk->file_read(p->disk->context, file, 0, header, sizeof header, &bytes);
    struct segment begin;
    *is_ours = true;
    if (status != DISK_OK) return status;
    if (bytes < sizeof header || !segment_read(header, &begin)) return DISK_OK;
    if (begin.generation > p->generation) return DISK_DAMAGED;
    *is_ours    = begin.generation == p->generation;
    s->is_begun = begin.number == s->number;
    s->after    = begin.after;
    if (*is_ours) past_see_time(p, begin.now_ns, begin.wall_ns);
    return DISK_OK;
}

static enum disk_status past_scan_frames(struct past_replay *p, int file, struct past_segment *s) {
    struct segment_reader r =
        segment_reader(p->disk, file, p->generation, SEGMENT_HEADER_BYTES, past_buffer(p));
    struct frame         f;
    const unsigned char *frame  = NULL;
    enum disk_status     status = DISK_OK;
    s->end                      = s->after;
    while (s->is_begun) {
        status = segment_next(&r, &f, &frame);
        if (status != DISK_OK) return status;
        if (frame == NULL || f.sequence != s->end + 1) break;
        s->end = f.sequence;
        p->frames++;
        if (f.dropped > p->dropped) p->dropped = f.dropped;
        past_see_time(p, f.now_ns, f.wall_ns);
    }
    if (frame == NULL) status = segment_seek(&r, &f, &frame);
    for (; status == DISK_OK && frame != NULL; status = segment_seek(&r, &f, &frame)) {
        if (f.sequence - f.step > s->lost_first) s->lost_first = f.sequence - f.step;
    }
    return status;
}

static enum disk_status past_scan_segment(struct past_replay *p, uint32_t index, bool *is_ours) {
    struct past_segment *s      = &p->segment[index];
    int                  file   = DISK_NO_FILE;
    enum disk_status     status = past_open_segment(p, s->number, &file);
    if (status != DISK_OK) return status;
    status = past_scan_header(p, file, s, is_ours);
    if (status == DISK_OK && *is_ours) status = past_scan_frames(p, file, s);
    p->disk->file_close(p->disk->context, file);
    return status;
}

/* Whether the frames that count follow one another, and which those are. */
static enum disk_status past_scan_chain(struct past_replay *p) {
    uint64_t until = UINT64_MAX;
    for (uint32_t i = p->segment_count; i-- > 0;) {
        struct past_segment *s = &p->segment[i];
        s->count_until         = s->end < until ? s->end : until;
        if (s->is_begun) until = s->after;
    }

    uint64_t chain = p->dropped;
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const struct past_segment *s = &p->segment[i];
        if (s->is_begun && s->after > chain) return DISK_DAMAGED;
        if (s->is_begun && s->count_until > chain) chain = s->count_until;
        if (s->lost_first > chain + 1) return DISK_DAMAGED;
    }
    return DISK_OK;
}

static enum disk_status past_scan_base(struct past_replay *p);

enum disk_status past_scan(struct past_replay *p) {
    REQUIRE(p->memory_bytes >= PAST_MEMORY_MIN);
    p->segment       = (struct past_segment *)(void *)((char *)p->memory + PAST_SEGMENTS_FIRST);
    p->segment_count = 0;
    p->now_ns = p->wall_ns = p->frames = p->dropped = 0;

    size_t            room  = (p->memory_bytes - PAST_SEGMENTS_FIRST) / 2;
    struct past_names names = {
        .replay = p, .count_max = (uint32_t)(room / sizeof(struct past_segment)), .has_room = true};
    enum disk_status status = p->disk->folder_list(p->disk->context, past_names_add, &names);
    if (status != DISK_OK) return status;
    if (!names.has_room) return DISK_FAILED;

    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->segment_count; i++) {
        bool is_ours = true;
        status       = past_scan_segment(p, i, &is_ours);
        if (status != DISK_OK) return status;
        if (is_ours) p->segment[kept++] = p->segment[i];
    }
    p->segment_count = kept;
    status           = past_scan_chain(p);
    return status == DISK_OK ? past_scan_base(p) : status;
}

/* --- the past before this one ---------------------------------------------------------------- */

typedef enum disk_status (*past_piece_fn)(void *context, const struct past_header *h, uint64_t from,
                                          unsigned char *piece, size_t bytes);

/* Calls `each` with an empty piece for its header, and then for every piece, without marks; `from` counts
 * bytes after the header. */
static enum disk_status past_walk_base(struct past_replay *p, past_piece_fn each, void *context) {
    char name[DISK_NAME_BYTES_MAX];
    past_name(p->store, name);
    const struct disk *disk   = p->disk;
    int                file   = DISK_NO_FILE;
    enum disk_status   status = disk->file_open(disk->context, name, DISK_READ, &file);
    if (status == DISK_NOT_FOUND) return DISK_OK;
    if (status != DISK_OK) return status;

    unsigned char      head[PAST_HEADER_BYTES];
    struct past_header h          = {0};
    uint64_t           file_bytes = 0;
    size_t             got        = 0;
    status                        = disk->file_size(disk->context, file, &file_bytes);
    if (status == DISK_OK) {
        status = disk->file_read(disk->context, file, 0, head, sizeof head, &got);
    }
    if (status == DISK_OK && (got < sizeof head || !header_read(head, file_bytes, &h))) {
        status = DISK_DAMAGED;
    }

    unsigned char *piece = past_buffer(p);
    if (status == DISK_OK) status = each(context, &h, 0, piece, 0);
    uint64_t checksum = 0;
    uint64_t all      = file_bytes - PAST_HEADER_BYTES;
    for (uint64_t from = 0; status == DISK_OK && from < all; from += got) {
        status = disk->file_read(disk->context, file, PAST_HEADER_BYTES + from, piece,
                                 PAST_PIECE_BYTES, &got);
        if (status != DISK_OK) break;
        if (got == 0) status = DISK_DAMAGED;
        uint64_t before = from / PAST_RECORD_BYTES;
        piece_unmark(piece, got, h.count > before ? h.count - before : 0);
        checksum = piece_checksum(checksum, piece, got);
        if (status == DISK_OK) status = each(context, &h, from, piece, got);
    }
    if (status == DISK_OK && checksum != h.checksum) status = DISK_DAMAGED;
    disk->file_close(disk->context, file);
    return status;
}

static enum disk_status past_scan_piece(void *context, const struct past_header *h, uint64_t from,
                                        unsigned char *piece, size_t bytes) {
    struct past_replay *p = context;
    (void)from;
    (void)piece;
    (void)bytes;
    p->has_base = true;
    if (h->now_ns > p->now_ns) past_see_time(p, h->now_ns, 0);
    return DISK_OK;
}

static enum disk_status past_scan_base(struct past_replay *p) {
    p->has_base = false;
    return past_walk_base(p, past_scan_piece, p);
}

/* --- sorting --------------------------------------------------------------------------------- */

static void items_sort_few(struct past_item *item, size_t count) {
    for (size_t i = 1; i < count; i++) {
        struct past_item moved = item[i];
        size_t           at    = i;
        for (; at > 0 && item[at - 1].tag > moved.tag; at--) item[at] = item[at - 1];
        item[at] = moved;
    }
}

/* By tag, in place, a byte at a time from the highest (American flag sort: McIlroy, Bostic, McIlroy,
 * "Engineering radix sort", 1993). Tags are hashes, so a few bytes are enough. Equal ones stay in any
 * order. */
static void items_sort(struct past_item *item, size_t count, unsigned shift) {
    if (count <= PAST_FEW) {
        items_sort_few(item, count);
        return;
    }
    size_t next[256] = {0};
    size_t end[256];
    for (size_t i = 0; i < count; i++) next[item[i].tag >> shift & 255]++;
    size_t sum = 0;
    for (size_t b = 0; b < 256; b++) {
        size_t here = next[b];
        next[b]     = sum;
        end[b]      = sum += here;
    }
    for (size_t b = 0; b < 256; b++) {
        while (next[b] < end[b]) {
            struct past_item moved = item[next[b]];
            size_t           to    = moved.tag >> shift & 255;
            if (to == b) {
                next[b]++;
                continue;
            }
            item[next[b]]    = item[next[to]];
            item[next[to]++] = moved;
        }
    }
    if (shift == 0) return;
    for (size_t b = 0, from = 0; b < 256; from = end[b++]) {
        items_sort(item + from, end[b] - from, shift - 8);
    }
}

/* --- past_write ------------------------------------------------------------------------------ */

struct past_writer {
    struct past_replay *replay;
    struct past_rings  *rings;
    uint64_t            now_ns;

    /* The items of this walk: tags in [low, high], high included. */
    struct past_item *item;
    size_t            item_count, item_count_max;
    uint64_t          low, high;
    uint64_t          order;

    /* The file. */
    int            file;
    uint64_t       offset; /* of the piece that is being filled */
    unsigned char *piece;
    size_t         piece_bytes;
    uint64_t       checksum;
};

/* Sorts the items and keeps of each tag the newest, unless it equals new. */
static void writer_sort(struct past_writer *w) {
    items_sort(w->item, w->item_count, 56);
    size_t kept = 0;
    for (size_t i = 0; i < w->item_count;) {
        struct past_item newest = w->item[i];
        for (i++; i < w->item_count && w->item[i].tag == newest.tag; i++) {
            if (w->item[i].order > newest.order) newest = w->item[i];
        }
        if (newest.counter.fresh_at_ns > w->now_ns) w->item[kept++] = newest;
    }
    w->item_count = kept;
}

/* Makes room: drops what is not needed, and if that is not enough, leaves the higher tags for later. */
static void writer_make_room(struct past_writer *w) {
    writer_sort(w);
    if (w->item_count <= w->item_count_max / 4 * 3) return;
    w->item_count = w->item_count_max / 2;
    w->high       = w->item[w->item_count - 1].tag;
}

static void writer_add(struct past_writer *w, uint64_t tag, const struct counter *c) {
    w->order++;
    if (tag < w->low || tag > w->high) return;
    if (w->item_count == w->item_count_max) {
        writer_make_room(w);
        if (tag > w->high) return;
    }
    struct past_item *item = &w->item[w->item_count++];
    item->order            = w->order;
    item->tag              = tag;
    item->counter          = *c;
}

static enum disk_status writer_add_ring(struct past_writer *w, uint64_t index,
                                        const struct ring *ring) {
    if (index >= w->rings->count) return DISK_DAMAGED;
    w->rings->ring[index] = *ring;
    return DISK_OK;
}

/* A piece of the past before: the same records as in a frame, cut anywhere among the rings. */
static enum disk_status writer_add_piece(void *context, const struct past_header *h, uint64_t from,
                                         unsigned char *piece, size_t bytes) {
    struct past_writer *w             = context;
    uint64_t            counter_bytes = h->count * PAST_RECORD_BYTES;
    size_t              at            = 0;
    struct counter      c;
    for (; at + PAST_RECORD_BYTES <= bytes && from + at < counter_bytes; at += PAST_RECORD_BYTES) {
        uint64_t tag = record_counter(piece + at, &c);
        writer_add(w, tag, &c);
    }
    for (; at < bytes; at += 8) {
        uint64_t ring_at = from + at - counter_bytes;
        uint64_t index   = ring_at / FRAME_RING_BYTES;
        uint64_t word    = ring_at % FRAME_RING_BYTES / 8;
        uint64_t value   = word_read(piece + at);
        if (index >= w->rings->count || (word == 0 && value != index)) return DISK_DAMAGED;
        struct ring *ring = &w->rings->ring[index];
        if (word == 1) ring->newest_cell = value;
        if (word > 1) ring->counts[word - 2] = value;
    }
    return DISK_OK;
}

static enum disk_status writer_add_frame(struct past_writer *w, const struct frame *f,
                                         const unsigned char *frame) {
    for (uint32_t i = 0; i < f->count; i++) {
        const unsigned char *record = frame + frame_record_at(f->kind, i);
        if (f->kind == FRAME_COUNTERS) {
            struct counter c;
            uint64_t       tag = record_counter(record, &c);
            writer_add(w, tag, &c);
        } else {
            struct ring      ring;
            uint64_t         index  = record_ring(record, &ring);
            enum disk_status status = writer_add_ring(w, index, &ring);
            if (status != DISK_OK) return status;
        }
    }
    return DISK_OK;
}

static enum disk_status writer_add_segment(struct past_writer *w, const struct past_segment *s) {
    struct past_replay *p      = w->replay;
    int                 file   = DISK_NO_FILE;
    enum disk_status    status = past_open_segment(p, s->number, &file);
    if (status != DISK_OK) return status;
    struct segment_reader r =
        segment_reader(p->disk, file, p->generation, SEGMENT_HEADER_BYTES, past_buffer(p));
    for (uint64_t sequence = s->after; sequence < s->count_until && status == DISK_OK;) {
        struct frame         f;
        const unsigned char *frame = NULL;
        status                     = segment_next(&r, &f, &frame);
        if (status != DISK_OK) break;
        if (frame == NULL) {
            status = DISK_DAMAGED; /* It was there when past_scan() looked. */
            break;
        }
        sequence = f.sequence;
        if (sequence > p->dropped) status = writer_add_frame(w, &f, frame);
    }
    p->disk->file_close(p->disk->context, file);
    return status;
}

/* All images with tags from `low` on, as far as memory goes: oldest first. */
static enum disk_status writer_collect(struct past_writer *w) {
    struct past_replay *p   = w->replay;
    w->item_count           = 0;
    w->order                = 0;
    w->high                 = UINT64_MAX;
    enum disk_status status = past_walk_base(p, writer_add_piece, w);
    for (uint32_t i = 0; i < p->segment_count && status == DISK_OK; i++) {
        const struct past_segment *s = &p->segment[i];
        if (s->is_begun && s->count_until > s->after && s->count_until > p->dropped) {
            status = writer_add_segment(w, s);
        }
    }
    if (status == DISK_OK) writer_sort(w);
    return status;
}

static enum disk_status writer_flush(struct past_writer *w) {
    const struct disk *disk = w->replay->disk;
    w->checksum             = piece_checksum(w->checksum, w->piece, w->piece_bytes);
    enum disk_status status =
        disk->file_write(disk->context, w->file, w->offset, w->piece, w->piece_bytes);
    w->offset += w->piece_bytes;
    w->piece_bytes = 0;
    return status;
}

static enum disk_status writer_put(struct past_writer *w, const unsigned char *record,
                                   size_t bytes) {
    while (bytes > 0) {
        size_t room = PAST_PIECE_BYTES - w->piece_bytes;
        size_t part = bytes < room ? bytes : room;
        memcpy(w->piece + w->piece_bytes, record, part);
        w->piece_bytes += part;
        record += part;
        bytes -= part;
        if (w->piece_bytes < PAST_PIECE_BYTES) break;
        enum disk_status status = writer_flush(w);
        if (status != DISK_OK) return status;
    }
    return DISK_OK;
}

static enum disk_status writer_put_items(struct past_writer *w) {
    enum disk_status status = DISK_OK;
    for (size_t i = 0; i < w->item_count && status == DISK_OK; i++) {
        unsigned char           record[PAST_RECORD_BYTES];
        const struct past_item *item = &w->item[i];
        record_put_counter(record, item->tag, &item->counter);
        status = writer_put(w, record, sizeof record);
        if (item->counter.fresh_at_ns > w->replay->last_fresh_ns) {
            w->replay->last_fresh_ns = item->counter.fresh_at_ns;
        }
    }
    w->replay->counters += w->item_count;
    return status;
}

/* Everybody may have taken u permits that nobody recorded, at any time before now. Whoever comes to the
 * new table takes along what is live on their ring. */
static enum disk_status rings_charge(struct past_rings *rings, uint64_t now_ns) {
    for (uint32_t i = 0; i < rings->count; i++) {
        struct ring *ring       = &rings->ring[i];
        unsigned     ring_class = RING_CLASS_MIN + i / rings->stripes;
        uint64_t     cell_ns    = (UINT64_C(1) << ring_class) / RING_CELLS;
        if (ring->newest_cell > UINT64_MAX / cell_ns) return DISK_DAMAGED; /* no such time */
        /* A ring that has no room for them denies everybody anyway. */
        (void)ring_admit(ring, ring_class, UINT64_MAX, rings->u, now_ns);
    }
    return DISK_OK;
}

static enum disk_status writer_put_rings(struct past_writer *w) {
    enum disk_status status = rings_charge(w->rings, w->now_ns);
    for (uint32_t i = 0; i < w->rings->count && status == DISK_OK; i++) {
        unsigned char record[FRAME_RING_BYTES];
        record_put_ring(record, i, &w->rings->ring[i]);
        status = writer_put(w, record, sizeof record);
    }
    if (status == DISK_OK && w->piece_bytes > 0) status = writer_flush(w);
    return status;
}

/* The header comes last and the name after it, so that there is no past that is not whole. */
static enum disk_status writer_finish(struct past_writer *w) {
    struct past_replay *p    = w->replay;
    const struct disk  *disk = p->disk;
    unsigned char       header[PAST_HEADER_BYTES];
    char                from[DISK_NAME_BYTES_MAX];
    char                to[DISK_NAME_BYTES_MAX];
    header_write(&(struct past_header){.generation    = p->generation,
                                       .count         = p->counters,
                                       .last_fresh_ns = p->last_fresh_ns,
                                       .now_ns        = w->now_ns,
                                       .checksum      = w->checksum,
                                       .rings         = w->rings->count},
                 header);
    name_write(p->store, past_new_word, from);
    past_name(p->store, to);
    enum disk_status status = disk->file_write(disk->context, w->file, 0, header, sizeof header);
    if (status == DISK_OK) status = disk->file_sync(disk->context, w->file);
    if (status == DISK_OK) status = disk->file_rename(disk->context, from, to);
    if (status == DISK_OK) status = disk->folder_sync(disk->context);
    return status;
}

static enum disk_status writer_write(struct past_writer *w) {
    for (w->low = 0;; w->low = w->high + 1) {
        enum disk_status status = writer_collect(w);
        if (status == DISK_OK) status = writer_put_items(w);
        if (status != DISK_OK) return status;
        if (w->high == UINT64_MAX) break;
    }
    enum disk_status status = writer_put_rings(w);
    return status == DISK_OK ? writer_finish(w) : status;
}

enum disk_status past_write(struct past_replay *p, struct past_rings *rings, uint64_t now_ns) {
    REQUIRE(now_ns >= p->now_ns);
    REQUIRE(rings->stripes > 0);
    REQUIRE(rings->count <= RING_CLASSES * rings->stripes);

    char name[DISK_NAME_BYTES_MAX];
    name_write(p->store, past_new_word, name);
    size_t used = PAST_SEGMENTS_FIRST + p->segment_count * sizeof(struct past_segment);
    used        = (used + PAST_RECORD_BYTES - 1) / PAST_RECORD_BYTES * PAST_RECORD_BYTES;
    unsigned char     *piece = past_buffer(p) + used;
    struct past_writer w     = {
            .replay         = p,
            .rings          = rings,
            .now_ns         = now_ns,
            .piece          = piece,
            .offset         = PAST_HEADER_BYTES,
            .item           = (struct past_item *)(void *)(piece + PAST_PIECE_BYTES),
            .item_count_max = (p->memory_bytes - used - PAST_PIECE_BYTES) / PAST_ITEM_BYTES,
    };
    p->counters      = 0;
    p->last_fresh_ns = 0;
    for (uint32_t i = 0; i < rings->count; i++) rings->ring[i] = (struct ring){0};

    enum disk_status status = p->disk->file_open(p->disk->context, name, DISK_CREATE, &w.file);
    if (status != DISK_OK) return status;
    status = writer_write(&w);
    p->disk->file_close(p->disk->context, w.file);
    return status;
}

/* --- afterwards ------------------------------------------------------------------------------ */

bool past_open(struct past *past, void *file, size_t bytes) {
    struct past_header h;
    if (bytes < PAST_HEADER_BYTES || !header_read(file, bytes, &h)) return false;
    *past = (struct past){
        .record        = (struct past_record *)(void *)((char *)file + PAST_HEADER_BYTES),
        .count         = h.count,
        .last_fresh_ns = h.last_fresh_ns,
    };
    return true;
}

bool past_verify(const void *file, size_t bytes) {
    struct past_header h;
    if (bytes < PAST_HEADER_BYTES || !header_read(file, bytes, &h)) return false;
    unsigned char        piece[PAST_PIECE_BYTES];
    const unsigned char *all       = (const unsigned char *)file + PAST_HEADER_BYTES;
    size_t               all_bytes = bytes - PAST_HEADER_BYTES;
    uint64_t             checksum  = 0;
    for (size_t from = 0; from < all_bytes;) {
        size_t part = all_bytes - from < sizeof piece ? all_bytes - from : sizeof piece;
        memcpy(piece, all + from, part);
        uint64_t before = from / PAST_RECORD_BYTES;
        piece_unmark(piece, part, h.count > before ? h.count - before : 0);
        checksum = piece_checksum(checksum, piece, part);
        from += part;
    }
    return checksum == h.checksum;
}

static uint64_t past_tag(const struct past *past, uint64_t index) {
    return word_read((const unsigned char *)&past->record[index].tag);
}

/* Where a tag between two others would be if they lay evenly: hashes nearly do, so that each guess is off
 * by the root of what the one before it was off (interpolation search; Perl, Itai, Avni, CACM 1978). A
 * file whose tags do not is halved after a few guesses. */
static uint64_t past_guess(uint64_t low_tag, uint64_t high_tag, uint64_t room, uint64_t tag) {
    if (high_tag == low_tag) return 0;
    uint64_t guess = (uint64_t)((uint128)(tag - low_tag) * room / (high_tag - low_tag));
    return guess < room ? guess : room - 1;
}

static struct past_record *past_search(const struct past *past, uint64_t tag) {
    /* If the tag is there, it is in [low, high), and between these two or one of them. */
    uint64_t low      = 0;
    uint64_t high     = past->count;
    uint64_t low_tag  = 0;
    uint64_t high_tag = UINT64_MAX;
    for (unsigned guesses = 0; low < high && tag >= low_tag && tag <= high_tag; guesses++) {
        uint64_t middle =
            low + (guesses < PAST_GUESSES_MAX ? past_guess(low_tag, high_tag, high - low, tag)
                                              : (high - low) / 2);
        uint64_t middle_tag = past_tag(past, middle);
        if (middle_tag == tag) return &past->record[middle];
        if (middle_tag < tag) {
            low     = middle + 1;
            low_tag = middle_tag;
        } else {
            high     = middle;
            high_tag = middle_tag;
        }
    }
    return NULL;
}

bool past_find(const struct past *past, uint64_t tag, struct counter *c) {
    struct past_record *record = past_search(past, tag);
    if (record == NULL) return false;
    /* Others may set its mark meanwhile; nothing else of it changes. */
    struct past_record copy = {.tag = record->tag, .fresh_at_ns = record->fresh_at_ns};
    atomic_init(&copy.head, atomic_load_explicit(&record->head, memory_order_acquire));
    memcpy(copy.body, record->body, sizeof copy.body);
    record_counter((const unsigned char *)&copy, c);
    return (word_read((const unsigned char *)&copy.head) & PAST_FORGOTTEN) == 0;
}

void past_forget(struct past *past, uint64_t tag) {
    struct past_record *record = past_search(past, tag);
    if (record == NULL) return;
    uint64_t bit = 0;
    word_write((unsigned char *)&bit, PAST_FORGOTTEN);
    atomic_fetch_or_explicit(&record->head, bit, memory_order_acq_rel);
}

uint64_t past_last_fresh_ns(const struct past *past) { return past->last_fresh_ns; }
