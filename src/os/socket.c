/* SPDX-License-Identifier: MIT */
#include "os/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/contract.h"
#include "base/text.h"

enum { BACKLOG = 4096 }; /* the system lowers it to net.core.somaxconn */

static bool problem_set(char *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Always false, so that a failing check is one line. */
static bool problem_set(char *problem, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem, SOCKET_PROBLEM_BYTES_MAX, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- addresses ---- */

static bool parse_unix(const char *path, struct address *address, char *problem) {
    struct sockaddr_un *un    = (struct sockaddr_un *)(void *)&address->socket;
    size_t              bytes = strlen(path);
    if (bytes == 0) return problem_set(problem, "a path is missing after unix:");
    if (bytes >= sizeof un->sun_path)
        return problem_set(problem,
                           "the path has %zu bytes; the system allows %zu for a unix socket", bytes,
                           sizeof un->sun_path - 1);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, bytes + 1);
    address->bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes + 1);
    return true;
}

static void set_in(struct address *address, struct in_addr host, uint16_t port) {
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&address->socket;
    in->sin_family         = AF_INET;
    in->sin_addr           = host;
    in->sin_port           = htons(port);
    address->bytes         = sizeof *in;
}

static void set_in6(struct address *address, struct in6_addr host, uint16_t port) {
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&address->socket;
    in6->sin6_family         = AF_INET6;
    in6->sin6_addr           = host;
    in6->sin6_port           = htons(port);
    address->bytes           = sizeof *in6;
}

bool address_parse(const char *text, struct address *address, char *problem) {
    *address = (struct address){0};
    if (strncmp(text, "unix:", 5) == 0) return parse_unix(text + 5, address, problem);

    const char *colon = strrchr(text, ':');
    uint64_t    port  = 0;
    if (colon == NULL) return problem_set(problem, "a port is missing, as in %s:7400", text);
    if (!text_number_parse(view_of(colon + 1), &port) || port > UINT16_MAX)
        return problem_set(problem, "the port must be a number from 0 to 65535");

    char   host[64];
    size_t bytes = (size_t)(colon - text);
    if (bytes >= sizeof host) return problem_set(problem, "the host must be an IP address");
    memcpy(host, text, bytes);
    host[bytes] = '\0';

    struct in_addr  in;
    struct in6_addr in6;
    if (strcmp(host, "localhost") == 0) {
        set_in(address, (struct in_addr){htonl(INADDR_LOOPBACK)}, (uint16_t)port);
    } else if (strcmp(host, "*") == 0) {
        set_in6(address, in6addr_any, (uint16_t)port);
    } else if (inet_pton(AF_INET, host, &in) == 1) {
        set_in(address, in, (uint16_t)port);
    } else if (bytes > 2 && host[0] == '[' && host[bytes - 1] == ']') {
        host[bytes - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &in6) != 1)
            return problem_set(problem, "there is no IPv6 address in the brackets");
        set_in6(address, in6, (uint16_t)port);
    } else {
        return problem_set(problem,
                           "the host must be an IPv4 address, an IPv6 address in brackets, "
                           "localhost, or * for all; or write unix:/path");
    }
    return true;
}

bool address_of_ip(const char *ip, uint16_t port, struct address *address) {
    struct in_addr  in;
    struct in6_addr in6;
    *address = (struct address){0};
    if (inet_pton(AF_INET, ip, &in) == 1) {
        set_in(address, in, port);
        return true;
    }
    if (inet_pton(AF_INET6, ip, &in6) != 1) return false;
    set_in6(address, in6, port);
    return true;
}

void address_write(const struct address *address, char *out) {
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->socket.ss_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&address->socket;
        snprintf(out, SOCKET_ADDRESS_BYTES_MAX, "unix:%s", un->sun_path);
    } else if (address->socket.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&address->socket;
        (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(out, SOCKET_ADDRESS_BYTES_MAX, "%s:%u", host, ntohs(in->sin_port));
    } else {
        const struct sockaddr_in6 *in6 =
            (const struct sockaddr_in6 *)(const void *)&address->socket;
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(out, SOCKET_ADDRESS_BYTES_MAX, "[%s]:%u", host, ntohs(in6->sin6_port));
    }
}

