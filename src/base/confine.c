/* no_new_privs and Landlock; see confine.h. What this release's headers of the kernel don't know
 * yet is named here, as linux/landlock.h of Linux 6.12 has it. */
#include "base/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef MOONWATCH_UNCONFINED
#define IS_CONFINING false
#else
#define IS_CONFINING true
#endif

#define ABI_REFER    2
#define ABI_TRUNCATE 3
#define ABI_NETWORK  4
#define ABI_SCOPE    6

#define RIGHT_REFER    (1ULL << 13)
#define RIGHT_TRUNCATE (1ULL << 14)

#define RIGHTS_TO_READ                                                                             \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_TO_WRITE                                                                            \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
/* Of these, what somebody who may write gets: files and folders. */
#define RIGHTS_GRANTED                                                                             \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |  \
     RIGHT_TRUNCATE)
#define RIGHTS_OF_FILES                                                                            \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |   \
     RIGHT_TRUNCATE)

#define NETWORK_BIND     1ULL
#define NETWORK_CONNECT  2ULL
#define SCOPE_ABSTRACT   1ULL /* UNIX sockets without a file */
#define SCOPE_SIGNAL     2ULL
#define SCOPE_EVERYTHING (SCOPE_ABSTRACT | SCOPE_SIGNAL)

#define LIBRARY_FOLDERS_MAX 16 /* of LD_LIBRARY_PATH */

/* struct landlock_ruleset_attr as it has grown; an older kernel takes it while what it does not
 * know is 0. */
struct ruleset {
    uint64_t files, network, scoped;
};

const char *confine_part_name(enum confine_part part)
{
#define X(code, name) name,
    static const char *const names[] = {CONFINE_PART_LIST(X)};
#undef X
    return names[part];
}

/* ---- Landlock ---- */

static int make_ruleset(const struct ruleset *ruleset)
{
    return (int)syscall(SYS_landlock_create_ruleset, ruleset, sizeof *ruleset, 0);
}

static void begin_ruleset(struct confinement *confinement)
{
    struct ruleset ruleset = {0};
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi <= 0)
        return;
    confinement->abi = (int)abi;
    confinement->read = RIGHTS_TO_READ;
    confinement->write = RIGHTS_TO_WRITE | (abi >= ABI_REFER ? RIGHT_REFER : 0) |
                         (abi >= ABI_TRUNCATE ? RIGHT_TRUNCATE : 0);
    ruleset.files = confinement->read | confinement->write;
    if (abi >= ABI_NETWORK)
        ruleset.network =
            NETWORK_BIND | ((confinement->powers & CONFINE_CONNECT) != 0 ? 0 : NETWORK_CONNECT);
    if (abi >= ABI_SCOPE)
        ruleset.scoped =
            (confinement->powers & CONFINE_SIGNAL) != 0 ? SCOPE_ABSTRACT : SCOPE_EVERYTHING;
    confinement->ruleset = make_ruleset(&ruleset);
}

void confine_begin(struct confinement *confinement, unsigned powers)
{
    *confinement = (struct confinement){.powers = powers, .ruleset = -1};
    if (IS_CONFINING && (powers & CONFINE_ALL_FILES) == 0)
        begin_ruleset(confinement);
}

void confine_allow(struct confinement *confinement, const char *path, enum confine_access access)
{
    struct stat status;
    if (confinement->ruleset < 0)
        return;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        goto out;
    uint64_t rights = confinement->read;
    if (access == CONFINE_READ_WRITE)
        rights |= confinement->write & RIGHTS_GRANTED;
    if (!S_ISDIR(status.st_mode))
        rights &= RIGHTS_OF_FILES;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};
    (void)syscall(SYS_landlock_add_rule, confinement->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule,
                  0);
out:
    if (fd >= 0)
        close(fd);
}

/* To the folder above; false: there is none. */
static bool go_up(char path[PATH_MAX])
{
    char *slash = strrchr(path, '/');
    if (strcmp(path, ".") == 0 || strcmp(path, "/") == 0)
        return false;
    if (slash == NULL)
        strcpy(path, ".");
    else
        slash[slash == path] = '\0';
    return true;
}

