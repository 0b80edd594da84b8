/* Tokens from a file; see source_file.h. */
#include "feed/source_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "feed/source_kind.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOGGER "source"

/* One byte more, for the end of a last line that has none. */
#define BUFFER_SIZE (SOURCE_LINE_MAX + SOURCE_CHUNK + 1)

/* What is done when all lines in the buffer are taken. */
enum then {
    THEN_READ,
    THEN_FINISH, /* the file has ended */
    THEN_REOPEN  /* it was replaced */
};

struct source_file {
    struct source source;
    char path[OPTION_TEXT_SIZE]; /* "-" is standard input */
    bool follow;

    int fd;            /* −1: not open */
    int restore_flags; /* of standard input, which we share; −1: nothing to restore */
    bool is_polled;    /* a pipe or terminal; else a file, read by libuv's threads */
    bool is_reading;   /* by a thread, now */
    bool is_closing;
    uint64_t offset; /* bytes read */
    uint64_t line;   /* lines taken */
    uint64_t complaints;
    enum then then;
    unsigned quiet_looks;
    unsigned offer_ms; /* wait before offering again; 0: nothing is refused now */

    uv_timer_t timer;
    uv_poll_t poll;
    uv_fs_t read;
    unsigned handles; /* open uv handles */

    bool is_skipping;  /* the rest of a line that is too long */
    size_t begin, end; /* of what is not taken yet */
    char buffer[BUFFER_SIZE];
};

static void go_on(struct source_file *self);
static void open_again(struct source_file *self);

/* --- Lines ------------------------------------------------------------------------------------ */

static void parse_mint(const char *text, size_t length, struct pumpportal_frame *out)
{
    memset(out, 0, sizeof *out);
    if (address_parse(text, length, &out->token.mint)) {
        out->meaning = SOURCE_MIGRATIONS;
        return;
    }
    const char *complaint = address_complaint(text, length);
    out->meaning = SOURCE_BAD_MINTS;
    snprintf(out->text, sizeof out->text, "%s", complaint ? complaint : "no address");
}

bool source_line_parse(const char *line, size_t length, struct pumpportal_frame *out)
{
    text_trim(&line, &length);
    bool is_json = length > 0 && strchr("{[\"", *line) && *line != '\0';
    if (!is_json) {
        const char *comment = memchr(line, '#', length);
        length = comment ? (size_t)(comment - line) : length;
        text_trim(&line, &length);
    }
    if (length == 0) {
        return false;
    }
    if (is_json) {
        pumpportal_parse_recorded(line, length, out);
    } else {
        parse_mint(line, length, out);
    }
    return true;
}

static void complain(struct source_file *self, const struct pumpportal_frame *frame)
{
    uint64_t count = ++self->complaints;
    if (count <= SOURCE_COMPLAINTS_MAX || source_is_worth_a_line(count)) {
        log_warning(LOGGER, "a line that is no use; counted and ignored",
                    LOG_STRING("file", self->path), LOG_INT("line", self->line + 1),
                    LOG_STRING("kind", source_count_name(frame->meaning)),
                    LOG_STRING("cause", frame->text), LOG_INT("complaints", count));
    }
}

static bool is_complaint(enum source_count meaning)
{
    return meaning == SOURCE_BAD_MINTS || meaning == SOURCE_JUNK || meaning == SOURCE_TOO_LARGE ||
           meaning == SOURCE_REFUSALS;
}

/* False: its token was not taken. */
static bool take_line(struct source_file *self, const char *line, size_t length)
{
    struct pumpportal_frame frame;
    if (self->line == 0) {
        text_skip_mark(&line, &length);
    }
    if (source_line_parse(line, length, &frame)) {
        if (!source_take(&self->source, &frame)) {
            return false;
        }
        if (is_complaint(frame.meaning)) {
            complain(self, &frame);
        }
    }
    self->line++;
    return true;
}

