/* SPDX-License-Identifier: MIT
 *
 * journal: how do many processes make what their users took survive a power loss?
 *
 * By writing the images of the counters that changed, many at once (group commit). Whoever settles and
 * finds no commit under way leads one: closes the halves of unrecorded.c, asks for the counter of
 * each name in them, appends frames (segment.c), syncs, clears the halves. The others wait for it.
 * Whoever takes permits says so under the lock of the counter and before they change it; an image is
 * copied under that lock and after the half was closed: so it contains all that the closing half
 * counts. It may contain more, which is counted in the open half, and recorded once more.
 *
 * A commit that did not end well, by a failed write or sync or because its leader was killed, is never
 * mended: `is_broken` is set before the first byte is written and cleared after the last word about it is
 * stored. Whoever finds it set begins a new segment, whose header says how far the older ones count
 * (`after`). So no file is written to after a sync of it failed, and a frame is never written over.
 * A segment's number is never used twice, since others may have the old file open.
 *
 * Cleaning. A record is needed as long as it is the newest of its counter and that does not equal new.
 * While the segments together are larger than they should be, each commit goes through some frames of
 * the oldest segment and moves to its end those records that equal their counter. One that does not
 * equal it is not needed once what changed the counter is recorded, and that was in a half
 * already when it was looked at: it is recorded by this commit or by the next one. So the segment is
 * dropped two commits after it was cleaned: in the first all of it becomes superfluous, in the
 * second frames say so (`dropped`), and then the file is removed. Users may move about the table
 * meanwhile; they are asked for by name.
 *
 * Bytes on disk: at most 3 x 64 for each user in the table, 8 segments and one commit; docs/journal.md
 * tells why. */
#include "store/embedded/journal.h"

#include <string.h>

#include "base/contract.h"

enum {
    USERS_FACTOR    = 2, /* cleaning begins at so many records for each user */
    SEGMENTS_SPARE  = 4, /* and so many segments */
    CLEAN_FACTOR    = 4, /* and goes through so many bytes for each that is written */
    CLEAN_BYTES_MIN = 4096,
};

/* One commit, while its frames are written. */
struct commit {
    struct journal *journal;
    struct frame    frame; /* the one that is being filled */
    uint64_t        offset;
    uint64_t        records;
    uint64_t        records_moved;
    /* What cleaning found, to be stored when the commit is on disk. */
    uint64_t clean_offset;
    uint64_t clean_sequence;
    uint64_t cleaned_dropped;
    uint32_t cleaned;
};

static uint64_t shared_load(const _Atomic uint64_t *word) {
    return atomic_load_explicit(word, memory_order_acquire);
}

static void shared_store(_Atomic uint64_t *word, uint64_t value) {
    atomic_store_explicit(word, value, memory_order_release);
}

static uint32_t shared_load_number(const _Atomic uint32_t *word) {
    return atomic_load_explicit(word, memory_order_acquire);
}

static void shared_store_number(_Atomic uint32_t *word, uint32_t value) {
    atomic_store_explicit(word, value, memory_order_release);
}

static enum disk_status journal_lead(struct journal *j, uint64_t now_ns, uint64_t wall_ns);
static enum disk_status journal_commit(struct journal *j, bool is_whole, uint64_t now_ns,
                                       uint64_t wall_ns);

void journal_init(struct journal *j, const struct journal_options *options) {
    REQUIRE(options->segment_bytes_max >= JOURNAL_SEGMENT_BYTES_MIN);
    REQUIRE(options->me->process > 0);
    j->options     = *options;
    j->file        = DISK_NO_FILE;
    j->file_number = 0;
}

static void journal_forget_file(struct journal *j) {
    const struct disk *disk = j->options.disk;
    if (j->file != DISK_NO_FILE) disk->file_close(disk->context, j->file);
    j->file        = DISK_NO_FILE;
    j->file_number = 0;
}

void journal_close(struct journal *j) { journal_forget_file(j); }

