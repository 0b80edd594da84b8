/* The memory of the token table. See the header. */
#include "page/table_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES_PER_TOKEN    600 /* what token_table.h promises */
#define CAPACITY_MAX_FLOOR 1000000u
#define CAPACITY_MAX_CEIL  400000000u /* pool indices are 32 bits */
#define GROWTH_SHARE       8
#define GROWTH_MIN         1024u

static uint32_t capacity_for_machine(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    uint64_t tokens = bytes / BYTES_PER_TOKEN;
    if (tokens < CAPACITY_MAX_FLOOR)
        return CAPACITY_MAX_FLOOR;
    return tokens > CAPACITY_MAX_CEIL ? CAPACITY_MAX_CEIL : (uint32_t)tokens;
}

/* Backs a range of the file with memory, whole pages. */
static bool back_range(const struct table_memory *memory, size_t offset, size_t length)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t from = offset / page * page;
    size_t to = (offset + length + page - 1) / page * page;
    if (length == 0)
        return true;
    int result;
    do
        result = posix_fallocate(memory->fd, (off_t)from, (off_t)(to - from));
    while (result == EINTR);
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
        void *base =
            mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memory->fd, 0);
        if (base != MAP_FAILED) {
            memory->base = base;
            memory->size = size;
            return most;
        }
    }
    return 0;
}

bool table_memory_init(struct table_memory *memory, uint32_t capacity, int *error)
{
    uint64_t key = 0;
    *memory = (struct table_memory){.fd = memfd_create("moonwatch-tokens", MFD_CLOEXEC)};
    if (memory->fd < 0)
        goto fail;
    uint32_t most = map_reserved(memory);
    if (most == 0 || !back_range(memory, 0, token_table_header_size()))
        goto fail;
    if (getrandom(&key, sizeof key, 0) != sizeof key)
        goto fail;
    memory->table = token_table_init(memory->base, most, key);
    if (!back_capacity(memory, capacity < GROWTH_MIN ? GROWTH_MIN : capacity))
        goto fail;
    return true;
fail:
    *error = errno;
    table_memory_finish(memory);
    return false;
}

/* All of the address space at once: what is added later is seen without mapping anything again. */
bool table_memory_attach_shared(struct table_memory *memory, int fd, int *error)
{
    struct stat file = {0};
    *memory = (struct table_memory){.fd = -1};
    bool is_file = fstat(fd, &file) == 0;
    size_t size = is_file ? (size_t)file.st_size : 0;
    if (!is_file || size < token_table_header_size()) {
        *error = is_file ? EINVAL : errno;
        return false;
    }
    void *base = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (base == MAP_FAILED) {
        *error = errno;
        return false;
    }
    if (!token_table_is_ours(base, size)) {
        munmap(base, size);
        *error = EINVAL;
        return false;
    }
    *memory = (struct table_memory){.fd = fd, .base = base, .size = size, .table = base};
    return true;
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

void table_memory_finish(struct table_memory *memory)
{
    if (memory->base != NULL)
        munmap(memory->base, memory->size);
    if (memory->fd >= 0)
        close(memory->fd);
    *memory = (struct table_memory){.fd = -1};
}

bool table_memory_attach(struct table_memory *memory, int fd, int *error)
{
    off_t size = lseek(fd, 0, SEEK_END);
    void *base = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    *error = errno;
    if (base == MAP_FAILED)
        return false;
    *memory = (struct table_memory){.fd = fd, .base = base, .size = (size_t)size, .table = base};
    return true;
}
bool table_memory_copy(struct table_memory *memory, int from_fd)
{
    (void)memory, (void)from_fd;
    return true;
}
