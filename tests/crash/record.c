/* Loaded before libc into a server under test: writes down, with its bytes and in order, all that
 * the process does to files below one folder, and makes the disk fail or wait when it is told to.
 *
 * LINGDA_DISK_UNDER    the folder
 * LINGDA_DISK_RECORD   the record, appended to; none is kept without it
 * LINGDA_DISK_CONTROL  a file that holds `struct control`, changed by the test while we run
 *
 * A write is in the record once it is done. A sync is in it twice, as it begins and once it has
 * returned: it covers what was written before it began, and that is sure after it returned.
 * Stores into mapped memory are not seen: SQLite maps only its index of the log, which it rebuilds.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 65536
#define ON_WRITE 1
#define ON_SYNC 2

/* What the disk does, and what it has done: counted from when the test set it to 0. */
struct control {
    int32_t error;   /* errno to fail with; 0 is a good disk */
    int32_t on;      /* ON_WRITE, ON_SYNC or both */
    int64_t from;    /* the first call that fails, counted from 1 */
    int64_t times;   /* how many fail; 0 is all from then on */
    int64_t sync_ms; /* how much longer each sync takes */
    int64_t calls;   /* how many came that could have failed */
    int64_t faults;  /* how many did */
    int64_t writes;
    int64_t syncs;
};

static struct control none, *control = &none;
static char under[PATH_MAX];
static size_t under_length;
static int record = -1;
static unsigned char tracked[FILES_MAX];
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static ssize_t really_write(int fd, const void *data, size_t size)
{
    REAL(write);
    return real(fd, data, size);
}

/* Every process of a test opens the same files, so that one record has them all in order. */
__attribute__((constructor)) static void begin(void)
{
    const char *folder = getenv("LINGDA_DISK_UNDER");
    const char *path = getenv("LINGDA_DISK_RECORD");
    const char *told = getenv("LINGDA_DISK_CONTROL");
    if (!folder) return;
    if (path) record = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int fd = told ? open(told, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED) control = map;
        close(fd);
    }
    if ((path && record < 0) || (told && control == &none)) {
        perror("record.c");
        _exit(97);
    }
    snprintf(under, sizeof under, "%s", folder);
    under_length = strlen(under);
}

/* --- The record --------------------------------------------------------------------------- */

struct line {
    uint32_t size;   /* of all that follows it */
    uint32_t first;  /* of `first`; the rest is `second` */
    int32_t pid;
    int32_t fd;
    int64_t number;
    char kind;
} __attribute__((packed));

static void note(char kind, int fd, int64_t number, const char *first, const void *second, size_t n)
{
    if (record < 0) return;
    size_t length = first ? strlen(first) : 0;
    struct line line = {sizeof line - 4 + length + n, length, getpid(), fd, number, kind};
    struct iovec parts[3] = {{&line, sizeof line}, {(void *)first, length}, {(void *)second, n}};
    REAL(writev);
    if (real(record, parts, 3) != (ssize_t)(sizeof line + length + n)) {
        perror("record.c");
        _exit(97); /* A record with a hole proves nothing. */
    }
}

/* --- Which files are ours ----------------------------------------------------------------- */

static int below(const char *path)
{
    return under_length && strncmp(path, under, under_length) == 0 &&
           (path[under_length] == '/' || path[under_length] == 0);
}

/* The whole path, in `out`; 0 when it is not below the folder. */
static int ours(int folder, const char *path, char *out)
{
    if (!under_length || !path) return 0;
    char base[PATH_MAX] = "";
    if (path[0] == '/') {
        snprintf(out, PATH_MAX, "%s", path);
    } else {
        if (folder == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t n = readlink(link, base, sizeof base - 1);
            if (n < 0) return 0;
            base[n] = 0;
        }
        if (strlen(base) + strlen(path) + 2 > PATH_MAX) return 0;
        strcpy(out, base);
        strcat(out, "/");
        strcat(out, path);
    }
    return below(out);
}

static int is_ours(int fd) { return fd >= 0 && fd < FILES_MAX && tracked[fd]; }

/* --- Faults ------------------------------------------------------------------------------- */

/* Whether this call fails, with errno set; 2 when it writes half of `size` first, as a disk that
 * fills up does. Held under the lock. */
static int fails(int on, size_t size)
{
    if (on == ON_WRITE) control->writes++;
    if (on == ON_SYNC) control->syncs++;
    if (!control->error || !(control->on & on)) return 0;
    control->calls++;
    if (control->calls < control->from) return 0;
    if (control->times && control->faults >= control->times) return 0;
    if (control->error == ENOSPC && control->calls == control->from && size > 1) return 2;
    control->faults++;
    errno = control->error;
    return 1;
}