/* A commit that begins after what the caller added closes the half that holds it. `begun` is raised
 * before the halves are closed: who reads it as N - 1 added to a half before commit N closed it,
 * since otherwise the shard's lock would have shown them N. */
enum disk_status journal_settle(struct journal *j, uint64_t now_ns, uint64_t wall_ns) {
    struct journal_shared   *shared = j->options.shared;
    const struct lock_owner *me     = j->options.me;
    uint64_t                 wanted = shared_load(&shared->begun) + 1;
    for (unsigned turn = 0;; turn++) {
        if (shared_load(&shared->done) >= wanted) return DISK_OK;
        if (shared_load(&shared->failed) >= wanted) {
            return (enum disk_status)shared_load_number(&shared->failed_status);
        }
        uint32_t holder = 0;
        if (!owned_lock_try(&shared->lock, me->process, &holder)) {
            me->wait(me->context, holder, turn);
            continue;
        }
        enum disk_status status = DISK_OK;
        if (shared_load(&shared->done) < wanted) status = journal_lead(j, now_ns, wall_ns);
        owned_lock_give(&shared->lock);
        return status;
    }
}

void journal_release_dead(struct journal_shared *shared, struct unrecorded *unrecorded,
                          uint32_t process) {
    unrecorded_release_dead(unrecorded, process);
    owned_lock_release_dead(&shared->lock, process);
}

void journal_scour(struct journal_shared *shared, struct unrecorded       *unrecorded,
                   bool (*is_gone)(void *context, uint32_t process), void *context) {
    unrecorded_scour(unrecorded, is_gone, context);
    owned_lock_release_gone(&shared->lock, is_gone, context);
}

/* One commit; or two, if a dead leader left the first. */
static enum disk_status journal_lead(struct journal *j, uint64_t now_ns, uint64_t wall_ns) {
    struct journal_shared *shared = j->options.shared;
    for (;;) {
        uint64_t number = shared_load(&shared->begun) + 1;
        shared_store(&shared->begun, number);

        bool             is_whole = unrecorded_close(j->options.unrecorded, j->options.me);
        enum disk_status status   = journal_commit(j, is_whole, now_ns, wall_ns);
        if (status != DISK_OK) {
            journal_forget_file(j);
            shared_store(&shared->failures, shared_load(&shared->failures) + 1);
            shared_store_number(&shared->failed_status, status);
            shared_store(&shared->failed, number);
            return status;
        }
        if (is_whole) {
            shared_store(&shared->done, number);
            return DISK_OK;
        }
    }
}

/* --- segments -------------------------------------------------------------------------------- */

static enum disk_status journal_open_segment(struct journal *j, uint32_t number,
                                             enum disk_mode mode, int *file) {
    char name[DISK_NAME_BYTES_MAX];
    segment_name(j->options.store, number, name);
    return j->options.disk->file_open(j->options.disk->context, name, mode, file);
}

static void journal_remove_segment(struct journal *j, uint32_t number) {
    char name[DISK_NAME_BYTES_MAX];
    segment_name(j->options.store, number, name);
    (void)j->options.disk->file_remove(j->options.disk->context, name);
}

/* Counts anew what is there, since processes may have died between two words. */
static uint64_t journal_count_bytes(struct journal *j) {
    const struct disk *disk  = j->options.disk;
    uint64_t           total = 0;
    uint32_t           last  = shared_load_number(&j->options.shared->segment);
    for (uint32_t n = shared_load_number(&j->options.shared->removed); n <= last; n++) {
        int      file  = DISK_NO_FILE;
        uint64_t bytes = 0;
        if (n == 0 || journal_open_segment(j, n, DISK_READ, &file) != DISK_OK) continue;
        if (disk->file_size(disk->context, file, &bytes) == DISK_OK) total += bytes;
        disk->file_close(disk->context, file);
    }
    return total;
}