bool address_is_unix(const struct address *address) { return address->socket.ss_family == AF_UNIX; }

unsigned address_port(const struct address *address) {
    if (address_is_unix(address)) return 0;
    if (address->socket.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)&address->socket)->sin_port);
    return ntohs(((const struct sockaddr_in6 *)(const void *)&address->socket)->sin6_port);
}

bool address_is_local(const struct address *address) {
    if (address_is_unix(address)) return true;
    if (address->socket.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&address->socket;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&address->socket;
    return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127);
}

/* ---- listeners ---- */

static const struct sockaddr *sockaddr_of(const struct address *address) {
    return (const struct sockaddr *)(const void *)&address->socket;
}

/* Whether the file at a unix path may be taken away: a socket at which nobody listens any longer. */
static bool is_left_over(const struct address *address, const char *path, char *problem) {
    struct stat about;
    if (lstat(path, &about) != 0) return errno == ENOENT;
    if (!S_ISSOCK(about.st_mode))
        return problem_set(problem,
                           "cannot listen on unix:%s: there is a file that is not a socket; "
                           "name another path, or move the file away",
                           path);

    int  probe   = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool is_dead = probe >= 0 && connect(probe, sockaddr_of(address), address->bytes) != 0 &&
                   errno == ECONNREFUSED;
    if (probe >= 0) close(probe);
    if (!is_dead)
        return problem_set(
            problem,
            "cannot listen on unix:%s: the path is in use by a program that answers there; "
            "stop it, or name another path",
            path);
    return true;
}

static bool bind_unix(int listener, const struct address *address, unsigned mode, char *problem) {
    const char *path = ((const struct sockaddr_un *)(const void *)&address->socket)->sun_path;
    if (bind(listener, sockaddr_of(address), address->bytes) != 0) {
        int why = errno;
        if (why == EADDRINUSE) {
            if (!is_left_over(address, path, problem)) return false;
            (void)unlink(path);
            why = bind(listener, sockaddr_of(address), address->bytes) == 0 ? 0 : errno;
        }
        if (why != 0)
            return problem_set(problem, "cannot listen on unix:%s: %s", path, strerror(why));
    }
    /* Nobody can connect before listen(), so that there is no moment with another mode. */
    if (chmod(path, (mode_t)mode) == 0) return true;
    problem_set(problem, "cannot set the mode of %s: %s", path, strerror(errno));
    (void)unlink(path);
    return false;
}

static bool bind_port(int listener, const struct address *address, char *problem) {
    int on = 1;
    /* So that a server can start while connections of the last one still fade away. */
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, sockaddr_of(address), address->bytes) == 0) return true;

    int  why = errno;
    char text[SOCKET_ADDRESS_BYTES_MAX];
    address_write(address, text);
    switch (why) {
    case EADDRINUSE:
        return problem_set(problem,
                           "cannot listen on %s: the port is in use by another program; stop that "
                           "one, or choose another port with --listen",
                           text);
    case EACCES:
        return problem_set(problem,
                           "cannot listen on %s: ports below 1024 need privileges; choose a higher "
                           "one with --listen",
                           text);
    case EADDRNOTAVAIL:
        return problem_set(problem, "cannot listen on %s: this machine does not have that address",
                           text);
    default: return problem_set(problem, "cannot listen on %s: %s", text, strerror(why));
    }
}

int socket_listen(struct address *address, unsigned unix_mode, char *problem) {
    int listener = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0) {
        problem_set(problem, "cannot make a socket: %s", strerror(errno));
        return -1;
    }
    bool is_bound = address_is_unix(address) ? bind_unix(listener, address, unix_mode, problem)
                                             : bind_port(listener, address, problem);
    if (!is_bound) goto close_listener;

    if (listen(listener, BACKLOG) != 0) {
        char text[SOCKET_ADDRESS_BYTES_MAX];
        address_write(address, text);
        problem_set(problem, "cannot listen on %s: %s%s", text, strerror(errno),
                    errno == EADDRINUSE ? " (the port is in use by another program)" : "");
        goto close_listener;
    }
    if (!address_is_unix(address)) {
        address->bytes = sizeof address->socket;
        (void)getsockname(listener, (struct sockaddr *)(void *)&address->socket, &address->bytes);
    }
    return listener;

