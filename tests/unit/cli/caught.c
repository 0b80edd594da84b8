#include "caught.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

static int redirect(FILE *stream, FILE *to)
{
    fflush(stream);
    int kept = dup(fileno(stream));
    assert_true(kept >= 0 && dup2(fileno(to), fileno(stream)) >= 0);
    return kept;
}

static void restore(FILE *stream, int kept)
{
    fflush(stream);
    dup2(kept, fileno(stream));
    close(kept);
}

static void read_all(FILE *from, char out[CAUGHT_SIZE])
{
    ssize_t length = pread(fileno(from), out, CAUGHT_SIZE - 1, 0);
    assert_true(length >= 0);
    out[length] = '\0';
    fclose(from);
}

void catch_run(struct caught *caught, int (*run)(int argc, char *argv[]), int argc, char *argv[])
{
    FILE *out = tmpfile(), *err = tmpfile();
    assert_true(out != NULL && err != NULL);
    int kept_out = redirect(stdout, out), kept_err = redirect(stderr, err);
    caught->status = run(argc, argv);
    restore(stdout, kept_out);
    restore(stderr, kept_err);
    read_all(out, caught->out);
    read_all(err, caught->err);
}

void expect_page(const struct caught *caught, const char *name, const char *command)
{
    static char page[CAUGHT_SIZE];
    char path[512];
    snprintf(path, sizeof path, "%s/docs/%s", SOURCE_ROOT, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    fclose(file);
    if (strcmp(page, caught->out) != 0)
        fail_msg("docs/%s is old: %s > it", name, command);
}