/* --- Opening and closing ------------------------------------------------------------------ */

static int opened(int folder, const char *path, int flags, mode_t mode)
{
    static int (*real)(int, const char *, int, ...);
    if (!real) real = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat");
    char whole[PATH_MAX];
    if (!ours(folder, path, whole)) return real(folder, path, flags, mode);
    pthread_mutex_lock(&one);
    int fresh = (flags & O_CREAT) && access(whole, F_OK) != 0;
    int fd = -1;
    if (!fresh || !fails(ON_WRITE, 0)) fd = real(folder, path, flags, mode);
    if (fd >= 0 && fd < FILES_MAX) {
        tracked[fd] = 1;
        note('o', fd, flags, whole, NULL, 0);
    }
    pthread_mutex_unlock(&one);
    return fd;
}

#define MODE(flags, mode) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...)
{
    MODE(flags, mode)
    return opened(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE(flags, mode)
    return opened(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    MODE(flags, mode)
    return opened(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
    MODE(flags, mode)
    return opened(folder, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
    return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int creat64(const char *path, mode_t mode) { return creat(path, mode); }
int __open_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __openat_2(int at, const char *path, int flags) { return opened(at, path, flags, 0); }
int __openat64_2(int at, const char *path, int flags) { return opened(at, path, flags, 0); }

int close(int fd)
{
    REAL(close);
    if (!is_ours(fd)) return real(fd);
    pthread_mutex_lock(&one);
    tracked[fd] = 0;
    note('c', fd, 0, NULL, NULL, 0);
    int done = real(fd);
    pthread_mutex_unlock(&one);
    return done;
}

/* --- Writing ------------------------------------------------------------------------------ */

/* A number below 0 is wherever the file stands. */
static ssize_t wrote(int fd, const void *data, size_t size, off64_t at)
{
    static ssize_t (*there)(int, const void *, size_t, off64_t);
    if (!there)
        there = (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    pthread_mutex_lock(&one);
    ssize_t done = -1;
    int bad = fails(ON_WRITE, size);
    if (bad != 1) {
        size_t now = bad == 2 ? size / 2 : size;
        done = at < 0 ? really_write(fd, data, now) : there(fd, data, now, at);
    }
    if (done > 0) {
        off64_t from = at < 0 ? lseek64(fd, 0, SEEK_CUR) - done : at;
        note('w', fd, from, NULL, data, done);
    }
    pthread_mutex_unlock(&one);
    return done;
}

ssize_t write(int fd, const void *data, size_t size)
{
    return is_ours(fd) ? wrote(fd, data, size, -1) : really_write(fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    REAL(pwrite64);
    return is_ours(fd) ? wrote(fd, data, size, at) : real(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return pwrite64(fd, data, size, at);
}

/* Several parts are written one by one: what a single call may do, a power cut may leave. */
static ssize_t wrote_parts(int fd, const struct iovec *parts, int count, off64_t at)
{
    ssize_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = wrote(fd, parts[i].iov_base, parts[i].iov_len, at < 0 ? at : at + sum);
        if (done < 0) return sum ? sum : done;
        sum += done;
        if ((size_t)done < parts[i].iov_len) break;
    }
    return sum;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    return is_ours(fd) ? wrote_parts(fd, parts, count, -1) : real(fd, parts, count);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    REAL(pwritev64);
    return is_ours(fd) ? wrote_parts(fd, parts, count, at) : real(fd, parts, count, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    return pwritev64(fd, parts, count, at);
}

ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t at, int flags)
{
    REAL(pwritev64v2);
    return is_ours(fd) ? wrote_parts(fd, parts, count, at) : real(fd, parts, count, at, flags);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags)
{
    return pwritev64v2(fd, parts, count, at, flags);
}

/* Copies through a buffer, so that what was copied is known. */
static ssize_t copied(int out, int in, off64_t *from, size_t size)
{
    char buffer[65536];
    if (size > sizeof buffer) size = sizeof buffer;
    ssize_t got = from ? pread64(in, buffer, size, *from) : read(in, buffer, size);
    if (got <= 0) return got;
    ssize_t done = wrote(out, buffer, got, -1);
    if (from && done > 0) *from += done;
    if (!from && done < got) lseek64(in, (done > 0 ? done : 0) - got, SEEK_CUR);
    return done;
}

ssize_t sendfile64(int out, int in, off64_t *from, size_t size)
{
    REAL(sendfile64);
    return is_ours(out) ? copied(out, in, from, size) : real(out, in, from, size);
}

ssize_t sendfile(int out, int in, off_t *from, size_t size)
{
    return sendfile64(out, in, from, size);
}

/* Says that it cannot be done here: whoever asks then writes. */
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags)
{
    REAL(copy_file_range);
    if (!is_ours(out)) return real(in, from, out, to, size, flags);
    errno = EXDEV;
    return -1;
}

int ftruncate64(int fd, off64_t size)
{
    REAL(ftruncate64);
    if (!is_ours(fd)) return real(fd, size);
    pthread_mutex_lock(&one);
    int done = fails(ON_WRITE, 0) ? -1 : real(fd, size);
    if (!done) note('t', fd, size, NULL, NULL, 0);
    pthread_mutex_unlock(&one);
    return done;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int fallocate64(int fd, int mode, off64_t at, off64_t size)
{
    REAL(fallocate64);
    if (!is_ours(fd)) return real(fd, mode, at, size);
    errno = EOPNOTSUPP;
    return -1;
}

int fallocate(int fd, int mode, off_t at, off_t size) { return fallocate64(fd, mode, at, size); }

int posix_fallocate64(int fd, off64_t at, off64_t size)
{
    REAL(posix_fallocate64);
    return is_ours(fd) ? EINVAL : real(fd, at, size);
}

int posix_fallocate(int fd, off_t at, off_t size) { return posix_fallocate64(fd, at, size); }

/* --- Syncing ------------------------------------------------------------------------------ */

static int synced(int fd, int (*real)(int))
{
    static int64_t count;
    pthread_mutex_lock(&one);
    int64_t number = ++count;
    int bad = fails(ON_SYNC, 0), why = errno;
    int64_t wait_ms = control->sync_ms;
    note('b', fd, number, NULL, NULL, 0);
    pthread_mutex_unlock(&one);
    if (wait_ms) {
        struct timespec time = {wait_ms / 1000, wait_ms % 1000 * 1000000};
        nanosleep(&time, NULL);
    }
    int done = bad ? -1 : real(fd);
    if (!bad) why = errno;
    pthread_mutex_lock(&one);
    note(done ? 'e' : 's', fd, number, NULL, NULL, 0);
    pthread_mutex_unlock(&one);
    errno = why;
    return done;
}

int fsync(int fd)
{
    REAL(fsync);
    return is_ours(fd) ? synced(fd, real) : real(fd);
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    return is_ours(fd) ? synced(fd, real) : real(fd);
}

/* --- Names -------------------------------------------------------------------------------- */

static int renamed(int from_at, const char *from, int to_at, const char *to)
{
    REAL(renameat);
    char old[PATH_MAX], fresh[PATH_MAX];
    int mine = ours(from_at, from, old), yours = ours(to_at, to, fresh);
    if (!mine && !yours) return real(from_at, from, to_at, to);
    pthread_mutex_lock(&one);
    int done = fails(ON_WRITE, 0) ? -1 : real(from_at, from, to_at, to);
    if (!done) note('r', -1, 0, mine ? old : from, fresh, strlen(yours ? fresh : to));
    pthread_mutex_unlock(&one);
    return done;
}

int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to); }

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    return renamed(from_at, from, to_at, to);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    REAL(renameat2);
    return flags ? real(from_at, from, to_at, to, flags) : renamed(from_at, from, to_at, to);
}

int unlinkat(int folder, const char *path, int flags)
{
    REAL(unlinkat);
    char whole[PATH_MAX];
    if (!ours(folder, path, whole)) return real(folder, path, flags);
    pthread_mutex_lock(&one);
    int done = real(folder, path, flags);
    if (!done) note('u', -1, 0, whole, NULL, 0);
    pthread_mutex_unlock(&one);
    return done;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int folder, const char *path, mode_t mode)
{
    REAL(mkdirat);
    char whole[PATH_MAX];
    if (!ours(folder, path, whole)) return real(folder, path, mode);
    pthread_mutex_lock(&one);
    int done = fails(ON_WRITE, 0) ? -1 : real(folder, path, mode);
    if (!done) note('d', -1, 0, whole, NULL, 0);
    pthread_mutex_unlock(&one);
    return done;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* Nothing of ours makes a second name for a file; whoever begins to must teach the images it. */
int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
    REAL(linkat);
    char whole[PATH_MAX];
    if (!ours(to_at, to, whole)) return real(from_at, from, to_at, to, flags);
    errno = EPERM;
    return -1;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