/* Begins a new segment. It becomes durable with the first frame, but for its name. */
static enum disk_status journal_roll(struct journal *j, uint64_t now_ns, uint64_t wall_ns) {
    const struct disk     *disk   = j->options.disk;
    struct journal_shared *shared = j->options.shared;
    uint32_t               last   = shared_load_number(&shared->segment);
    if (last == SEGMENT_NUMBER_MAX) return DISK_NO_SPACE;

    shared_store_number(&shared->is_broken, 1);
    journal_forget_file(j);
    /* While a disk fails there is a new segment at each try. */
    if (last > 0 && shared_load(&shared->segment_bytes) == 0) journal_remove_segment(j, last);
    if (last == 0) {
        shared_store_number(&shared->removed, 1);
        shared_store_number(&shared->oldest, 1);
    }
    shared_store_number(&shared->segment, last + 1);
    shared_store(&shared->segment_bytes, 0);

    unsigned char    header[SEGMENT_HEADER_BYTES];
    enum disk_status status = journal_open_segment(j, last + 1, DISK_CREATE, &j->file);
    if (status != DISK_OK) {
        j->file = DISK_NO_FILE;
        return status;
    }
    j->file_number = last + 1;
    segment_write(&(struct segment){.generation = j->options.generation,
                                    .after      = shared_load(&shared->sequence),
                                    .now_ns     = now_ns,
                                    .wall_ns    = wall_ns,
                                    .number     = last + 1},
                  header);
    status = disk->file_write(disk->context, j->file, 0, header, sizeof header);
    if (status != DISK_OK) return status;
    status = disk->folder_sync(disk->context);
    shared_store(&shared->total_bytes, journal_count_bytes(j));
    return status;
}

/* Makes j->file the segment to append to. */
static enum disk_status journal_prepare(struct journal *j, uint64_t now_ns, uint64_t wall_ns) {
    struct journal_shared *shared = j->options.shared;
    uint32_t               number = shared_load_number(&shared->segment);
    if (number == 0 || shared_load_number(&shared->is_broken) != 0 ||
        shared_load(&shared->segment_bytes) >= j->options.segment_bytes_max) {
        return journal_roll(j, now_ns, wall_ns);
    }
    if (j->file_number == number) return DISK_OK;

    journal_forget_file(j);
    enum disk_status status = journal_open_segment(j, number, DISK_WRITE, &j->file);
    if (status != DISK_OK) {
        j->file = DISK_NO_FILE;
        shared_store_number(&shared->is_broken, 1);
        return status;
    }
    j->file_number = number;
    return DISK_OK;
}

/* --- a commit -------------------------------------------------------------------------------- */

static enum disk_status commit_names(struct commit *c, enum unrecorded_kind kind);
static enum disk_status commit_flush(struct commit *c);
static enum disk_status commit_clean(struct commit *c);
static void             journal_drop_cleaned(struct journal *j);
static void             journal_remove_dropped(struct journal *j);

static bool journal_has_work(struct journal *j) {
    uint32_t             cursor = 0;
    struct unrecorded_id id;
    return unrecorded_next(j->options.unrecorded, &cursor, &id);
}

/* Stores what the commit changed, when it is on disk. Until is_broken is cleared a leader who is killed
 * here leaves words that do not fit, and the next one begins a segment. That removes this one if its
 * bytes are 0, so they are stored before the sequence, which says that the frames count. */
static void commit_store(struct commit *c, bool is_whole) {
    struct journal_shared *shared = c->journal->options.shared;
    uint64_t               before = shared_load(&shared->segment_bytes);
    shared_store(&shared->total_bytes, shared_load(&shared->total_bytes) + c->offset - before);
    shared_store(&shared->records, shared_load(&shared->records) + c->records);
    shared_store(&shared->records_moved, shared_load(&shared->records_moved) + c->records_moved);
    shared_store(&shared->segment_bytes, c->offset);
    shared_store(&shared->sequence, c->frame.sequence - 1);
    if (is_whole) {
        shared_store(&shared->commits, shared_load(&shared->commits) + 1);
        shared_store(&shared->clean_sequence, c->clean_sequence);
        shared_store(&shared->clean_offset, c->clean_offset);
        if (c->cleaned != 0) {
            shared_store(&shared->cleaned_dropped, c->cleaned_dropped);
            shared_store(&shared->cleaned_commits, shared_load(&shared->commits));
            shared_store_number(&shared->cleaned, c->cleaned);
        }
    }
    shared_store_number(&shared->is_broken, 0);
}

