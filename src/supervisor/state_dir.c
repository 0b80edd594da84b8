/* See state_dir.h. */
#include "supervisor/state_dir.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_POLL_MS      20
#define SUSPECT_LINE_MAX  128 /* 44 of a mint, 20 each of two instants, three numbers, spaces */
#define SUSPECTS_TEXT_MAX (SUSPECTS_MAX * SUSPECT_LINE_MAX)

static bool refuse(char why[STATE_DIR_WHY_SIZE], const char *what, const char *path)
{
    snprintf(why, STATE_DIR_WHY_SIZE, "the state folder %.200s %s: %s", path, what,
             strerror(errno));
    return false;
}

/* ---- folders ---- */

static void keep_others_out(int fd, const char *path)
{
    struct stat folder = {0};
    fstat(fd, &folder);
    if ((folder.st_mode & 077) == 0)
        return;
    if (fchmod(fd, 0700) == 0)
        log_warning("supervisor", "others had access to the state folder; now they have none",
                    LOG_STRING("folder", path));
    else
        log_warning("supervisor", "others have access to the state folder, and it can't be ended",
                    LOG_STRING("folder", path), LOG_STRING("cause", strerror(errno)));
}

/* Others are kept out, also of one that was there. -1 with errno. */
static int open_folder(int parent, const char *path)
{
    if (mkdirat(parent, path, 0700) != 0 && errno != EEXIST)
        return -1;
    int fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        keep_others_out(fd, path);
    return fd;
}

bool state_dir_open(struct state_dir *dir, const char *path, char why[STATE_DIR_WHY_SIZE])
{
    *dir = (struct state_dir){.fd = -1, .incidents_fd = -1, .lock_fd = -1};
    dir->fd = open_folder(AT_FDCWD, path);
    if (dir->fd < 0)
        return refuse(why, "can't be made or opened", path);
    dir->incidents_fd = open_folder(dir->fd, "incidents");
    if (dir->incidents_fd < 0) {
        refuse(why, "has no room for incidents", path);
        state_dir_close(dir);
        return false;
    }
    return true;
}

static void close_if_open(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void state_dir_close(struct state_dir *dir)
{
    close_if_open(&dir->lock_fd);
    close_if_open(&dir->incidents_fd);
    close_if_open(&dir->fd);
}

/* ---- the lock ---- */

struct owner {
    pid_t pid;
    int64_t started_at; /* in clock ticks since boot; 0: unknown */
};

/* The number at the beginning of `text`, what follows it being none of its. */
static bool parse_number(const char *text, int64_t *out)
{
    return text_parse_int(text, strspn(text, "0123456789"), out);
}

/* What stands `count` spaces further on; "" when there are fewer. */
static const char *skip_fields(const char *text, int count)
{
    for (int i = 0; i < count; i++) {
        const char *space = strchr(text, ' ');
        text = space != NULL ? space + 1 : "";
    }
    return text;
}

/* Fields 3 and 22 of /proc/PID/stat (proc(5)); the name before them may hold anything. */
static bool parse_stat(const char *text, char *state, int64_t *started_at)
{
    const char *behind_name = strrchr(text, ')');
    if (behind_name == NULL)
        return false;
    *state = *skip_fields(behind_name, 1);
    return parse_number(skip_fields(behind_name, 20), started_at);
}

static size_t read_start_of(int folder, const char *path, char *out, size_t size)
{
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, out, size - 1) : 0;
    if (fd >= 0)
        close(fd);
    out[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0;
}

/* The process with this id now; false: there is none, or only what a parent has not buried. */
static bool find_process(pid_t pid, struct owner *out)
{
    char path[64], text[1024], state = '\0';
    *out = (struct owner){.pid = pid};
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    read_start_of(AT_FDCWD, path, text, sizeof text);
    return parse_stat(text, &state, &out->started_at) && state != 'Z';
}

static bool read_owner(const struct state_dir *dir, struct owner *out)
{
    char text[64];
    int64_t pid;
    read_start_of(dir->fd, "lock", text, sizeof text);
    if (!parse_number(text, &pid) || pid <= 0 || pid > INT_MAX ||
        !parse_number(skip_fields(text, 1), &out->started_at))
        return false;
    out->pid = (pid_t)pid;
    return true;
}

static bool is_alive(const struct owner *owner)
{
    struct owner now;
    return find_process(owner->pid, &now) && now.started_at == owner->started_at;
}

static bool write_owner(int fd)
{
    struct owner own;
    char text[64];
    find_process(getpid(), &own);
    int length = snprintf(text, sizeof text, "%d %" PRId64 "\n", (int)own.pid, own.started_at);
    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)length, 0) == length;
}

