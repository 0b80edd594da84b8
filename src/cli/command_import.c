/* A file of mints, sent to a running daemon. */
#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/import_client.h"
#include "cli/import_lines.h"
#include "cli/progress.h"
#include "cli/secrets.h"
#include "cli/terminal.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATIENCE_SEC      60   /* a restart of the daemon takes a few seconds */
#define REFUSED_SHOWN_MAX 1000 /* lines; all are counted */

/* Of this verb: scripts tell a file with bad lines from a daemon that is not there. */
enum { IMPORT_ALL_TAKEN = 0, IMPORT_SOME_REFUSED = 1, IMPORT_NOT_DONE = 2 };

struct import {
    const char *path;
    struct import_lines lines;
    struct import_batch batch;
    struct import_counts counts;
    struct import_client *client;
    struct progress progress;
    uint64_t total_bytes; /* 0: unknown */
    uint64_t shown;       /* refusals */
    char note[64];
};

static void show_progress(struct import *import)
{
    const struct progress_state state = {
        .count = import->lines.line,
        .done = import->lines.bytes,
        .total = import->total_bytes,
        .note = import->note,
    };
    progress_update(&import->progress, &state, clock_now());
}

static void on_refused(void *context, uint64_t line, const char *reason)
{
    struct import *import = context;
    if (import->shown++ < REFUSED_SHOWN_MAX) {
        progress_clear(&import->progress);
        printf("%s:%" PRIu64 ": ", import->path, line);
        terminal_write(stdout, reason);
        putchar('\n');
    }
}

static void on_retry(void *context, const char *cause, duration wait)
{
    struct import *import = context;
    progress_clear(&import->progress);
    fputs("moonwatch import: ", stderr);
    terminal_write(stderr, cause);
    fprintf(stderr, "; trying again in %.1f s\n", duration_to_s(wait));
}

/* "0.0.0.0:8000" is where a daemon listens, but nowhere to call it. */
static void url_of_listen(const char *listen, char out[OPTION_TEXT_SIZE + 32])
{
    const char *port = strrchr(listen, ':');
    const char *host = NULL;
    if (strncmp(listen, "0.0.0.0:", 8) == 0 || listen[0] == ':')
        host = "127.0.0.1";
    else if (strncmp(listen, "[::]:", 5) == 0)
        host = "[::1]";
    if (host && port)
        snprintf(out, OPTION_TEXT_SIZE + 32, "http://%s%s", host, port);
    else
        snprintf(out, OPTION_TEXT_SIZE + 32, "http://%s", listen);
}

static bool open_file(struct import *import)
{
    struct stat what;
    bool is_standard = strcmp(import->path, "-") == 0;
    import->lines.file = is_standard ? stdin : fopen(import->path, "r");
    if (!import->lines.file || fstat(fileno(import->lines.file), &what) != 0) {
        fprintf(stderr, "moonwatch import: %s: %s\n", import->path, strerror(errno));
        return false;
    }
    if (S_ISDIR(what.st_mode)) {
        fprintf(stderr, "moonwatch import: %s is a directory\n", import->path);
        return false;
    }
    import->total_bytes = S_ISREG(what.st_mode) ? (uint64_t)what.st_size : 0;
    return true;
}

static void print_summary(struct import *import)
{
    uint64_t refused = import->lines.refused + import->counts.refused;
    progress_clear(&import->progress);
    if (import->shown > REFUSED_SHOWN_MAX)
        printf("… and %" PRIu64 " more refused lines\n", import->shown - REFUSED_SHOWN_MAX);
    printf("%" PRIu64 " lines: %" PRIu64 " added, %" PRIu64 " known, %" PRIu64 " refused\n",
           import->lines.line, import->counts.added, import->counts.known, refused);
}

static int send_all(struct import *import)
{
    char why[512];
    while (import_lines_read(&import->lines, &import->batch) > 0) {
        show_progress(import);
        if (import_client_send(import->client, &import->batch, &import->counts, why) != OK) {
            print_summary(import);
            fprintf(stderr,
                    "moonwatch import: %s\nStopped before line %" PRIu64
                    "; importing the file again is safe.\n",
                    why, import->batch.lines[0]);
            return IMPORT_NOT_DONE;
        }
        uint64_t refused = import->lines.refused + import->counts.refused;
        if (refused > 0)
            snprintf(import->note, sizeof import->note, "%" PRIu64 " refused", refused);
        show_progress(import);
    }
    bool is_broken = ferror(import->lines.file) != 0;
    if (is_broken)
        fprintf(stderr, "moonwatch import: %s: %s\n", import->path, strerror(errno));
    print_summary(import);
    if (is_broken || fflush(stdout) != 0)
        return IMPORT_NOT_DONE;
    return import->lines.refused + import->counts.refused > 0 ? IMPORT_SOME_REFUSED
                                                              : IMPORT_ALL_TAKEN;
}

static int import_file(struct import *import, const struct import_client_options *options)
{
    int status = IMPORT_NOT_DONE;
    import->client = import_client_create(options);
    if (!import->client)
        fprintf(stderr, "moonwatch import: out of memory, or no URL: %s\n", options->url);
    else if (open_file(import)) {
        progress_begin(&import->progress, stderr, "moonwatch import", "lines");
        status = send_all(import);
    }
    import_client_destroy(import->client);
    if (import->lines.file && import->lines.file != stdin)
        fclose(import->lines.file);
    return status;
}

int command_import(int argc, char *argv[])
{
    struct options options;
    const char *path = NULL, *to = NULL;
    double patience_s = PATIENCE_SEC;
    const struct argument rows[] = {
        {.name = "FILE",
         .type = ARGUMENT_OPERAND,
         .target = &path,
         .need = ARGUMENT_REQUIRED,
         .sentence = "One mint a line, # comments; - is standard input."},
        {.name = "to",
         .type = ARGUMENT_TEXT,
         .value_name = "URL",
         .target = &to,
         .sentence = "Where the daemon is; by default http:// and what `listen` says."},
        {.name = "patience",
         .type = ARGUMENT_REAL,
         .value_name = "SECONDS",
         .target = &patience_s,
         .low = 0.001,
         .high = 86400,
         .sentence = "How long to try a batch again while the daemon restarts (60)."},
    };
    const struct argument_spec spec = {
        .rows = rows, .count = sizeof rows / sizeof rows[0], .options = &options};
    enum arguments_result result = arguments_parse(argc, argv, &spec);
    if (result != ARGUMENTS_OK)
        return arguments_exit_status(result);
    secrets_leave_command_line(argv + 1);

    struct import *import = calloc(1, sizeof *import);
    char url[OPTION_TEXT_SIZE + 32];
    if (!import) {
        fputs("moonwatch import: out of memory\n", stderr);
        return IMPORT_NOT_DONE;
    }
    signal(SIGPIPE, SIG_IGN); /* a daemon that goes away is an error like others */
    url_of_listen(options.listen, url);
    import->path = path;
    import->lines.on_refused = on_refused;
    import->lines.context = import;
    const struct import_client_options client = {
        .url = to ? to : url,
        .token = options.api_token,
        .patience = duration_s(patience_s),
        .on_refused = on_refused,
        .on_retry = on_retry,
        .context = import,
    };
    int status = import_file(import, &client);
    free(import);
    return status;
}