/* Records all in the closing halves and clears them. `is_whole`: nothing older is in an open half. */
static enum disk_status journal_commit(struct journal *j, bool is_whole, uint64_t now_ns,
                                       uint64_t wall_ns) {
    const struct disk     *disk   = j->options.disk;
    struct journal_shared *shared = j->options.shared;
    if (!journal_has_work(j)) {
        unrecorded_clear(j->options.unrecorded, j->options.me);
        return DISK_OK;
    }

    enum disk_status status = journal_prepare(j, now_ns, wall_ns);
    if (status != DISK_OK) return status;
    shared_store_number(&shared->is_broken, 1);
    journal_drop_cleaned(j);

    uint64_t      bytes = shared_load(&shared->segment_bytes);
    struct commit c     = {
            .journal        = j,
            .offset         = bytes > 0 ? bytes : SEGMENT_HEADER_BYTES,
            .clean_offset   = shared_load(&shared->clean_offset),
            .clean_sequence = shared_load(&shared->clean_sequence),
            .frame          = {.generation = j->options.generation,
                               .sequence   = shared_load(&shared->sequence) + 1,
                               .dropped    = shared_load(&shared->dropped),
                               .now_ns     = now_ns,
                               .wall_ns    = wall_ns,
                               .kind       = FRAME_COUNTERS},
    };
    status = commit_names(&c, UNRECORDED_COUNTER);
    if (status == DISK_OK) status = commit_names(&c, UNRECORDED_RING);
    if (status == DISK_OK && is_whole) status = commit_clean(&c);
    /* A commit has a frame even if nobody has a counter any more: it says what is dropped. */
    if (status == DISK_OK && (c.frame.count > 0 || c.frame.step == 0)) status = commit_flush(&c);
    if (status == DISK_OK) status = disk->file_sync(disk->context, j->file);
    if (status != DISK_OK) return status;

    commit_store(&c, is_whole);
    unrecorded_clear(j->options.unrecorded, j->options.me);
    journal_remove_dropped(j);
    return DISK_OK;
}

static enum disk_status commit_flush(struct commit *c) {
    struct journal  *j     = c->journal;
    size_t           bytes = frame_seal(j->frame, &c->frame);
    enum disk_status status =
        j->options.disk->file_write(j->options.disk->context, j->file, c->offset, j->frame, bytes);
    if (status != DISK_OK) return status;
    c->offset += bytes;
    c->frame.sequence++;
    c->frame.step++;
    c->frame.count = 0;
    return DISK_OK;
}

/* Makes room for a record of this kind. */
static enum disk_status commit_room(struct commit *c, enum frame_kind kind) {
    uint32_t         count_max = kind == FRAME_COUNTERS ? FRAME_COUNTERS_MAX : FRAME_RINGS_MAX;
    enum disk_status status    = DISK_OK;
    if (c->frame.count > 0 && (c->frame.kind != kind || c->frame.count == count_max)) {
        status = commit_flush(c);
    }
    c->frame.kind = kind;
    return status;
}

static unsigned char *commit_next_record(struct commit *c) {
    c->records++;
    return c->journal->frame + frame_record_at(c->frame.kind, c->frame.count++);
}

static enum disk_status commit_counter(struct commit *c, uint64_t tag,
                                       const struct counter *counter) {
    enum disk_status status = commit_room(c, FRAME_COUNTERS);
    if (status != DISK_OK) return status;
    record_put_counter(commit_next_record(c), tag, counter);
    return DISK_OK;
}

