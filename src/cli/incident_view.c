/* See incident_view.h. */
#include "cli/incident_view.h"

#include "cli/terminal.h"
#include "page/state_dir.h"
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define INDENT 36

/* The numbers of the newest files, newest first. */
static size_t newest_numbers(const char *folder, unsigned long long out[INCIDENTS_SHOWN])
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char *end;
        unsigned long long number = strtoull(entry->d_name, &end, 10);
        if (strcmp(end, ".json") != 0 || number == 0)
            continue;
        size_t at = count < INCIDENTS_SHOWN ? count++ : INCIDENTS_SHOWN;
        for (; at > 0 && out[at - 1] < number; at--)
            if (at < INCIDENTS_SHOWN)
                out[at] = out[at - 1];
        if (at < INCIDENTS_SHOWN)
            out[at] = number;
    }
    if (dir != NULL)
        closedir(dir);
    return count;
}

/* NULL: gone meanwhile, or damaged. */
static json_t *load(const char *folder, unsigned long long number)
{
    char path[PATH_MAX + 64];
    json_error_t error;
    snprintf(path, sizeof path, "%s/%06llu.json", folder, number);
    json_t *incident = json_load_file(path, 0, &error);
    if (incident == NULL)
        fprintf(stderr, "moonwatch ctl: %s can't be read: %s\n", path, error.text);
    return incident;
}

static void print_one(FILE *out, const json_t *incident)
{
    struct terminal_style style = terminal_style(out);
    const char *at = json_string_value(json_object_get(incident, "at"));
    const char *message = json_string_value(json_object_get(incident, "message"));
    json_int_t number = json_integer_value(json_object_get(incident, "number"));
    fprintf(out, "%s%6lld%s  %s%-26.26s%s  ", style.bold, (long long)number, style.end, style.dim,
            at != NULL ? at : "", style.end);
    terminal_write_wrapped(out, message != NULL ? message : "(no message)",
                           (struct terminal_wrap){.column = INDENT,
                                                  .indent = INDENT,
                                                  .width = (size_t)terminal_width(out)});
}

void incidents_print(FILE *out, const struct options *options, bool as_json)
{
    char folder[PATH_MAX + 16];
    unsigned long long numbers[INCIDENTS_SHOWN];
    state_dir_path(options, folder);
    strcat(folder, "/incidents");
    json_t *all = json_array();
    size_t count = newest_numbers(folder, numbers);
    for (size_t i = 0; i < count; i++) {
        json_t *incident = load(folder, numbers[i]);
        if (incident != NULL && !as_json)
            print_one(out, incident);
        if (incident != NULL)
            json_array_append_new(all, incident);
    }
    if (as_json) {
        json_dumpf(all, out, JSON_INDENT(1) | JSON_ENSURE_ASCII); /* also on a screen */
        fputc('\n', out);
    } else if (json_array_size(all) == 0) {
        fputs("no incidents: nothing has broken yet\n", out);
    }
    json_decref(all);
}
