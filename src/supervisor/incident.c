/* The folder, and what is copied at a death. What a file says is in incident_text.c. */
#include "supervisor/incident.h"

#include "base/log.h"
#include "supervisor/incident_text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME_SIZE    32
#define NUMBER_DIGITS     6  /* at least; file listings stay in order up to a million */
#define NUMBER_DIGITS_MAX 18 /* fits 64 bits with room to go on */
#define UNFINISHED_NAME   "unfinished.tmp"

static void name_file(uint64_t number, char out[FILE_NAME_SIZE])
{
    snprintf(out, FILE_NAME_SIZE, "%0*" PRIu64 ".json", NUMBER_DIGITS, number);
}

/* 0: the name is none of ours. */
static uint64_t number_of(const char *name)
{
    size_t digits = strspn(name, "0123456789");
    uint64_t number = 0;
    char again[FILE_NAME_SIZE];
    if (digits < NUMBER_DIGITS || digits > NUMBER_DIGITS_MAX)
        return 0;
    for (size_t i = 0; i < digits; i++)
        number = number * 10 + (uint64_t)(name[i] - '0');
    name_file(number, again);
    return strcmp(name, again) == 0 ? number : 0;
}

static void delete_file(const struct incidents *incidents, uint64_t number)
{
    char name[FILE_NAME_SIZE];
    name_file(number, name);
    if (unlinkat(incidents->folder, name, 0) != 0 && errno != ENOENT)
        log_warning("supervisor", "an old incident can't be deleted", LOG_INT("number", number),
                    LOG_STRING("cause", strerror(errno)));
}

static uint64_t highest_number(DIR *folder)
{
    uint64_t highest = 0;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        if (number_of(entry->d_name) > highest)
            highest = number_of(entry->d_name);
    return highest;
}

static void delete_up_to(const struct incidents *incidents, DIR *folder, uint64_t last)
{
    struct dirent *entry;
    rewinddir(folder);
    while ((entry = readdir(folder)) != NULL) {
        uint64_t number = number_of(entry->d_name);
        if (number != 0 && number <= last)
            delete_file(incidents, number);
    }
}

static DIR *open_listing(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
    if (listing == NULL && fd >= 0)
        close(fd);
    return listing;
}

void incidents_init(struct incidents *incidents, int folder, int64_t max)
{
    incidents->folder = folder;
    incidents->max = (uint64_t)max;
    incidents->next = 1;
    incidents->unwritten = 0;
    json_init_fixed(&incidents->json, incidents->text, sizeof incidents->text);
    DIR *listing = open_listing(folder);
    if (listing == NULL) {
        log_warning("supervisor", "the folder of incidents can't be read",
                    LOG_STRING("cause", strerror(errno)));
        return;
    }
    uint64_t highest = highest_number(listing);
    if (highest > incidents->max)
        delete_up_to(incidents, listing, highest - incidents->max);
    incidents->next = highest + 1;
    closedir(listing);
}

/* ---- at the death ---- */

/* Of several hands, when nobody knows whose it was, as much as there is room for. */
static void copy_hand(struct incident *out, const struct in_hand *in_hand)
{
    uint32_t count = atomic_load_explicit(&in_hand->count, memory_order_acquire);
    uint32_t room = IN_HAND_MAX - out->in_hand_count;
    if (out->in_hand_count == 0) {
        out->in_hand_lane = in_hand->lane;
        out->in_hand_request = in_hand->request;
    }
    count = count < room ? count : room;
    memcpy(out->in_hand + out->in_hand_count, in_hand->mints, count * sizeof out->in_hand[0]);
    out->in_hand_count += count;
}

static void copy_hands(struct incident *out, const struct status_page *page)
{
    uint32_t hands = hands_of_death(page->hands, out->death.thread);
    for (int i = 0; i < HANDS_MAX; i++)
        if (hands >> i & 1)
            copy_hand(out, &page->hands[i]);
}