static void refuse_long_line(struct source_file *self)
{
    struct pumpportal_frame frame = {.meaning = SOURCE_TOO_LARGE};
    snprintf(frame.text, sizeof frame.text, "a line over %d bytes", SOURCE_LINE_MAX);
    self->source.stats.counts[SOURCE_TOO_LARGE]++;
    complain(self, &frame);
    self->is_skipping = true;
}

/* Takes whole lines out of the buffer. False: one was not taken, or all this is over. */
static bool take_lines(struct source_file *self)
{
    char *newline;
    while ((newline = memchr(self->buffer + self->begin, '\n', self->end - self->begin))) {
        size_t length = (size_t)(newline - self->buffer) - self->begin;
        if (self->is_skipping) {
            self->is_skipping = false;
            self->line++;
        } else if (length > SOURCE_LINE_MAX) {
            refuse_long_line(self);
            continue;
        } else if (!take_line(self, self->buffer + self->begin, length)) {
            return false;
        }
        self->begin += length + 1;
        if (self->source.destroyed) {
            return false;
        }
    }
    if (!self->is_skipping && self->end - self->begin > SOURCE_LINE_MAX) {
        refuse_long_line(self);
    }
    if (self->is_skipping) {
        self->begin = self->end;
    }
    memmove(self->buffer, self->buffer + self->begin, self->end - self->begin);
    self->end -= self->begin;
    self->begin = 0;
    return true;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void on_time(uv_timer_t *timer)
{
    struct source_file *self = timer->data;
    if (self->fd < 0) {
        open_again(self);
    } else {
        go_on(self);
    }
}

static void wait_ms(struct source_file *self, uint64_t ms)
{
    uv_timer_start(&self->timer, on_time, ms, 0);
}

static void close_file(struct source_file *self)
{
    if (self->is_polled) {
        uv_poll_stop(&self->poll);
    }
    if (self->restore_flags >= 0) {
        fcntl(self->fd, F_SETFL, self->restore_flags);
        self->restore_flags = -1;
    }
    if (self->fd > STDIN_FILENO) {
        close(self->fd);
    }
    self->fd = -1;
}

static void log_summary(struct source_file *self, const char *what)
{
    const uint64_t *counts = self->source.stats.counts;
    log_info(LOGGER, what, LOG_STRING("file", self->path), LOG_INT("lines", self->line),
             LOG_INT("tokens", counts[SOURCE_MIGRATIONS]), LOG_INT("complaints", self->complaints));
}

static void finish(struct source_file *self, const char *what)
{
    log_summary(self, what);
    close_file(self);
    source_change(&self->source, SOURCE_ENDED, what);
}

/* The last line may have no end; it gets one, so that it is taken like any other. */
static void end_last_line(struct source_file *self, enum then then)
{
    assert(self->end < BUFFER_SIZE);
    self->then = then;
    if (self->end > self->begin || self->is_skipping) {
        self->buffer[self->end++] = '\n';
    }
    go_on(self);
}

static void start_over(struct source_file *self)
{
    self->offset = 0;
    self->line = 0;
    self->begin = self->end = 0;
    self->is_skipping = false;
    self->quiet_looks = 0;
    self->then = THEN_READ;
}

static bool was_replaced(const struct source_file *self, const struct stat *open_one)
{
    struct stat named;
    return strcmp(self->path, "-") != 0 && stat(self->path, &named) == 0 &&
           (named.st_ino != open_one->st_ino || named.st_dev != open_one->st_dev);
}

/* At the end of a file that is followed: has it grown, shrunk, been replaced? */
static void look_again(struct source_file *self)
{
    struct stat now;
    if (fstat(self->fd, &now) != 0) {
        finish(self, "the file cannot be looked at any more");
        return;
    }
    if (S_ISREG(now.st_mode) && (uint64_t)now.st_size < self->offset) {
        log_summary(self, "the file was truncated; reading it from its beginning");
        self->source.stats.counts[SOURCE_DISCONNECTS]++;
        self->source.stats.counts[SOURCE_CONNECTS]++;
        start_over(self);
        lseek(self->fd, 0, SEEK_SET);
        go_on(self);
        return;
    }
    if (was_replaced(self, &now) && ++self->quiet_looks >= SOURCE_QUIET_LOOKS) {
        end_last_line(self, THEN_REOPEN);
        return;
    }
    source_change(&self->source, SOURCE_LIVE, "at the end of the file; waiting for more");
    wait_ms(self, SOURCE_FOLLOW_MS);
}

static void on_bytes(struct source_file *self, ssize_t n)
{
    if (n > 0) {
        self->end += (size_t)n;
        self->offset += (uint64_t)n;
        self->quiet_looks = 0;
        self->source.stats.last_frame_at = clock_now();
        go_on(self);
    } else if (n < 0) {
        char text[128];
        snprintf(text, sizeof text, "the file cannot be read: %s", uv_strerror((int)n));
        finish(self, text);
    } else if (self->follow && !self->is_polled) {
        look_again(self);
    } else {
        end_last_line(self, THEN_FINISH);
    }
}

static void close_handles(struct source_file *self);

static void on_file_read(uv_fs_t *request)
{
    struct source_file *self = request->data;
    ssize_t n = request->result;
    uv_fs_req_cleanup(request);
    self->is_reading = false;
    if (self->source.destroyed) {
        close_handles(self);
    } else {
        on_bytes(self, n);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct source_file *self = poll->data;
    (void)status; /* read() knows better what is wrong */
    (void)events;
    uv_poll_stop(poll);
    ssize_t n = read(self->fd, self->buffer + self->end, SOURCE_CHUNK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        go_on(self);
    } else {
        on_bytes(self, n < 0 ? -errno : n);
    }
}

static void read_more(struct source_file *self)
{
    assert(self->end + SOURCE_CHUNK < BUFFER_SIZE);
    int status;
    if (self->is_polled) {
        status = uv_poll_start(&self->poll, UV_READABLE, on_readable);
    } else {
        uv_buf_t buffer = uv_buf_init(self->buffer + self->end, SOURCE_CHUNK);
        self->read.data = self;
        status = uv_fs_read(self->source.loop, &self->read, self->fd, &buffer, 1, -1, on_file_read);
        self->is_reading = status == 0;
    }
    if (status != 0) {
        on_bytes(self, status);
    }
}

/* Everything that happens comes here: take what is there, then get more. */
static void go_on(struct source_file *self)
{
    source_change(&self->source, SOURCE_LIVE, "");
    if (!take_lines(self)) {
        if (!self->source.destroyed) {
            unsigned longer = self->offer_ms * 2;
            self->offer_ms = longer < SOURCE_OFFER_MIN_MS ? SOURCE_OFFER_MIN_MS : longer;
            self->offer_ms =
                self->offer_ms < SOURCE_OFFER_MAX_MS ? self->offer_ms : SOURCE_OFFER_MAX_MS;
            source_change(&self->source, SOURCE_LIVE,
                          "a token is not taken now; offering it again");
            wait_ms(self, self->offer_ms);
        }
        return;
    }
    self->offer_ms = 0;
    switch (self->then) {
    case THEN_READ:
        read_more(self);
        break;
    case THEN_FINISH:
        finish(self, "the file was read to its end");
        break;
    case THEN_REOPEN:
        log_summary(self, "the file was replaced; reading its successor");
        self->source.stats.counts[SOURCE_DISCONNECTS]++;
        close_file(self);
        open_again(self);
        break;
    }
}

/* --- Opening ---------------------------------------------------------------------------------- */

static int open_path(const struct source_file *self)
{
    struct stat what;
    if (strcmp(self->path, "-") == 0) {
        return STDIN_FILENO;
    }
    int mode = O_RDONLY;
    if (stat(self->path, &what) == 0) {
        if (S_ISDIR(what.st_mode)) {
            errno = EISDIR;
            return -1;
        }
        /* A pipe that is followed outlives its writers: we hold it open for writing too. */
        mode = S_ISFIFO(what.st_mode) && self->follow ? O_RDWR : O_RDONLY;
    }
    return open(self->path, mode | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

/* ERR_IO with errno set. */
static enum err open_file(struct source_file *self)
{
    self->fd = open_path(self);
    if (self->fd < 0) {
        return ERR_IO;
    }
    /* libuv makes what it polls non-blocking, for everyone who shares it. */
    self->restore_flags = self->fd == STDIN_FILENO ? fcntl(self->fd, F_GETFL) : -1;
    struct stat what;
    bool is_file = fstat(self->fd, &what) == 0 && S_ISREG(what.st_mode);
    self->is_polled = !is_file && uv_poll_init(self->source.loop, &self->poll, self->fd) == 0;
    if (self->is_polled) {
        self->poll.data = self;
        self->handles++;
    }
    start_over(self);
    self->source.stats.counts[SOURCE_CONNECTS]++;
    return OK;
}

static void open_again(struct source_file *self)
{
    if (open_file(self) == OK) {
        go_on(self);
        return;
    }
    char message[384];
    self->source.stats.counts[SOURCE_FAILED_CONNECTS]++;
    snprintf(message, sizeof message, "\"%s\" cannot be opened: %s; trying every %d s", self->path,
             strerror(errno), SOURCE_REOPEN_MS / 1000);
    if (self->source.stats.state != SOURCE_WAITING) {
        log_warning(LOGGER, message);
    }
    source_change(&self->source, SOURCE_WAITING, message);
    wait_ms(self, SOURCE_REOPEN_MS);
}

/* --- Creation and end ------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct source_file *self = handle->data;
    assert(self->handles > 0);
    if (--self->handles == 0) {
        source_finished(&self->source);
    }
}

static void close_handles(struct source_file *self)
{
    if (self->fd >= 0) {
        close_file(self);
    }
    if (self->is_polled) {
        uv_close((uv_handle_t *)&self->poll, on_handle_closed);
    }
    uv_close((uv_handle_t *)&self->timer, on_handle_closed);
}

static void file_source_destroy(struct source *source)
{
    struct source_file *self = (struct source_file *)source;
    if (self->is_reading) {
        uv_cancel((uv_req_t *)&self->read); /* the callback comes in any case */
    } else {
        close_handles(self);
    }
}

static const struct source_kind file_kind = {.destroy = file_source_destroy};

static bool parse_path(struct source_file *self, const char *path, char why[512])
{
    static const char follow[] = "?follow";
    size_t length = strlen(path);
    if (length >= strlen(follow) && strcmp(path + length - strlen(follow), follow) == 0) {
        self->follow = true;
        length -= strlen(follow);
    }
    if (length == 0 || length >= sizeof self->path) {
        snprintf(why, 512, "source \"file:\" needs the path of a file, or - for standard input");
        return false;
    }
    memcpy(self->path, path, length);
    return true;
}

struct source *source_file_create(const struct source_arguments *arguments, const char *path,
                                  char why[512])
{
    struct source_file *self = calloc(1, sizeof *self);
    if (!self) {
        snprintf(why, 512, "out of memory");
        return NULL;
    }
    source_init(&self->source, &file_kind, arguments);
    self->fd = -1;
    self->restore_flags = -1;
    if (!parse_path(self, path, why)) {
        free(self);
        return NULL;
    }
    if (open_file(self) != OK && !self->follow) {
        snprintf(why, 512, "source file \"%s\" cannot be opened: %s", self->path, strerror(errno));
        free(self);
        return NULL;
    }
    uv_timer_init(arguments->loop, &self->timer);
    self->timer.data = self;
    self->handles++;
    wait_ms(self, 0);
    return &self->source;
}
