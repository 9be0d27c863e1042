/*
 * Loaded before the C library (LD_PRELOAD): one allocation of the process fails, the n-th from a
 * moment on that the test chooses. Both sides map the file that FAIL_MALLOC_FILE names: the test
 * writes how many allocations are left until the one that fails (0 = none), and reads how many
 * there were and how many failed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);

struct tally {
    int64_t left;
    int64_t seen;
    int64_t failed;
};

static struct tally *tally;

__attribute__((constructor)) static void open_tally(void)
{
    const char *path = getenv("FAIL_MALLOC_FILE");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    tally = mapped != MAP_FAILED ? mapped : NULL;
    close(fd);
}

static int fails(void)
{
    if (tally == NULL)
        return 0;
    __atomic_fetch_add(&tally->seen, 1, __ATOMIC_RELAXED);
    if (__atomic_load_n(&tally->left, __ATOMIC_RELAXED) <= 0 ||
        __atomic_sub_fetch(&tally->left, 1, __ATOMIC_RELAXED) != 0)
        return 0;
    __atomic_fetch_add(&tally->failed, 1, __ATOMIC_RELAXED);
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    return fails() ? NULL : __libc_realloc(block, size);
}
