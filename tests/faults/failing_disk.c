/* A disk that fails when it is told to: where the folder $AUREA_FAULTS holds a file named after a call, the call fails with
   the error number that the file holds. Loaded with LD_PRELOAD in front of SQLite's calls. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(const char *call) {
    const char *folder = getenv("AUREA_FAULTS");
    char path[4096];
    int number = 0;
    if (folder == NULL) return 0;
    snprintf(path, sizeof path, "%s/%s", folder, call);
    FILE *file = fopen(path, "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%d", &number) != 1) number = EIO;
    fclose(file);
    errno = number;
    return 1;
}

int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    return fails("sync") ? -1 : real(fd);
}

int fdatasync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    return fails("sync") ? -1 : real(fd);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at) {
    ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");
    return fails("write") ? -1 : real(fd, data, n, at);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    return fails("write") ? -1 : real(fd, data, n, at);
}
