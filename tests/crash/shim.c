/*
 * Kills the program it is loaded into (LD_PRELOAD) just before or just after a chosen
 * effect on the outside world, and writes down every such effect.
 *
 *   CRASH_LOG=<file>            one line per effect, appended before the effect:
 *                                 rename <n> <new path>
 *                                 fsync <n> <path>             fsync and fdatasync
 *                                 write <n> <path>             pwrite: what SQLite writes
 *                                 send <n> <peer port> <octets>  on connected TCP sockets
 *   CRASH_AT=<kind>:<n>:before  SIGKILL just before the n-th effect of that kind
 *   CRASH_AT=<kind>:<n>:after   SIGKILL just after it
 *
 * Each kind counts from 1. A send is counted when the socket has room for it, so that a
 * retry after EAGAIN does not count twice. Programs started by this one are left alone.
 * Only calls through the C library are seen; a program that makes raw system calls is not.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { RENAME, FSYNC, WRITE, SEND, KINDS };
static const char *const names[KINDS] = { "rename", "fsync", "write", "send" };

static atomic_ulong counts[KINDS];
static char log_path[4096];
static int crash_kind = -1;
static unsigned long crash_number;
static int crash_after;

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("CRASH_LOG");
    const char *at = getenv("CRASH_AT");
    if (log && strlen(log) < sizeof log_path)
        strcpy(log_path, log);
    if (at) {
        char kind[16], when[16];
        if (sscanf(at, "%15[^:]:%lu:%15s", kind, &crash_number, when) == 3)
            for (int i = 0; i < KINDS; i++)
                if (!strcmp(kind, names[i]))
                    crash_kind = i;
        crash_after = crash_kind >= 0 && !strcmp(when, "after");
        if (crash_kind < 0 || (!crash_after && strcmp(when, "before"))) {
            fprintf(stderr, "CRASH_AT=%s cannot be read\n", at);
            _exit(125);
        }
    }
    unsetenv("LD_PRELOAD");
    unsetenv("CRASH_LOG");
    unsetenv("CRASH_AT");
}

static void die(void) {
    /* The whole process, without handlers, flushing or unwinding. */
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

static unsigned long before(enum kind kind, const char *detail) {
    int saved = errno;
    unsigned long number = atomic_fetch_add(&counts[kind], 1) + 1;
    if (log_path[0]) {
        char line[4352];
        int length = snprintf(line, sizeof line, "%s %lu %s\n", names[kind], number, detail);
        /* System calls of our own, so that our own writing is not counted. */
        long fd = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0) {
            syscall(SYS_write, fd, line, (size_t)length);
            syscall(SYS_close, fd);
        }
    }
    if ((int)kind == crash_kind && number == crash_number && !crash_after)
        die();
    errno = saved;
    return number;
}

static void after(enum kind kind, unsigned long number) {
    if ((int)kind == crash_kind && number == crash_number && crash_after)
        die();
}

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (!function)
        _exit(126);
    return function;
}

/* Renames */

#define RENAMED(to, call)                          \
    do {                                           \
        unsigned long number = before(RENAME, to); \
        int result = call;                         \
        after(RENAME, number);                     \
        return result;                             \
    } while (0)

int rename(const char *from, const char *to) { RENAMED(to, REAL(rename)(from, to)); }

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    RENAMED(to, REAL(renameat)(from_dir, from, to_dir, to));
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    RENAMED(to, REAL(renameat2)(from_dir, from, to_dir, to, flags));
}

/* Syncs and writes */

static void path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
}

#define ON_FILE(kind, fd, type, call)                \
    do {                                             \
        char path[4096];                             \
        path_of(fd, path, sizeof path);              \
        unsigned long number = before(kind, path);   \
        type result = call;                          \
        after(kind, number);                         \
        return result;                               \
    } while (0)

int fsync(int fd) { ON_FILE(FSYNC, fd, int, REAL(fsync)(fd)); }
int fdatasync(int fd) { ON_FILE(FSYNC, fd, int, REAL(fdatasync)(fd)); }

ssize_t pwrite(int fd, const void *data, size_t octets, off_t at) {
    ON_FILE(WRITE, fd, ssize_t, REAL(pwrite)(fd, data, octets, at));
}

ssize_t pwrite64(int fd, const void *data, size_t octets, off64_t at) {
    ON_FILE(WRITE, fd, ssize_t, REAL(pwrite64)(fd, data, octets, at));
}

/* Sends */

/* The peer's port when `fd` is a connected TCP socket with room for more, else 0. */
static int tcp_peer(int fd) {
    int saved = errno, type = 0, port = 0;
    socklen_t length = sizeof type;
    struct sockaddr_storage peer;
    socklen_t peer_length = sizeof peer;
    struct pollfd ready = { .fd = fd, .events = POLLOUT };
    if (!getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) && type == SOCK_STREAM
        && !getpeername(fd, (struct sockaddr *)&peer, &peer_length) && poll(&ready, 1, 0) == 1) {
        if (peer.ss_family == AF_INET)
            port = ntohs(((struct sockaddr_in *)&peer)->sin_port);
        else if (peer.ss_family == AF_INET6)
            port = ntohs(((struct sockaddr_in6 *)&peer)->sin6_port);
    }
    errno = saved;
    return port;
}

static size_t total(const struct iovec *parts, size_t count) {
    size_t octets = 0;
    for (size_t i = 0; i < count; i++)
        octets += parts[i].iov_len;
    return octets;
}

#define SENT(fd, octets, call)                                             \
    do {                                                                   \
        int port = tcp_peer(fd);                                           \
        if (!port)                                                         \
            return call;                                                   \
        char detail[64];                                                   \
        snprintf(detail, sizeof detail, "%d %zu", port, (size_t)(octets)); \
        unsigned long number = before(SEND, detail);                       \
        ssize_t result = call;                                             \
        after(SEND, number);                                               \
        return result;                                                     \
    } while (0)

ssize_t write(int fd, const void *data, size_t octets) { SENT(fd, octets, REAL(write)(fd, data, octets)); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    SENT(fd, total(parts, (size_t)count), REAL(writev)(fd, parts, count));
}

ssize_t send(int fd, const void *data, size_t octets, int flags) {
    SENT(fd, octets, REAL(send)(fd, data, octets, flags));
}

ssize_t sendto(int fd, const void *data, size_t octets, int flags, const struct sockaddr *to, socklen_t length) {
    SENT(fd, octets, REAL(sendto)(fd, data, octets, flags, to, length));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    SENT(fd, total(message->msg_iov, message->msg_iovlen), REAL(sendmsg)(fd, message, flags));
}
