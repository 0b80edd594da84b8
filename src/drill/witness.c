/* See witness.h. */
#include "drill/witness.h"

#include "drill/drill.h"
#include "drill/http.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_S 2.0 /* a client waits no longer */
#define ADD_S    5.0

static const char *const asked_paths[] = {"/health", "/tokens?limit=5&min_score=-1"};

static void note_answer(struct witnesses *witnesses, const struct http_answer *answer,
                        const char *path)
{
    uint64_t us = (uint64_t)(answer->seconds * 1e6);
    if (us > atomic_load(&witnesses->longest_us))
        atomic_store(&witnesses->longest_us, us);
    atomic_fetch_add(&witnesses->asked, 1);
    atomic_fetch_add(&witnesses->connections, (uint32_t)answer->connections);
    if (answer->status == 200)
        return;
    if (atomic_load(&witnesses->failed) == 0)
        snprintf(witnesses->first_failure, sizeof witnesses->first_failure,
                 "GET %.30s: status %d %.120s", path, answer->status, answer->why);
    atomic_fetch_add(&witnesses->failed, 1);
}

struct manner {
    enum http_connection connection;
    unsigned rest_ms;
};

static _Noreturn void keep_asking(const struct sandbox *sandbox, struct manner manner)
{
    for (unsigned i = 0;; i++) {
        const char *path = asked_paths[i % 2];
        struct http_answer answer =
            http_ask(&(struct http_question){.port = sandbox->port,
                                             .method = "GET",
                                             .path = path,
                                             .patience_s = ANSWER_S,
                                             .connection = manner.connection});
        note_answer(sandbox->witnesses, &answer, path);
        http_forget(&answer);
        rest_ms(manner.rest_ms);
    }
}

static void ask_now_and_then(const struct sandbox *sandbox)
{
    keep_asking(sandbox, (struct manner){HTTP_NEW, WITNESS_ASKS_EVERY_MS});
}

static void ask_anew_each_time(const struct sandbox *sandbox)
{
    keep_asking(sandbox, (struct manner){HTTP_NEW, CROWD_ASKS_EVERY_MS});
}

static void ask_on_one_connection(const struct sandbox *sandbox)
{
    keep_asking(sandbox, (struct manner){HTTP_KEPT, CROWD_ASKS_EVERY_MS});
}

static bool add(const struct sandbox *sandbox, const char *mint)
{
    char body[128];
    snprintf(body, sizeof body, "{\"mint_address\":\"%s\"}", mint);
    struct http_answer answer = http_ask(&(struct http_question){.port = sandbox->port,
                                                                 .method = "POST",
                                                                 .path = "/tokens",
                                                                 .body = body,
                                                                 .patience_s = ADD_S});
    http_forget(&answer);
    return answer.status == 200 || answer.status == 201;
}

static void keep_adding(const struct sandbox *sandbox)
{
    struct witnesses *witnesses = sandbox->witnesses;
    for (unsigned next = sandbox->imported; next < sandbox->mint_count;) {
        if (add(sandbox, sandbox->mints[next])) {
            next++;
            atomic_store(&witnesses->added, next - sandbox->imported);
        }
        rest_ms(WITNESS_ADDS_EVERY_MS);
    }
    while (true)
        pause();
}

static pid_t start_one(struct drill *drill, void (*work)(const struct sandbox *))
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        drill_fail(drill, "no further process: %s", strerror(errno));
    if (pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
            work(&drill->sandbox);
        _exit(1);
    }
    return pid;
}

void witness_start(struct drill *drill)
{
    struct witnesses *witnesses =
        mmap(NULL, sizeof *witnesses, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (witnesses == MAP_FAILED)
        drill_fail(drill, "no memory for witnesses");
    drill->sandbox.witnesses = witnesses;
    witnesses->pids[0] = start_one(drill, ask_now_and_then);
    witnesses->pids[1] = start_one(drill, keep_adding);
}

void witness_call_crowd(struct drill *drill)
{
    struct witnesses *witnesses = drill->sandbox.witnesses;
    for (int i = 0; i < CROWD; i++)
        witnesses->pids[2 + i] =
            start_one(drill, i % 2 == 0 ? ask_anew_each_time : ask_on_one_connection);
}

void witness_stop(struct drill *drill)
{
    struct witnesses *witnesses = drill->sandbox.witnesses;
    for (int i = 0; witnesses != NULL && i < 2 + CROWD; i++) {
        if (witnesses->pids[i] == 0)
            continue;
        if (kill(witnesses->pids[i], SIGKILL) == 0) /* else it dies with us */
            waitpid(witnesses->pids[i], NULL, 0);
        witnesses->pids[i] = 0;
    }
}

void witness_begin_count(struct drill *drill)
{
    const struct witnesses *witnesses = drill->sandbox.witnesses;
    drill->before.asked = atomic_load(&witnesses->asked);
    drill->before.unanswered = atomic_load(&witnesses->failed);
    drill->before.connections = atomic_load(&witnesses->connections);
}

void witness_count(struct drill *drill)
{
    const struct witnesses *witnesses = drill->sandbox.witnesses;
    if (witnesses == NULL)
        return;
    drill->result.asked = atomic_load(&witnesses->asked) - drill->before.asked;
    drill->result.unanswered = atomic_load(&witnesses->failed) - drill->before.unanswered;
    drill->result.connections = atomic_load(&witnesses->connections) - drill->before.connections;
}
