/* SPDX-License-Identifier: MIT */
#include "os/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/contract.h"

enum {
    NS_PER_MS  = 1000000,
    POSTS_READ = 64, /* at once */
};

bool loop_open(struct loop *loop) {
    int ends[2];
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0) return false;
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) goto close_epoll;
    loop->post_out = ends[0];
    loop->post_in  = ends[1];
    if (!loop_add(loop, loop->post_out, LOOP_READ, loop)) goto close_pipe;
    return true;

close_pipe:
    close(loop->post_out);
    close(loop->post_in);
close_epoll:
    close(loop->epoll);
    return false;
}

void loop_close(struct loop *loop) {
    close(loop->post_in);
    close(loop->post_out);
    close(loop->epoll);
}

static struct epoll_event event_of(unsigned interest, void *owner) {
    struct epoll_event event = {.data.ptr = owner};
    if (interest & LOOP_READ) event.events |= EPOLLIN;
    if (interest & LOOP_WRITE) event.events |= EPOLLOUT;
    if (interest & LOOP_SHARED) event.events |= EPOLLEXCLUSIVE;
    return event;
}

bool loop_add(struct loop *loop, int descriptor, unsigned interest, void *owner) {
    REQUIRE(owner != NULL);
    struct epoll_event event = event_of(interest, owner);
    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void loop_change(struct loop *loop, int descriptor, unsigned interest, void *owner) {
    REQUIRE(owner != NULL);
    struct epoll_event event = event_of(interest, owner);
    INVARIANT(epoll_ctl(loop->epoll, EPOLL_CTL_MOD, descriptor, &event) == 0);
}

void loop_remove(struct loop *loop, int descriptor) {
    INVARIANT(epoll_ctl(loop->epoll, EPOLL_CTL_DEL, descriptor, NULL) == 0);
}

static int timeout_ms_of(uint64_t timeout_ns) {
    if (timeout_ns == UINT64_MAX) return -1;
    uint64_t ms = timeout_ns / NS_PER_MS + (timeout_ns % NS_PER_MS != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* The words that others have posted, as far as there is room; the rest shows in the next turn. */
static size_t take_posts(struct loop *loop, struct loop_event *events, size_t room) {
    uint64_t words[POSTS_READ];
    if (room > POSTS_READ) room = POSTS_READ;
    ssize_t bytes = read(loop->post_out, words, room * sizeof words[0]);
    if (bytes <= 0) return 0;

    /* Words are written whole: a pipe splits no write of up to PIPE_BUF bytes. */
    INVARIANT((size_t)bytes % sizeof words[0] == 0);
    size_t count = (size_t)bytes / sizeof words[0];
    for (size_t i = 0; i < count; i++) events[i] = (struct loop_event){.word = words[i]};
    return count;
}

size_t loop_wait(struct loop *loop, struct loop_event events[LOOP_EVENTS_MAX],
                 uint64_t timeout_ns) {
    struct epoll_event ready[LOOP_EVENTS_MAX - POSTS_READ];
    int                count =
        epoll_wait(loop->epoll, ready, LOOP_EVENTS_MAX - POSTS_READ, timeout_ms_of(timeout_ns));
    if (count < 0) {
        INVARIANT(errno == EINTR);
        return 0;
    }

    size_t used = 0;
    for (int i = 0; i < count; i++) {
        if (ready[i].data.ptr == loop) {
            used += take_posts(loop, events + used, POSTS_READ);
            continue;
        }
        events[used++] = (struct loop_event){
            .owner       = ready[i].data.ptr,
            .is_readable = (ready[i].events & EPOLLIN) != 0,
            .is_writable = (ready[i].events & EPOLLOUT) != 0,
            .is_broken   = (ready[i].events & (EPOLLHUP | EPOLLERR)) != 0,
        };
    }
    return used;
}

bool loop_post(struct loop *loop, uint64_t word) {
    ssize_t bytes;
    do {
        bytes = write(loop->post_in, &word, sizeof word);
    } while (bytes < 0 && errno == EINTR);
    return bytes == (ssize_t)sizeof word;
}
