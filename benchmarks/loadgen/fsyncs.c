/* fsyncs.so: counts a process's fsync and fdatasync calls, to be preloaded into a measured server.
 *
 * The counts are two 64-bit numbers in the file that FSYNCS_FILE names, shared by memory, so that
 * they can be read while the server runs and counting costs it nothing (strace doubles its time).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t uncounted[2];
static uint64_t *counted = uncounted; /* fsync, fdatasync */

__attribute__((constructor)) static void share_counts(void)
{
    const char *path = getenv("FSYNCS_FILE");
    int file = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file < 0)
        return;
    if (ftruncate(file, sizeof uncounted) == 0) {
        void *shared = mmap(NULL, sizeof uncounted, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (shared != MAP_FAILED)
            counted = shared;
    }
    close(file);
}

int fsync(int file)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    __atomic_fetch_add(&counted[0], 1, __ATOMIC_RELAXED);
    return real(file);
}

int fdatasync(int file)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    __atomic_fetch_add(&counted[1], 1, __ATOMIC_RELAXED);
    return real(file);
}
