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
    if (answer->status == 200)
        return;
    if (atomic_load(&witnesses->failed) == 0)
        snprintf(witnesses->first_failure, sizeof witnesses->first_failure,
                 "GET %.30s: status %d %.120s", path, answer->status, answer->why);
    atomic_fetch_add(&witnesses->failed, 1);
}

static _Noreturn void keep_asking(const struct sandbox *sandbox)
{
    for (unsigned i = 0;; i++) {
        const char *path = asked_paths[i % 2];
        struct http_answer answer = http_ask(&(struct http_question){
            .port = sandbox->port, .method = "GET", .path = path, .patience_s = ANSWER_S});
        note_answer(sandbox->witnesses, &answer, path);
        http_forget(&answer);
        rest_ms(WITNESS_ASKS_EVERY_MS);
    }
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

static _Noreturn void keep_adding(const struct sandbox *sandbox)
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
    witnesses->pids[0] = start_one(drill, keep_asking);
    witnesses->pids[1] = start_one(drill, keep_adding);
}

void witness_stop(struct drill *drill)
{
    struct witnesses *witnesses = drill->sandbox.witnesses;
    for (int i = 0; witnesses != NULL && i < 2; i++) {
        if (witnesses->pids[i] == 0)
            continue;
        kill(witnesses->pids[i], SIGKILL);
        waitpid(witnesses->pids[i], NULL, 0);
        witnesses->pids[i] = 0;
    }
}

void witness_forgive(struct drill *drill)
{
    drill->before.witness_failures = atomic_load(&drill->sandbox.witnesses->failed);
}
