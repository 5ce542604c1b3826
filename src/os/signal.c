/* SPDX-License-Identifier: MIT */
#include "os/signal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void stops_fill(sigset_t *stops) {
    sigemptyset(stops);
    sigaddset(stops, SIGTERM);
    sigaddset(stops, SIGINT);
}

int signal_open(void) {
    sigset_t stops;
    stops_fill(&stops);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (sigaction(SIGPIPE, &ignore, NULL) != 0) return -1;
    if (pthread_sigmask(SIG_BLOCK, &stops, NULL) != 0) return -1;
    return signalfd(-1, &stops, SFD_NONBLOCK | SFD_CLOEXEC);
}

bool signal_take(int descriptor) {
    struct signalfd_siginfo about;
    ssize_t                 count;
    do {
        count = read(descriptor, &about, sizeof about);
    } while (count < 0 && errno == EINTR);
    return count == (ssize_t)sizeof about;
}

void signal_close(int descriptor) {
    sigset_t stops;
    stops_fill(&stops);
    close(descriptor);
    (void)pthread_sigmask(SIG_UNBLOCK, &stops, NULL);
}