close_listener:
    close(listener);
    return -1;
}

void socket_deafen(int listener) { (void)shutdown(listener, SHUT_RDWR); }

void socket_unlisten(int listener, const struct address *address) {
    if (address_is_unix(address)) {
        const char *path = ((const struct sockaddr_un *)(const void *)&address->socket)->sun_path;
        struct stat about;
        /* Another server may have come and put its own file there; ours refuses by now what it
         * would accept. While we listen, a connection to the path reaches us or them: only if
         * nobody else took the path does the file go. */
        int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        close(listener);
        if (probe >= 0) {
            bool is_ours =
                connect(probe, sockaddr_of(address), address->bytes) != 0 && errno == ECONNREFUSED;
            close(probe);
            if (is_ours && lstat(path, &about) == 0 && S_ISSOCK(about.st_mode)) (void)unlink(path);
        }
        return;
    }
    close(listener);
}

/* ---- connections ---- */

static enum socket_outcome outcome_of_accept(int why) {
    switch (why) {
    case EAGAIN: return SOCKET_WAIT;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return SOCKET_FULL;
    /* The peer gave up while it waited, or its network is in trouble: not ours; the next, please. */
    default: return SOCKET_LOST;
    }
}

/* Words leave when they are written: waiting for more (Nagle) would cost a pipelining peer 40 ms.
 * Keepalive finds peers whose machine is gone. Both fail on unix sockets, where neither is needed. */
static void make_prompt(int connection) {
    int on = 1;
    if (setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0)
        (void)setsockopt(connection, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

enum socket_outcome socket_accept(int listener, int *connection) {
    int accepted;
    do {
        accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (accepted < 0 && errno == EINTR);
    if (accepted < 0) return outcome_of_accept(errno);

    make_prompt(accepted);
    *connection = accepted;
    return SOCKET_DONE;
}

int socket_connect(const struct address *address, char *problem) {
    int family     = address->socket.ss_family;
    int connection = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection < 0) {
        problem_set(problem, "cannot make a socket: %s", strerror(errno));
        return -1;
    }
    make_prompt(connection);
    if (connect(connection, sockaddr_of(address), address->bytes) == 0 || errno == EINPROGRESS)
        return connection;
    problem_set(problem, "%s", strerror(errno));
    close(connection);
    return -1;
}

bool socket_connected(int connection, char *problem) {
    int       why   = 0;
    socklen_t bytes = sizeof why;
    if (getsockopt(connection, SOL_SOCKET, SO_ERROR, &why, &bytes) != 0) why = errno;
    return why == 0 || problem_set(problem, "%s", strerror(why));
}

enum socket_outcome socket_read(int connection, char *out, size_t room, size_t *bytes) {
    ssize_t count;
    do {
        count = recv(connection, out, room, 0);
    } while (count < 0 && errno == EINTR);
    *bytes = count > 0 ? (size_t)count : 0;
    if (count > 0) return SOCKET_DONE;
    if (count == 0) return SOCKET_ENDED;
    return errno == EAGAIN ? SOCKET_WAIT : SOCKET_LOST;
}

enum socket_outcome socket_write(int connection, const char *data, size_t bytes, size_t *taken) {
    *taken = 0;
    while (*taken < bytes) {
        ssize_t count = send(connection, data + *taken, bytes - *taken, MSG_NOSIGNAL);
        if (count >= 0) {
            *taken += (size_t)count;
        } else if (errno != EINTR) {
            return errno == EAGAIN ? SOCKET_WAIT : SOCKET_LOST;
        }
    }
    return SOCKET_DONE;
}

void socket_finish(int connection) { (void)shutdown(connection, SHUT_WR); }

void socket_close(int descriptor) { close(descriptor); }

int socket_spare_open(void) { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

uint64_t socket_count_max(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    return limit.rlim_cur;
}
