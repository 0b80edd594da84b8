/* See apart.h. */
#include "sim/apart.h"

#include "base/coverage.h"
#include "sim/parts.h"
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAID_MAX 65536 /* of what it wrote; the last words matter */

/* ---- in the child ---- */

static void keep_line(void *context, instant at, const char *line)
{
    struct apart_found *found = context;
    struct apart_story *story = &found->story;
    snprintf(story->lines[story->count % APART_LINES], APART_LINE_SIZE, "%11.3f s  %s",
             duration_to_s(instant_diff(at, SIM_EPOCH)), line);
    story->count++;
}

/* Nothing may outlive who asked for it; a terminal's Ctrl-C is for that one to deal with. */
static void become_a_child(const struct apart *apart)
{
    const struct rlimit cpu = {(rlim_t)APART_CPU_S, (rlim_t)APART_CPU_S + 5};
    const struct rlimit no_core = {0, 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    setrlimit(RLIMIT_CPU, &cpu);
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(apart->said, STDERR_FILENO);
}

static _Noreturn void run_child(const struct apart *apart, const struct sim_setup *setup,
                                bool with_story)
{
    struct apart_found *found = apart->found;
    struct sim_setup own = *setup;
    become_a_child(apart);
    marks_forget();
    own.on_line = with_story ? keep_line : NULL;
    if (with_story)
        own.context = found;
    found->err = sim_run(&own, &found->result);
    memcpy(found->reached, marks_reached, sizeof found->reached);
    atomic_store(&found->is_done, 1);
    coverage_keep();
    _exit(0);
}

/* ---- its end ---- */

/* The sentence of an assertion, or the last line that it said. */
static void read_last_words(const struct apart *apart, char *out, size_t size)
{
    char *text = calloc(1, SAID_MAX + 1);
    out[0] = '\0';
    off_t end = lseek(apart->said, 0, SEEK_END);
    off_t from = end > SAID_MAX ? end - SAID_MAX : 0;
    if (text == NULL || end <= 0 || pread(apart->said, text, SAID_MAX, from) <= 0) {
        free(text);
        return;
    }
    const char *found = strstr(text, "ERROR: ");
    for (char *next, *line = text; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        if (found == NULL || found < line)
            found = line[0] != '\0' ? line : found;
        if (strstr(line, "Assertion") != NULL) {
            found = line;
            break;
        }
    }
    const char *program = found != NULL ? strstr(found, ": ") : NULL; /* its name is no news */
    if (program != NULL && strstr(found, "Assertion") != NULL)
        found = program + 2;
    snprintf(out, size, "%s", found != NULL ? found : "");
    free(text);
}

static void note_death(const struct apart *apart, int status)
{
    char words[192];
    char *verdict = apart->found->result.verdict;
    size_t size = sizeof apart->found->result.verdict;
    read_last_words(apart, words, sizeof words);
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
        snprintf(verdict, size, "never ended: more than %g s of CPU time", APART_CPU_S);
    else if (WIFSIGNALED(status))
        snprintf(verdict, size, "died of %s: %s", strsignal(WTERMSIG(status)), words);
    else
        snprintf(verdict, size, "ended with %d: %s", WEXITSTATUS(status), words);
}

enum err apart_end(struct apart *apart)
{
    int status;
    pid_t pid;
    do
        pid = waitpid(apart->pid, &status, 0);
    while (pid < 0 && errno == EINTR);
    if (pid < 0)
        return ERR_IO;
    apart->pid = 0;
    if (!atomic_load(&apart->found->is_done)) {
        apart->found->err = OK;
        note_death(apart, status);
    }
    return apart->found->err;
}

/* ---- the interface ---- */

enum err apart_begin(struct apart *apart, const struct sim_setup *setup, bool with_story)
{
    *apart = (struct apart){.ended = -1, .said = -1};
    apart->found =
        mmap(NULL, sizeof *apart->found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (apart->found == MAP_FAILED) {
        apart->found = NULL;
        return ERR_NO_MEMORY;
    }
    apart->said = memfd_create("moonwatch-sim", MFD_CLOEXEC);
    fflush(NULL); /* what waits to be written is ours, not the child's */
    pid_t pid = apart->said < 0 ? -1 : fork();
    if (pid == 0)
        run_child(apart, setup, with_story);
    apart->pid = pid > 0 ? pid : 0;
    apart->ended = pid > 0 ? pidfd_open(pid, 0) : -1;
    if (apart->ended >= 0)
        return OK;
    apart_finish(apart);
    return ERR_IO;
}

int apart_fd(const struct apart *apart)
{
    return apart->ended;
}

void apart_finish(struct apart *apart)
{
    if (apart->found == NULL)
        return;
    if (apart->pid > 0) {
        kill(apart->pid, SIGKILL);
        waitpid(apart->pid, NULL, 0);
    }
    if (apart->ended >= 0)
        close(apart->ended);
    if (apart->said >= 0)
        close(apart->said);
    munmap(apart->found, sizeof *apart->found);
    *apart = (struct apart){.ended = -1, .said = -1};
}

enum err apart_run(struct apart *apart, const struct sim_setup *setup, bool with_story)
{
    enum err err = apart_begin(apart, setup, with_story);
    return err == OK ? apart_end(apart) : err;
}

static const char *skip_numbers(const char *text)
{
    while (isdigit((unsigned char)*text) || *text == '.' || *text == '-')
        text++;
    return text;
}

bool apart_is_same(const char *verdict, const char *other)
{
    for (;;) {
        verdict = skip_numbers(verdict);
        other = skip_numbers(other);
        if (*verdict != *other)
            return false;
        if (*verdict == '\0')
            return true;
        verdict++;
        other++;
    }
}
