/*
 * Runs files, and all files of folders, through a fuzzer: replay_NAME PATH…
 * Each input lies in memory of its exact size, so that a sanitizer sees who reads beyond it. The
 * last file begun is named on standard error by SHOW=1.
 */
#include "fuzz.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

static unsigned count;
static bool shows;

static void replay_file(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert(fd >= 0 && fstat(fd, &status) == 0);
    size_t size = (size_t)status.st_size;
    uint8_t *data = malloc(size > 0 ? size : 1);
    assert(data != NULL && read(fd, data, size) == (ssize_t)size);
    close(fd);
    if (shows)
        fprintf(stderr, "%s\n", path);
    fuzz_one(data, size);
    free(data);
    count++;
}

static void replay(const char *path)
{
    struct dirent **names;
    int found = scandir(path, &names, NULL, alphasort);
    if (found < 0) {
        replay_file(path);
        return;
    }
    for (int i = 0; i < found; i++) {
        char inner[PATH_MAX];
        snprintf(inner, sizeof inner, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            replay_file(inner);
        free(names[i]);
    }
    free(names);
}

int main(int argc, char *argv[])
{
    /* What the code under test prints is not ours. */
    FILE *report = fdopen(dup(STDOUT_FILENO), "w");
    assert(report != NULL && freopen("/dev/null", "w", stdout) != NULL);
    shows = getenv("SHOW") != NULL;
    fuzz_begin();
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    fprintf(report, "1..1\n%s 1 - %u inputs replayed\n", count > 0 ? "ok" : "not ok", count);
    fclose(report);
    return count > 0 ? 0 : 1;
}
