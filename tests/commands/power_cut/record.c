/* Records what a program does to the files below a folder, so that a power cut can be played afterwards.
 *
 * Loaded with LD_PRELOAD. Every change is done and written down under one lock, in the order in which it happened:
 *   C ino path        a file was made          M ino path   a folder was made
 *   W ino offset len  and len bytes            T ino size   a file was cut or grown
 *   S ino             fsync or fdatasync       R old\tnew    a rename
 *   U path            a file was removed       D path       a folder was removed
 *   L old\tnew        a file got another name
 * POWER_CUT_ROOT names the folder, POWER_CUT_LOG the record. POWER_CUT_FORGET makes the syncs of "files" or "folders" that
 * are not the program's own books count for nothing: so it is tested that a program which forgets them would be found out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static char root[PATH_MAX];
static size_t root_len;
static FILE *out;
static const char *forget = "";

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("POWER_CUT_ROOT"), *log = getenv("POWER_CUT_LOG");
    if (!folder || !log) return;
    snprintf(root, sizeof root, "%s", folder);
    root_len = strlen(root);
    int fd = (int)REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    out = fdopen(fd, "a");
    if (getenv("POWER_CUT_FORGET")) forget = getenv("POWER_CUT_FORGET");
    unsetenv("LD_PRELOAD");
}

static int below(const char *path) {
    return out && !strncmp(path, root, root_len) && (path[root_len] == '/' || !path[root_len]);
}

/* The whole path of `path` as seen from the folder `at`. */
static const char *whole(int at, const char *path, char *buffer) {
    char folder[PATH_MAX];
    if (path[0] == '/') return path;
    if (at == AT_FDCWD) {
        if (!getcwd(folder, sizeof folder)) return path;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t n = readlink(link, folder, sizeof folder - 1);
        if (n < 0) return path;
        folder[n] = 0;
    }
    return snprintf(buffer, PATH_MAX, "%s/%s", folder, path) < PATH_MAX ? buffer : path;
}

static int fd_path(int fd, struct stat *st, char *path) {
    char link[64];
    if (!out || fstat(fd, st)) return 0;
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return below(path);
}

static int fd_below(int fd, struct stat *st) {
    char path[PATH_MAX];
    return fd_path(fd, st, path);
}