static void wait_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = LOCK_POLL_MS * 1000000}, NULL);
}

/* One attempt; false with errno EWOULDBLOCK while somebody else has it. */
static bool try_lock(int fd)
{
    while (flock(fd, LOCK_EX | LOCK_NB) != 0)
        if (errno != EINTR)
            return false;
    return true;
}

/* The owner may not have written its name yet: what is read is looked at again at each attempt. */
static bool wait_for_lock(const struct state_dir *dir, duration patience,
                          char why[STATE_DIR_WHY_SIZE])
{
    instant end = instant_add(clock_now(), patience);
    while (!try_lock(dir->lock_fd)) {
        struct owner owner = {0};
        if (errno != EWOULDBLOCK)
            return refuse(why, "can't be locked", "lock");
        bool is_known = read_owner(dir, &owner);
        if (is_known && is_alive(&owner)) {
            snprintf(why, STATE_DIR_WHY_SIZE,
                     "already running (process %d) on this database; stop that one first, or give "
                     "this one a --db and --listen of its own",
                     (int)owner.pid);
            return false;
        }
        if (!instant_before(clock_now(), end)) {
            snprintf(why, STATE_DIR_WHY_SIZE,
                     "already running: processes of a supervisor that died (process %d) are still "
                     "there",
                     (int)owner.pid);
            return false;
        }
        wait_a_little();
    }
    return true;
}

bool state_dir_lock(struct state_dir *dir, duration patience, char why[STATE_DIR_WHY_SIZE])
{
    dir->lock_fd = openat(dir->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (dir->lock_fd < 0)
        return refuse(why, "takes no lock file", "lock");
    if (!wait_for_lock(dir, patience, why)) {
        close_if_open(&dir->lock_fd);
        return false;
    }
    if (!write_owner(dir->lock_fd))
        log_warning("supervisor", "the lock does not name us; it holds all the same",
                    LOG_STRING("cause", strerror(errno)));
    return true;
}

/* ---- suspects ---- */

static char suspects_text[SUSPECTS_TEXT_MAX + 1];

static bool write_file(int folder, const char *name, const char *text, size_t length)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    errno = ENOSPC; /* of a write that is cut short */
    bool is_whole = write(fd, text, length) == (ssize_t)length;
    int error = errno;
    bool is_closed = close(fd) == 0;
    errno = is_whole ? errno : error;
    return is_closed && is_whole;
}

bool state_dir_save_suspects(const struct state_dir *dir, const struct suspects *suspects)
{
    size_t length = suspects_format(suspects, suspects_text, sizeof suspects_text);
    return write_file(dir->fd, "suspects.tmp", suspects_text, length) &&
           renameat(dir->fd, "suspects.tmp", dir->fd, "suspects") == 0;
}

bool state_dir_load_suspects(const struct state_dir *dir, struct suspects *suspects)
{
    errno = 0; /* an empty list leaves it so */
    size_t length = read_start_of(dir->fd, "suspects", suspects_text, sizeof suspects_text);
    if (length == 0 && errno != 0 && errno != ENOENT)
        log_warning("supervisor", "the list of suspects can't be read; beginning with an empty one",
                    LOG_STRING("cause", strerror(errno)));
    size_t refused = suspects_parse(suspects, suspects_text, length);
    if (refused > 0)
        log_warning("supervisor", "lines of the list of suspects are damaged; left out",
                    LOG_INT("lines", refused));
    return length > 0;
}
