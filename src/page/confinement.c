/* See confinement.h. */
#include "page/confinement.h"

#include "base/confine.h"
#include "base/log.h"
#include "page/state_dir.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE_FILE   "file:"
#define SOURCE_FOLLOW "?follow"

static unsigned powers_of(enum page_process_id process, const struct options *options)
{
    if (process == PROCESS_API)
        return 0;
    if (process == PROCESS_SUPERVISOR || options->alert_command[0] != '\0')
        return CONFINE_WRITE_FILES | CONFINE_CONNECT | CONFINE_EXECUTE | CONFINE_ALL_FILES |
               CONFINE_SIGNAL;
    return CONFINE_WRITE_FILES | CONFINE_CONNECT;
}

/* The source reads file:PATH or file:PATH?follow, which others may replace. */
static void allow_source(struct confinement *confinement, const char *source)
{
    char path[OPTION_TEXT_SIZE];
    if (strncasecmp(source, SOURCE_FILE, strlen(SOURCE_FILE)) != 0)
        return;
    snprintf(path, sizeof path, "%s", source + strlen(SOURCE_FILE));
    char *follow = strstr(path, SOURCE_FOLLOW);
    if (follow != NULL && strcmp(follow, SOURCE_FOLLOW) == 0)
        *follow = '\0';
    confine_allow_around(confinement, path, CONFINE_READ);
}

/* What libpq reads: the passwords of its user, certificates. */
static void allow_server(struct confinement *confinement, const char *url)
{
    static const char *const PARAMETERS[] = {
        "passfile=", "sslcert=", "sslkey=", "sslrootcert=", "sslcrl="};
    char path[OPTION_TEXT_SIZE + 32];
    const char *home = getenv("HOME"), *passwords = getenv("PGPASSFILE");
    snprintf(path, sizeof path, "%.255s/.pgpass", home != NULL ? home : "");
    confine_allow(confinement, passwords != NULL ? passwords : path, CONFINE_READ);
    snprintf(path, sizeof path, "%.255s/.postgresql", home != NULL ? home : "");
    confine_allow(confinement, path, CONFINE_READ);
    for (size_t i = 0; i < sizeof PARAMETERS / sizeof *PARAMETERS; i++) {
        const char *value = strstr(url, PARAMETERS[i]);
        if (value == NULL)
            continue;
        value += strlen(PARAMETERS[i]);
        snprintf(path, sizeof path, "%.*s", (int)strcspn(value, "&"), value);
        confine_allow(confinement, path, CONFINE_READ);
    }
}

static void allow_engine(struct confinement *confinement, const struct options *options)
{
    allow_source(confinement, options->source);
    if (database_path(options) != NULL)
        confine_allow_around(confinement, database_path(options), CONFINE_READ_WRITE);
    else
        allow_server(confinement, options->db);
    if (options->export_path[0] != '\0')
        confine_allow_around(confinement, options->export_path, CONFINE_READ_WRITE);
    if (options->tls_ca_file[0] != '\0')
        confine_allow_around(confinement, options->tls_ca_file, CONFINE_READ);
}

static void allow_api(struct confinement *confinement, const struct options *options)
{
    char state[PATH_MAX];
    state_dir_path(options, state);
    confine_allow(confinement, state, CONFINE_READ);
    if (database_path(options) != NULL)
        confine_allow_around(confinement, database_path(options), CONFINE_READ);
}

/* What the kernel should have given and has not. */
static void tell(unsigned wanted, unsigned given)
{
    char missing[128] = "";
    size_t length = 0;
    for (enum confine_part part = 0; part < CONFINE_PART_COUNT; part++)
        if ((wanted & ~given & 1U << part) != 0 && length < sizeof missing)
            length += (size_t)snprintf(missing + length, sizeof missing - length, "%s%s",
                                       length > 0 ? ", " : "", confine_part_name(part));
    if (length > 0)
        log_warning("sandbox", "this kernel lets us give up less than we would",
                    LOG_STRING("missing", missing));
}

void confine_process(enum page_process_id process, const struct options *options,
                     struct status_page *page)
{
    struct confinement confinement;
    if (options->sandbox == SANDBOX_OFF) {
        atomic_store(&page->processes[process].confined, 0);
        return;
    }
    unsigned powers = powers_of(process, options);
    confine_begin(&confinement, powers);
    confine_allow_system(&confinement);
    if (process == PROCESS_ENGINE)
        allow_engine(&confinement, options);
    if (process == PROCESS_API)
        allow_api(&confinement, options);
    unsigned given = confine_enter(&confinement);
    atomic_store(&page->processes[process].confined, given);
    tell(confine_parts_wanted(powers), given);
}