static int open_at(int at, const char *path, int flags, mode_t mode) {
    char buffer[PATH_MAX];
    const char *name = whole(at, path, buffer);
    if (!below(name) || !(flags & (O_CREAT | O_TRUNC))) return REAL(openat)(at, path, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat st;
    int there = !stat(name, &st);
    int fd = REAL(openat)(at, path, flags, mode), error = errno;
    if (fd >= 0 && !fstat(fd, &st)) {
        if (!there) fprintf(out, "C %lu %s\n", st.st_ino, name);
        else if (flags & O_TRUNC) fprintf(out, "T %lu 0\n", st.st_ino);
        fflush(out);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define MODE(last) mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, last); mode = va_arg(rest, mode_t); va_end(rest); }
int open(const char *path, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return open_at(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return open_at(at, path, flags | O_LARGEFILE, mode); }
int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

static void wrote(unsigned long ino, off_t at, const void *bytes, ssize_t n) {
    fprintf(out, "W %lu %ld %zd\n", ino, (long)at, n);
    fwrite(bytes, 1, (size_t)n, out);
    fflush(out);
}

static ssize_t write_at(int fd, const void *bytes, size_t count, off_t at) {
    struct stat st;
    if (!fd_below(fd, &st)) return at < 0 ? REAL(write)(fd, bytes, count) : REAL(pwrite64)(fd, bytes, count, at);
    pthread_mutex_lock(&lock);
    off_t where = at;
    if (at < 0) {
        fstat(fd, &st);
        where = fcntl(fd, F_GETFL) & O_APPEND ? st.st_size : lseek(fd, 0, SEEK_CUR);
    }
    ssize_t n = at < 0 ? REAL(write)(fd, bytes, count) : REAL(pwrite64)(fd, bytes, count, at);
    int error = errno;
    if (n > 0) wrote(st.st_ino, where, bytes, n);
    pthread_mutex_unlock(&lock);
    errno = error;
    return n;
}

ssize_t write(int fd, const void *bytes, size_t count) { return write_at(fd, bytes, count, -1); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return write_at(fd, bytes, count, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) { return write_at(fd, bytes, count, at); }
ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct stat st;
    if (!fd_below(fd, &st)) return REAL(writev)(fd, parts, count);
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t n = write_at(fd, parts[i].iov_base, parts[i].iov_len, -1);
        if (n < 0) return total ? total : n;
        total += n;
        if ((size_t)n < parts[i].iov_len) break;
    }
    return total;
}

static int resize(int fd, off_t size) {
    struct stat st;
    pthread_mutex_lock(&lock);
    int done = REAL(ftruncate64)(fd, size), error = errno;
    if (!done && fd_below(fd, &st)) fprintf(out, "T %lu %ld\n", st.st_ino, (long)size), fflush(out);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int ftruncate(int fd, off_t size) { return resize(fd, size); }
int ftruncate64(int fd, off64_t size) { return resize(fd, size); }

static int synced(int fd, int done, int error) {
    struct stat st;
    char path[PATH_MAX];
    if (!done && fd_path(fd, &st, path)) {
        int folder = S_ISDIR(st.st_mode);
        int books = strstr(path, "sqlite") || strstr(path, "jsonl") || strstr(path, "objects-at") || (folder && strstr(path, ".firstlight"));
        if (books || strcmp(forget, folder ? "folders" : "files")) fprintf(out, "S %lu\n", st.st_ino), fflush(out);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int fsync(int fd) { pthread_mutex_lock(&lock); int done = REAL(fsync)(fd); return synced(fd, done, errno); }
int fdatasync(int fd) { pthread_mutex_lock(&lock); int done = REAL(fdatasync)(fd); return synced(fd, done, errno); }

static int renamed(int from, const char *old, int to, const char *new, unsigned flags) {
    char a[PATH_MAX], b[PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *old_name = whole(from, old, a), *new_name = whole(to, new, b);
    int done = REAL(renameat2)(from, old, to, new, flags), error = errno;
    if (!done && below(new_name)) fprintf(out, "R %s\t%s\n", old_name, new_name), fflush(out);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int rename(const char *old, const char *new) { return renamed(AT_FDCWD, old, AT_FDCWD, new, 0); }
int renameat(int from, const char *old, int to, const char *new) { return renamed(from, old, to, new, 0); }
int renameat2(int from, const char *old, int to, const char *new, unsigned flags) { return renamed(from, old, to, new, flags); }

static int linked(int from, const char *old, int to, const char *new, int flags) {
    char a[PATH_MAX], b[PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *old_name = whole(from, old, a), *new_name = whole(to, new, b);
    int done = REAL(linkat)(from, old, to, new, flags), error = errno;
    if (!done && below(new_name)) fprintf(out, "L %s\t%s\n", old_name, new_name), fflush(out);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int link(const char *old, const char *new) { return linked(AT_FDCWD, old, AT_FDCWD, new, 0); }
int linkat(int from, const char *old, int to, const char *new, int flags) { return linked(from, old, to, new, flags); }

static int removed(int at, const char *path, int flags) {
    char buffer[PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *name = whole(at, path, buffer);
    int done = REAL(unlinkat)(at, path, flags), error = errno;
    if (!done && below(name)) fprintf(out, "%c %s\n", flags & AT_REMOVEDIR ? 'D' : 'U', name), fflush(out);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return removed(at, path, flags); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }

static int made(int at, const char *path, mode_t mode) {
    char buffer[PATH_MAX];
    struct stat st;
    pthread_mutex_lock(&lock);
    const char *name = whole(at, path, buffer);
    int done = REAL(mkdirat)(at, path, mode), error = errno;
    if (!done && below(name) && !stat(name, &st)) fprintf(out, "M %lu %s\n", st.st_ino, name), fflush(out);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int mkdir(const char *path, mode_t mode) { return made(AT_FDCWD, path, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return made(at, path, mode); }