/* All of the last INCIDENT_SPAN_SEC that fit, and the newest few in any case. */
static void copy_transitions(struct incident *out, const struct flight *flight)
{
    instant from = instant_add(out->death.at, duration_s(-INCIDENT_SPAN_SEC));
    size_t count = flight_read(flight, out->transitions, INCIDENT_TRANSITIONS_MAX);
    size_t first = 0;
    while (count - first > INCIDENT_TRANSITIONS_MIN && out->transitions[first].at_us < from.us)
        first++;
    memmove(out->transitions, out->transitions + first,
            (count - first) * sizeof out->transitions[0]);
    out->transition_count = (uint32_t)(count - first);
}

void incident_begin(struct incidents *incidents, struct incident *out, struct status_page *page,
                    const struct incident_death *death)
{
    out->number = incidents->next++;
    out->death = *death;
    out->in_hand_count = 0;
    crash_take(&page->crashes[death->process], &out->crash);
    if (death->process == PROCESS_ENGINE)
        copy_hands(out, page);
    copy_transitions(out, &page->flight);
}

/* ---- when it is healed ---- */

static bool write_whole(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, text, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        text += written;
        length -= (size_t)written;
    }
    return true;
}

/* A name that is there already is replaced, whoever made it. False with errno. */
static bool write_file(const struct incidents *incidents, uint64_t number)
{
    char name[FILE_NAME_SIZE];
    int fd = openat(incidents->folder, UNFINISHED_NAME,
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    name_file(number, name);
    bool is_whole = write_whole(fd, incidents->json.text, incidents->json.length);
    int error = errno;
    close(fd);
    if (is_whole && renameat(incidents->folder, UNFINISHED_NAME, incidents->folder, name) == 0)
        return true;
    error = is_whole ? errno : error;
    unlinkat(incidents->folder, UNFINISHED_NAME, 0); /* gives a full disk its room back */
    errno = error;
    return false;
}

/* False with errno. */
static bool keep(struct incidents *incidents, uint64_t number, struct status_page *page)
{
    if (!write_file(incidents, number))
        return false;
    if (number > incidents->max)
        delete_file(incidents, number - incidents->max);
    page_add(page, COUNTER_INCIDENTS, 1);
    atomic_store_explicit(&page->incident, number, memory_order_release);
    return true;
}

/* Its text makes room for another one, or ends with us. */
static void lose(struct incidents *incidents, struct status_page *page)
{
    if (incidents->unwritten == 0)
        return;
    log_error("supervisor", "an incident could not be written; the log is all there is of it",
              LOG_INT("number", incidents->unwritten));
    page_add(page, COUNTER_INCIDENTS_LOST, 1);
    incidents->unwritten = 0;
}

bool incident_finish(struct incidents *incidents, struct incident *incident,
                     const struct incident_healing *healing, struct status_page *page)
{
    char message[INCIDENT_MESSAGE_SIZE];
    uint64_t number = incident->number;
    incident_message(incident, healing, message);
    log_error("supervisor", message, LOG_INT("incident", number),
              LOG_STRING("cause", incident_cause_name(incident->death.cause)));
    lose(incidents, page);
    json_reset(&incidents->json);
    incident_write_json(&incidents->json, incident, healing);
    incident->number = 0;
    if (!incidents->json.failed && keep(incidents, number, page))
        return true;
    incidents->unwritten = number;
    if (incidents->json.failed) /* there is nothing that could be tried again */
        lose(incidents, page);
    else
        log_warning("supervisor", "the incident can't be written; trying again once a second",
                    LOG_INT("number", number), LOG_STRING("cause", strerror(errno)));
    return false;
}

void incidents_retry(struct incidents *incidents, struct status_page *page)
{
    if (incidents->unwritten == 0 || !keep(incidents, incidents->unwritten, page))
        return;
    log_info("supervisor", "the incident is written now", LOG_INT("number", incidents->unwritten));
    incidents->unwritten = 0;
}

void incidents_finish(struct incidents *incidents, struct status_page *page)
{
    incidents_retry(incidents, page);
    lose(incidents, page);
}
