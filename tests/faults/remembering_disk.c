/* Writes down what happens to the files of the folder $AUREA_DISK, in order, in the file $AUREA_JOURNAL: enough to make again
   what would be left of them if the power had failed at any instant. Loaded with LD_PRELOAD.

   A record: one letter, the path's length, the offset, the length of the data (little-endian, 1 + 4 + 8 + 8 bytes), the path,
   the data. W written, T cut to a length, S synced, C created, D a folder synced, R renamed (the data is the new path),
   U removed. Each is one write in append mode, so records of several threads and processes never mix. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

static int journal(void) {
    static int fd = -2;
    if (fd == -2) {
        const char *path = getenv("AUREA_JOURNAL");
        fd = path == NULL ? -1 : REAL(open)(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    }
    return fd;
}

static int ours(const char *path) {
    const char *folder = getenv("AUREA_DISK");
    return folder != NULL && strncmp(path, folder, strlen(folder)) == 0;
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return ours(path);
}

static void note(char what, const char *path, uint64_t at, const void *data, uint64_t n) {
    uint32_t length = strlen(path);
    char *record = malloc(21 + length + n);
    record[0] = what;
    memcpy(record + 1, &length, 4);
    memcpy(record + 5, &at, 8);
    memcpy(record + 13, &n, 8);
    memcpy(record + 21, path, length);
    if (n) memcpy(record + 21 + length, data, n);
    if (REAL(write)(journal(), record, 21 + length + n) < 0) abort();
    free(record);
}

static void written(int fd, off64_t at, const void *data, ssize_t n) {
    char path[PATH_MAX];
    if (n > 0 && path_of(fd, path)) note('W', path, at, data, n);
}

static void synced(int fd) {
    char path[PATH_MAX];
    struct stat what;
    if (path_of(fd, path)) note(fstat(fd, &what) == 0 && S_ISDIR(what.st_mode) ? 'D' : 'S', path, 0, NULL, 0);
}

static void cut(int fd, off64_t length) {
    char path[PATH_MAX];
    if (path_of(fd, path)) note('T', path, length, NULL, 0);
}

ssize_t write(int fd, const void *data, size_t n) {
    off64_t at = lseek64(fd, 0, SEEK_CUR);
    ssize_t done = REAL(write)(fd, data, n);
    if (at >= 0) written(fd, at, data, done);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at) {
    ssize_t done = REAL(pwrite)(fd, data, n, at);
    written(fd, at, data, done);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) {
    ssize_t done = REAL(pwrite64)(fd, data, n, at);
    written(fd, at, data, done);
    return done;
}

int ftruncate(int fd, off_t length) {
    int done = REAL(ftruncate)(fd, length);
    if (done == 0) cut(fd, length);
    return done;
}

int ftruncate64(int fd, off64_t length) {
    int done = REAL(ftruncate64)(fd, length);
    if (done == 0) cut(fd, length);
    return done;
}

int fsync(int fd) {
    int done = REAL(fsync)(fd);
    if (done == 0) synced(fd);
    return done;
}

int fdatasync(int fd) {
    int done = REAL(fdatasync)(fd);
    if (done == 0) synced(fd);
    return done;
}

static int opened(int fd, int flags, int was_there) {
    char path[PATH_MAX];
    if (fd >= 0 && (flags & (O_CREAT | O_TRUNC)) && path_of(fd, path)) {
        if (!was_there) note('C', path, 0, NULL, 0);
        else if (flags & O_TRUNC) note('T', path, 0, NULL, 0);
    }
    return fd;
}

#define OPEN(name)                                                   \
    int name(const char *path, int flags, ...) {                     \
        va_list rest;                                                \
        va_start(rest, flags);                                       \
        int mode = flags & O_CREAT ? va_arg(rest, int) : 0;          \
        va_end(rest);                                                \
        int was_there = access(path, F_OK) == 0;                     \
        return opened(REAL(name)(path, flags, mode), flags, was_there); \
    }
OPEN(open)
OPEN(open64)

int rename(const char *from, const char *to) {
    int done = REAL(rename)(from, to);
    if (done == 0 && ours(from)) note('R', from, 0, to, strlen(to));
    return done;
}

int unlink(const char *path) {
    int done = REAL(unlink)(path);
    if (done == 0 && ours(path)) note('U', path, 0, NULL, 0);
    return done;
}