static enum disk_status commit_ring(struct commit *c, uint64_t index, const struct ring *ring) {
    enum disk_status status = commit_room(c, FRAME_RINGS);
    if (status != DISK_OK) return status;
    record_put_ring(commit_next_record(c), index, ring);
    return DISK_OK;
}

/* The images of all in the closing halves. Who has no counter any more equals new. */
static enum disk_status commit_names(struct commit *c, enum unrecorded_kind kind) {
    const struct journal_options *options = &c->journal->options;
    const struct journal_source  *source  = &options->source;
    enum disk_status              status  = DISK_OK;
    struct unrecorded_id          id;
    struct counter                counter;
    struct ring                   ring;
    for (uint32_t cursor = 0;
         status == DISK_OK && unrecorded_next(options->unrecorded, &cursor, &id);) {
        if (id.kind != kind) continue;
        if (kind == UNRECORDED_RING) {
            if (source->ring(source->context, id.name, &ring))
                status = commit_ring(c, id.name, &ring);
        } else if (source->counter(source->context, id.name, &counter)) {
            status = commit_counter(c, id.name, &counter);
        }
    }
    return status;
}

/* --- cleaning -------------------------------------------------------------------------------- */

static bool counter_equals(const struct counter *a, const struct counter *b) {
    return a->fresh_at_ns == b->fresh_at_ns && ((a->head ^ b->head) & COUNTER_HEAD_MASK) == 0 &&
           memcmp(a->body, b->body, sizeof a->body) == 0;
}

static bool journal_is_large(const struct journal *j) {
    const struct journal_source *source = &j->options.source;
    uint64_t                     users  = source->users(source->context);
    return shared_load(&j->options.shared->total_bytes) >
           USERS_FACTOR * FRAME_COUNTER_BYTES * users +
               SEGMENTS_SPARE * j->options.segment_bytes_max;
}

/* Moves those records of an old frame that are still needed. */
static enum disk_status commit_move(struct commit *c, const struct frame *f,
                                    const unsigned char *frame) {
    const struct journal_source *source = &c->journal->options.source;
    enum disk_status             status = DISK_OK;
    uint64_t                     before = c->records;
    for (uint32_t i = 0; i < f->count && status == DISK_OK; i++) {
        const unsigned char *record = frame + frame_record_at(f->kind, i);
        if (f->kind == FRAME_COUNTERS) {
            struct counter old;
            struct counter counter;
            uint64_t       tag = record_counter(record, &old);
            if (old.fresh_at_ns > c->frame.now_ns &&
                source->counter(source->context, tag, &counter) && counter_equals(&old, &counter)) {
                status = commit_counter(c, tag, &counter);
            }
        } else {
            struct ring old;
            struct ring ring;
            uint64_t    index = record_ring(record, &old);
            if (source->ring(source->context, index, &ring) &&
                memcmp(&old, &ring, sizeof ring) == 0)
                status = commit_ring(c, index, &ring);
        }
    }
    c->records_moved += c->records - before;
    return status;
}

/* How far the segments before this one count, by the header of the next one that there is. */
static bool journal_read_after(struct journal *j, uint32_t oldest, uint32_t *next,
                               uint64_t *after) {
    const struct disk *disk = j->options.disk;
    uint32_t           last = shared_load_number(&j->options.shared->segment);
    for (*next = oldest + 1; *next <= last; ++*next) {
        int file = DISK_NO_FILE;
        if (journal_open_segment(j, *next, DISK_READ, &file) != DISK_OK) continue;
        unsigned char    header[SEGMENT_HEADER_BYTES];
        struct segment   s;
        size_t           bytes = 0;
        enum disk_status status =
            disk->file_read(disk->context, file, 0, header, sizeof header, &bytes);
        disk->file_close(disk->context, file);
        if (status == DISK_OK && bytes == sizeof header && segment_read(header, &s) &&
            s.generation == j->options.generation) {
            *after = s.after;
            return true;
        }
    }
    return false;
}

