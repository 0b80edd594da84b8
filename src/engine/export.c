/*
 * The file for bots: the pools of the best tokens, replaced atomically, so that a bot that re-reads
 * it every few seconds never sees half of it. Its age says whether we live.
 */
#include "engine/parts.h"

#include "api/notarb.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0644

static bool write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, text, length);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            text += n;
            length -= (size_t)n;
        }
    }
    return true;
}

/* A file of another name in the same folder, complete on disk, then renamed over the old one. */
static bool replace_file(const char *path, const char *text, size_t length)
{
    char temporary[OPTION_TEXT_SIZE + 8];
    snprintf(temporary, sizeof temporary, "%s.new", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0)
        return false;
    bool written = write_all(fd, text, length) && fsync(fd) == 0;
    int error = errno;
    if (close(fd) != 0 && written) {
        error = errno;
        written = false;
    }
    if (written && rename(temporary, path) == 0)
        return true;
    if (!written)
        errno = error;
    error = errno;
    (void)unlink(temporary);
    errno = error;
    return false;
}

void engine_export(struct engine *engine)
{
    const char *path = engine->options.export_path;
    if (path[0] == '\0')
        return;
    struct notarb_token tokens[NOTARB_TOKENS_MAX];
    struct json json = {0};
    unsigned count = notarb_choose(engine->memory.table, engine->options.notarb_min_score, tokens);
    notarb_write_pools(&json, tokens, count);
    bool written = !json.failed && replace_file(path, json.text, json.length);
    page_add(engine->page, written ? COUNTER_EXPORTS : COUNTER_EXPORT_FAILURES, 1);
    if (!written && !engine->export_failed)
        log_error("export", "cannot write the file for bots; trying again at the next export",
                  LOG_STRING("path", path), LOG_STRING("error", strerror(errno)));
    else if (written && engine->export_failed)
        log_info("export", "the file for bots is written again", LOG_STRING("path", path));
    engine->export_failed = !written;
    json_finish(&json);
}
