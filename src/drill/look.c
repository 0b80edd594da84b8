/* See look.h. */
#include "drill/look.h"

#include "base/clock.h"
#include "drill/drill.h"
#include "drill/http.h"
#include "page/state_dir.h"
#include "supervisor/control_client.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONTROL_PATIENCE duration_s(5)

void look_detach(struct drill *drill)
{
    status_page_detach(drill->sandbox.page);
    drill->sandbox.page = NULL;
}

static bool ask(struct drill *drill, const struct command *command, struct control_answer *out,
                char why[CONTROL_WHY_SIZE])
{
    int fd = control_connect(&drill->sandbox.options, why);
    if (fd < 0)
        return false;
    bool answered = control_ask(fd, command, CONTROL_PATIENCE, out, why);
    close(fd);
    return answered;
}

bool look_attach(struct drill *drill)
{
    char why[CONTROL_WHY_SIZE];
    struct control_answer answer;
    const struct command command = {.kind = COMMAND_STATUS};
    if (!ask(drill, &command, &answer, why) || answer.page_fd < 0)
        return false;
    struct status_page *page = status_page_attach(answer.page_fd, PAGE_READ_ONLY, why);
    close(answer.page_fd);
    if (page == NULL)
        return false;
    look_detach(drill);
    drill->sandbox.page = page;
    return true;
}

bool look_command(struct drill *drill, const struct command *command, char why[512])
{
    struct control_answer answer;
    if (!ask(drill, command, &answer, why))
        return false;
    if (answer.page_fd >= 0)
        close(answer.page_fd);
    snprintf(why, 512, "%.500s", answer.reply.message);
    return answer.reply.result <= RESULT_KNOWN;
}

/* ---- the page ---- */

/* Its offset slews by at most a hundredth of the second that a line is old: good enough here. */
instant look_now(const struct drill *drill)
{
    struct timespec boot;
    if (drill->sandbox.page == NULL)
        return clock_now();
    clock_gettime(CLOCK_BOOTTIME, &boot);
    int64_t offset_us = atomic_load(&drill->sandbox.page->clock.offset_us);
    return (instant){(int64_t)boot.tv_sec * 1000000 + boot.tv_nsec / 1000 + offset_us};
}

enum process_state look_state(const struct drill *drill, enum page_process_id process)
{
    return (enum process_state)atomic_load(&drill->sandbox.page->processes[process].state);
}

uint64_t look_counter(const struct drill *drill, enum counter counter)
{
    return atomic_load(&drill->sandbox.page->counters[counter]);
}

uint64_t look_moved(const struct drill *drill, enum counter counter)
{
    return look_counter(drill, counter) - drill->before.counters[counter];
}

double look_gauge(const struct drill *drill, enum gauge gauge)
{
    return page_get(drill->sandbox.page, gauge);
}

uint64_t look_starts(const struct drill *drill, enum page_process_id process)
{
    return atomic_load(&drill->sandbox.page->processes[process].starts);
}

/* ---- the API ---- */

bool look_is_ready(const struct drill *drill)
{
    return http_get_status(drill->sandbox.port, "/ready") == 200;
}

bool look_ready_says(const struct drill *drill, const char *text)
{
    struct http_answer answer = http_ask(
        &(struct http_question){.port = drill->sandbox.port, .method = "GET", .path = "/ready"});
    bool says = answer.body != NULL && strstr(answer.body, text) != NULL;
    http_forget(&answer);
    return says;
}

double look_metric(const struct drill *drill, const char *name)
{
    char line[160];
    struct http_answer answer = http_ask(
        &(struct http_question){.port = drill->sandbox.port, .method = "GET", .path = "/metrics"});
    snprintf(line, sizeof line, "\nmoonwatch_%s ", name);
    const char *at = answer.body == NULL ? NULL : strstr(answer.body, line);
    double value = at == NULL ? NAN : strtod(at + strlen(line), NULL);
    http_forget(&answer);
    return value;
}

/* ---- incidents ---- */

static json_t *load_incident(const struct drill *drill, uint64_t number)
{
    char folder[PATH_MAX], path[PATH_MAX + 64];
    state_dir_path(&drill->sandbox.options, folder);
    snprintf(path, sizeof path, "%s/incidents/%06llu.json", folder, (unsigned long long)number);
    return json_load_file(path, 0, NULL);
}

json_t *look_incident(const struct drill *drill)
{
    uint64_t number = drill->before.incident;
    json_t *newest = NULL, *next;
    while ((next = load_incident(drill, number + 1)) != NULL) {
        json_decref(newest);
        newest = next;
        number++;
    }
    return newest;
}

unsigned look_incidents(const struct drill *drill)
{
    unsigned count = 0;
    json_t *one;
    while ((one = load_incident(drill, drill->before.incident + count + 1)) != NULL) {
        json_decref(one);
        count++;
    }
    return count;
}