/* The oldest segment has no more frames: were those all? */
static void commit_clean_end(struct commit *c, uint32_t oldest) {
    struct journal *j     = c->journal;
    uint32_t        next  = 0;
    uint64_t        after = 0;
    if (!journal_read_after(j, oldest, &next, &after) || c->clean_sequence < after) {
        shared_store_number(&j->options.shared->is_clean_stopped, 1);
        return;
    }
    c->cleaned         = next;
    c->cleaned_dropped = after;
    c->clean_sequence  = after;
}

/* Goes on through the oldest segment. Trouble with reading it keeps it; only writing fails a commit. */
static enum disk_status commit_clean(struct commit *c) {
    struct journal        *j      = c->journal;
    const struct disk     *disk   = j->options.disk;
    struct journal_shared *shared = j->options.shared;
    uint32_t               oldest = shared_load_number(&shared->oldest);
    if (oldest >= shared_load_number(&shared->segment)) return DISK_OK;
    if (shared_load_number(&shared->cleaned) > oldest) return DISK_OK;
    if (shared_load_number(&shared->is_clean_stopped) != 0 || !journal_is_large(j)) return DISK_OK;

    uint64_t written = c->offset - shared_load(&shared->segment_bytes) +
                       (uint64_t)c->frame.count * FRAME_COUNTER_BYTES;
    uint64_t until = c->clean_offset + CLEAN_FACTOR * written + CLEAN_BYTES_MIN;
    int      file  = DISK_NO_FILE;
    if (c->clean_offset == 0) c->clean_offset = SEGMENT_HEADER_BYTES;
    enum disk_status status = journal_open_segment(j, oldest, DISK_READ, &file);
    if (status == DISK_NOT_FOUND) commit_clean_end(c, oldest);
    if (status != DISK_OK) return DISK_OK;

    struct segment_reader r =
        segment_reader(disk, file, j->options.generation, c->clean_offset, j->old);
    while (r.offset < until) {
        struct frame         f;
        const unsigned char *frame = NULL;
        if (segment_next(&r, &f, &frame) != DISK_OK) break;
        if (frame == NULL) {
            commit_clean_end(c, oldest);
            break;
        }
        status = commit_move(c, &f, frame);
        if (status != DISK_OK) break;
        c->clean_sequence = f.sequence;
        c->clean_offset   = r.offset;
    }
    disk->file_close(disk->context, file);
    return status;
}

/* Before the frames of a commit are written: they say that the cleaned segment is not needed if a
 * whole commit was made since the one that cleaned it. */
static void journal_drop_cleaned(struct journal *j) {
    struct journal_shared *shared  = j->options.shared;
    uint32_t               cleaned = shared_load_number(&shared->cleaned);
    if (cleaned <= shared_load_number(&shared->oldest)) return;
    if (shared_load(&shared->commits) <= shared_load(&shared->cleaned_commits)) return;
    shared_store(&shared->dropped, shared_load(&shared->cleaned_dropped));
    shared_store(&shared->clean_offset, 0);
    shared_store_number(&shared->oldest, cleaned);
}

/* After they are on disk. A removal that is lost is harmless. */
static void journal_remove_dropped(struct journal *j) {
    const struct disk     *disk   = j->options.disk;
    struct journal_shared *shared = j->options.shared;
    uint32_t               oldest = shared_load_number(&shared->oldest);
    for (uint32_t n = shared_load_number(&shared->removed); n < oldest; n++) {
        int      file  = DISK_NO_FILE;
        uint64_t bytes = 0;
        if (journal_open_segment(j, n, DISK_READ, &file) == DISK_OK) {
            (void)disk->file_size(disk->context, file, &bytes);
            disk->file_close(disk->context, file);
            journal_remove_segment(j, n);
        }
        uint64_t total = shared_load(&shared->total_bytes);
        shared_store(&shared->total_bytes, total > bytes ? total - bytes : 0);
        shared_store_number(&shared->removed, n + 1);
    }
}