/* A folder that is not there yet may be made later: whoever makes it, does so in one that is. */
static void allow_folder_of(struct confinement *confinement, const char *file,
                            enum confine_access wanted)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", file);
    while (go_up(path) && access(path, F_OK) != 0)
        continue;
    confine_allow(confinement, path, wanted);
}

void confine_allow_around(struct confinement *confinement, const char *file,
                          enum confine_access access)
{
    char target[PATH_MAX];
    if (confinement->ruleset < 0)
        return;
    allow_folder_of(confinement, file, access);
    if (realpath(file, target) != NULL)
        allow_folder_of(confinement, target, access);
}

static void allow_named(struct confinement *confinement, const char *variable)
{
    const char *path = getenv(variable);
    if (path != NULL)
        confine_allow(confinement, path, CONFINE_READ);
}

static void allow_library_folders(struct confinement *confinement)
{
    char text[PATH_MAX], *rest = text;
    const char *path = getenv("LD_LIBRARY_PATH");
    snprintf(text, sizeof text, "%s", path != NULL ? path : "");
    for (int i = 0; i < LIBRARY_FOLDERS_MAX; i++) {
        const char *folder = strsep(&rest, ":");
        if (folder == NULL)
            return;
        confine_allow(confinement, folder, CONFINE_READ);
    }
}

void confine_allow_system(struct confinement *confinement)
{
    static const char *const folders[] = {"/bin", "/etc", "/lib",  "/lib32",     "/lib64",
                                          "/usr", "/sys", "/proc", "/nix/store", "/gnu/store"};
    static const char *const devices[] = {"/dev/full", "/dev/random", "/dev/urandom", "/dev/zero"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        confine_allow(confinement, folders[i], CONFINE_READ);
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++)
        confine_allow(confinement, devices[i], CONFINE_READ);
    confine_allow(confinement, "/dev/null", CONFINE_READ_WRITE);
    /* systemd-resolved and others have it a link to where they write it anew. */
    confine_allow_around(confinement, "/etc/resolv.conf", CONFINE_READ);
    allow_named(confinement, "SSL_CERT_FILE"); /* as OpenSSL knows them */
    allow_named(confinement, "SSL_CERT_DIR");
    allow_library_folders(confinement);
}

static unsigned bit(enum confine_part part)
{
    return 1U << part;
}

unsigned confine_parts_wanted(unsigned powers)
{
    if (!IS_CONFINING)
        return 0;
    unsigned parts = bit(CONFINE_NO_NEW_PRIVILEGES) | bit(CONFINE_SYSTEM_CALLS);
    if ((powers & CONFINE_ALL_FILES) == 0)
        parts |= bit(CONFINE_FILES) | bit(CONFINE_NETWORK) | bit(CONFINE_SIGNALS);
    return parts;
}

static unsigned enter_ruleset(const struct confinement *confinement)
{
    unsigned parts = bit(CONFINE_FILES);
    if (confinement->ruleset < 0 ||
        syscall(SYS_landlock_restrict_self, confinement->ruleset, 0) != 0)
        return 0;
    if (confinement->abi >= ABI_NETWORK)
        parts |= bit(CONFINE_NETWORK);
    if (confinement->abi >= ABI_SCOPE)
        parts |= bit(CONFINE_SIGNALS);
    return parts;
}

/* Both others need the first, or root's rights. */
static unsigned enter(const struct confinement *confinement)
{
    unsigned parts = 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        parts |= bit(CONFINE_NO_NEW_PRIVILEGES);
    parts |= enter_ruleset(confinement);
    if (system_call_filter_enter(confinement->powers))
        parts |= bit(CONFINE_SYSTEM_CALLS);
    return parts;
}

unsigned confine_enter(struct confinement *confinement)
{
    unsigned parts = IS_CONFINING ? enter(confinement) : 0;
    if (confinement->ruleset >= 0)
        close(confinement->ruleset);
    confinement->ruleset = -1;
    return parts;
}
