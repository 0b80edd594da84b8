/* The memory of the token table. See the header. */
#include "page/table_memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES_PER_TOKEN    600 /* what token_table.h promises */
#define CAPACITY_MAX_FLOOR 1000000u
#define CAPACITY_MAX_CEIL  400000000u /* pool indices are 32 bits */
#define GROWTH_SHARE       8
#define GROWTH_MIN         1024u
#define HUGE_PAGE          ((size_t)TABLE_HUGE_PAGE)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

static uint32_t capacity_for_machine(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    uint64_t tokens = bytes / BYTES_PER_TOKEN;
    if (tokens < CAPACITY_MAX_FLOOR)
        return CAPACITY_MAX_FLOOR;
    return tokens > CAPACITY_MAX_CEIL ? CAPACITY_MAX_CEIL : (uint32_t)tokens;
}

static size_t page_size(void)
{
    return (size_t)getpagesize(); /* which, unlike sysconf(), cannot fail */
}

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Address space that begins where a huge page can. MAP_FAILED with errno. */
static char *reserve(size_t size)
{
    char *start =
        mmap(NULL, size + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return MAP_FAILED;
    char *base = start + (HUGE_PAGE - (uintptr_t)start % HUGE_PAGE) % HUGE_PAGE;
    if (base > start)
        munmap(start, (size_t)(base - start));
    munmap(base + size, (size_t)(start + HUGE_PAGE - base));
    return base;
}

/* An address that is good for small pages only would keep this process from huge ones. */
static void *map_file(size_t size, int protection, int fd)
{
    size_t whole = round_up(size, page_size());
    char *reserved = reserve(whole);
    if (reserved == MAP_FAILED)
        return MAP_FAILED;
    void *base = mmap(reserved, size, protection, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
    if (base == MAP_FAILED) {
        int error = errno;
        munmap(reserved, whole);
        errno = error;
    }
    return base;
}

/* Backs a range of the file with memory, whole pages, and maps it at one go: a fault for each page
 * takes several times as long, above all in a virtual machine. Where that can't be done it comes by
 * faults. */
static bool back_range(const struct table_memory *memory, size_t offset, size_t length)
{
    size_t page = page_size();
    size_t from = offset / page * page;
    size_t to = round_up(offset + length, page);
    if (length == 0)
        return true;
    int result;
    do
        result = posix_fallocate(memory->fd, (off_t)from, (off_t)(to - from));
    while (result == EINTR);
    if (result == 0)
        (void)madvise((char *)memory->base + from, to - from, MADV_POPULATE_WRITE);
    errno = result;
    return result == 0;
}

static bool back_capacity(struct table_memory *memory, uint32_t capacity)
{
    struct table_range ranges[TABLE_RANGES];
    size_t count = token_table_ranges(memory->table, capacity, ranges);
    for (size_t i = 0; i < count; i++)
        if (!back_range(memory, ranges[i].offset, ranges[i].length))
            return false;
    token_table_set_capacity(memory->table, capacity);
    return true;
}

/* Address space may be limited (ulimit -v, a container): then for fewer tokens. */
static uint32_t map_reserved(struct table_memory *memory)
{
    for (uint32_t most = capacity_for_machine(); most >= CAPACITY_MAX_FLOOR / 8; most /= 2) {
        size_t size = token_table_reserve_size(most);
        if (ftruncate(memory->fd, (off_t)size) != 0)
            continue;
        void *base = map_file(size, PROT_READ | PROT_WRITE, memory->fd);
        if (base != MAP_FAILED) {
            memory->base = base;
            memory->size = size;
            return most;
        }
    }
    return 0;
}

static bool make_table(struct table_memory *memory, uint32_t capacity, uint32_t most)
{
    uint64_t key = 0;
    if (!back_range(memory, 0, token_table_header_size()) ||
        getrandom(&key, sizeof key, 0) != sizeof key)
        return false;
    memory->table = token_table_init(memory->base, most, key);
    if (capacity < GROWTH_MIN)
        capacity = GROWTH_MIN;
    return back_capacity(memory, capacity < most ? capacity : most);
}

bool table_memory_init(struct table_memory *memory, uint32_t capacity, int *error)
{
    *memory = (struct table_memory){
        .fd = memfd_create("moonwatch-tokens", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    if (memory->fd < 0)
        goto fail;
    uint32_t most = map_reserved(memory);
    if (most == 0 || !make_table(memory, capacity, most))
        goto fail;
    /* Nobody can cut it under the feet of those who map it. */
    if (fcntl(memory->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        goto fail;
    return true;
fail:
    *error = errno;
    table_memory_finish(memory);
    return false;
}

static enum err map_existing(struct table_memory *memory, int fd, int protection)
{
    struct stat status;
    *memory = (struct table_memory){.fd = -1};
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0)
        return ERR_IO;
    size_t size = (size_t)status.st_size;
    void *base = map_file(size, protection, fd);
    if (base == MAP_FAILED)
        return errno == ENOMEM ? ERR_NO_MEMORY : ERR_IO;
    *memory = (struct table_memory){.fd = fd, .base = base, .size = size};
    return OK;
}

enum err table_memory_attach(struct table_memory *memory, int fd, enum table_fault *fault)
{
    *fault = TABLE_SOUND;
    enum err err = map_existing(memory, fd, PROT_READ | PROT_WRITE);
    if (err != OK)
        return err;
    *fault = table_check_header(memory->base, memory->size);
    if (*fault != TABLE_SOUND)
        return ERR_CORRUPT;
    memory->table = memory->base;
    return OK;
}

enum err table_memory_attach_shared(struct table_memory *memory, int fd, enum table_fault *fault)
{
    *fault = TABLE_SOUND;
    enum err err = map_existing(memory, fd, PROT_READ);
    if (err != OK)
        return err;
    *fault = table_check_constants(memory->base, memory->size);
    if (*fault == TABLE_SOUND) {
        memory->table = memory->base;
        return OK;
    }
    munmap(memory->base, memory->size);
    *memory = (struct table_memory){.fd = -1};
    return ERR_CORRUPT;
}

enum err table_memory_reset(struct table_memory *memory, uint32_t capacity)
{
    uint32_t most = token_table_capacity_for(memory->size);
    size_t header = token_table_header_size();
    if (most < CAPACITY_MAX_FLOOR / 8)
        return ERR_INVALID; /* we make none so small */
    token_table_retire(memory->base);
    if (fallocate(memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)header,
                  (off_t)(memory->size - header)) != 0)
        return ERR_IO;
    return make_table(memory, capacity, most) ? OK : ERR_NO_MEMORY;
}

int table_memory_reader_fd(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

bool table_memory_grow(struct table_memory *memory, uint32_t at_least)
{
    uint32_t now = token_table_capacity(memory->table);
    uint32_t most = token_table_capacity_max(memory->table);
    uint32_t more = now / GROWTH_SHARE;
    if (more < GROWTH_MIN)
        more = GROWTH_MIN;
    if (more < at_least)
        more = at_least;
    if (now == most) {
        errno = ENOMEM;
        return false;
    }
    return back_capacity(memory, more > most - now ? most : now + more);
}

enum err table_memory_collapse(const struct table_memory *memory, size_t offset)
{
    assert(offset % HUGE_PAGE == 0 && offset + HUGE_PAGE <= memory->size);
    if (madvise((char *)memory->base + offset, HUGE_PAGE, MADV_COLLAPSE) == 0)
        return OK;
    return errno == EINVAL || errno == ENOSYS || errno == EPERM ? ERR_INVALID : ERR_UNAVAILABLE;
}

void table_memory_finish(struct table_memory *memory)
{
    if (memory->base != NULL)
        munmap(memory->base, memory->size);
    if (memory->fd >= 0)
        close(memory->fd);
    *memory = (struct table_memory){.fd = -1};
}
