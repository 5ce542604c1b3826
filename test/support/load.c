/* SPDX-License-Identifier: MIT */
#include "support/load.h"

#include <pthread.h>
#include <stdlib.h>

#include "os/clock.h"

struct tally {
    uint64_t statuses
        [LOAD_STATUSES_MAX]; /* of those that were taken; all here is the client's thread's */
    uint64_t fates[FATES];
    uint64_t twice;
    uint64_t late_ns_max;  /* of an answer after its deadline */
    uint64_t pause_ns_max; /* with nothing done */
    uint64_t done_ns;
};

struct load_worker {
    const struct load *load;
    struct tally      *tally;
    pthread_t          thread;
    pthread_mutex_t    lock;
    pthread_cond_t     freed;
    struct load_job   *free;
    struct load_job   *jobs;
    unsigned           first_key;
    uint64_t           until_ns;
    uint64_t           submitted;
    uint64_t           refused[LOAD_STATUSES_MAX]; /* not taken */
};

/* ---- jobs ---- */

static struct load_job *job_take(struct load_worker *worker) {
    pthread_mutex_lock(&worker->lock);
    while (worker->free == NULL) pthread_cond_wait(&worker->freed, &worker->lock);
    struct load_job *job = worker->free;
    worker->free         = job->next_free;
    pthread_mutex_unlock(&worker->lock);
    return job;
}

static void job_give(struct load_job *job) {
    struct load_worker *worker = job->worker;
    pthread_mutex_lock(&worker->lock);
    job->next_free = worker->free;
    worker->free   = job;
    pthread_cond_signal(&worker->freed);
    pthread_mutex_unlock(&worker->lock);
}

static void tally_done(struct tally *tally, uint64_t now_ns) {
    uint64_t pause_ns = now_ns - tally->done_ns;
    if (pause_ns > tally->pause_ns_max) tally->pause_ns_max = pause_ns;
    tally->done_ns = now_ns;
}

void load_end(struct load_job *job, unsigned status, enum fate fate) {
    struct tally *tally  = job->worker->tally;
    uint64_t      now_ns = clock_now_ns();
    if (atomic_fetch_add(&job->called, 1) != 0) tally->twice++;
    tally->statuses[status]++;
    tally->fates[fate]++;
    if (now_ns > job->deadline_ns && now_ns - job->deadline_ns > tally->late_ns_max)
        tally->late_ns_max = now_ns - job->deadline_ns;
    if (status == 0) tally_done(tally, now_ns);
    job_give(job);
}

/* ---- threads ---- */

/* False: its time is over. */
static bool worker_submit(struct load_worker *worker, uint64_t number) {
    struct load_job *job    = job_take(worker);
    uint64_t         now_ns = clock_now_ns();
    if (now_ns >= worker->until_ns) {
        job_give(job);
        return false;
    }
    job->number      = number;
    job->key         = worker->first_key + (unsigned)(number % worker->load->keys);
    job->deadline_ns = now_ns + worker->load->deadline_ns;
    atomic_store(&job->called, 0);
    unsigned status = worker->load->submit(job);
    if (status == 0) {
        worker->submitted++;
    } else {
        worker->refused[status]++;
        job_give(job);
    }
    return true;
}

static void *worker_run(void *context) {
    struct load_worker *worker = context;
    uint64_t            number = 0;
    while (number < worker->load->jobs_max && worker_submit(worker, number)) number++;
    /* All that was taken comes back, or the test hangs and its time limit says so. */
    for (unsigned i = 0; i < worker->load->window; i++) (void)job_take(worker);
    return NULL;
}

static void worker_init(struct load_worker *worker, const struct load *load, struct tally *tally,
                        unsigned index) {
    *worker      = (struct load_worker){.load      = load,
                                        .tally     = tally,
                                        .first_key = index * load->keys,
                                        .until_ns  = tally->done_ns + load->span_ns};
    worker->jobs = calloc(load->window, sizeof worker->jobs[0]);
    if (worker->jobs == NULL) driver_stop("no memory");
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->freed, NULL);
    for (unsigned i = 0; i < load->window; i++) {
        worker->jobs[i].worker = worker;
        job_give(&worker->jobs[i]);
    }
}

/* ---- all of it ---- */

static void write_statuses(struct json_writer *w, const struct load *load,
                           const uint64_t statuses[LOAD_STATUSES_MAX]) {
    for (unsigned i = 0; i < load->statuses; i++)
        if (statuses[i] > 0) driver_write_number(w, load->status_name(i), statuses[i]);
}

static void load_tell(const struct load *load, const struct tally *tally, uint64_t submitted,
                      const uint64_t refused[LOAD_STATUSES_MAX], uint64_t took_ns) {
    struct json_writer w;
    driver_answer_begin(&w);
    driver_write_number(&w, "submitted", submitted);
    write_statuses(&w, load, tally->statuses);
    json_write_name(&w, "refused");
    json_write_object(&w);
    write_statuses(&w, load, refused);
    json_write_object_end(&w);
    for (unsigned i = 0; i < FATES; i++)
        driver_write_number(&w, fate_name((enum fate)i), tally->fates[i]);
    load->tell(&w);
    driver_write_number(&w, "twice", tally->twice);
    driver_write_number(&w, "late_ms", tally->late_ns_max / DRIVER_NS_PER_MS);
    driver_write_number(&w, "pause_ms", tally->pause_ns_max / DRIVER_NS_PER_MS);
    driver_write_number(&w, "took_us", took_ns / 1000);
    driver_answer_end(&w);
}

void load_run(const struct load *load) {
    static struct load_worker workers[LOAD_THREADS_MAX];
    uint64_t                  from_ns = clock_now_ns(), submitted = 0;
    uint64_t                  refused[LOAD_STATUSES_MAX] = {0};
    struct tally              tally                      = {.done_ns = from_ns};
    if (load->threads == 0 || load->threads > LOAD_THREADS_MAX || load->keys == 0)
        driver_stop("too many threads, or no keys");
    for (unsigned t = 0; t < load->threads; t++) worker_init(&workers[t], load, &tally, t);
    for (unsigned t = 0; t < load->threads; t++)
        if (pthread_create(&workers[t].thread, NULL, worker_run, &workers[t]) != 0)
            driver_stop("no thread");
    for (unsigned t = 0; t < load->threads; t++) {
        pthread_join(workers[t].thread, NULL);
        submitted += workers[t].submitted;
        for (unsigned i = 0; i < load->statuses; i++) refused[i] += workers[t].refused[i];
        free(workers[t].jobs);
    }
    load_tell(load, &tally, submitted, refused, clock_now_ns() - from_ns);
}
