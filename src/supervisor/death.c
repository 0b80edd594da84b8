/* See death.h. */
#include "supervisor/death.h"

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/parts.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define LOGGER "supervisor"

static bool is_engine(const struct ward *ward)
{
    return ward->child.process == PROCESS_ENGINE;
}

/* The engine says it when the store is open; before, nobody has one. */
static uint64_t generation(const struct status_page *page)
{
    double value = page_get(page, GAUGE_GENERATION);
    return value > 0 && value < 0x1p53 ? (uint64_t)value : 0;
}

/* Who fell says so itself; one that hung and left no last words was known by its beat. */
static uint64_t fallen_thread(const struct status_page *page, const struct incident_death *death)
{
    const struct crash_report *crash = &page->crashes[death->process];
    if (atomic_load_explicit(&crash->is_filled, memory_order_acquire) != 0)
        return (uint64_t)crash->thread;
    return death->beat < BEAT_COUNT ? atomic_load(&page->beats[death->beat].thread) : 0;
}

static struct incident_death explain(struct supervisor *supervisor, const struct ward *ward,
                                     instant now)
{
    const struct child *child = &ward->child;
    bool is_exit = child->status_code == CLD_EXITED;
    struct incident_death death = {.cause = is_exit ? INCIDENT_EXIT : INCIDENT_SIGNAL,
                                   .beat = BEAT_COUNT};
    if (ward->is_doomed)
        death = ward->death; /* we killed it, and know why */
    else if (!is_exit && child->status == SIGKILL && memory_was_killed(&supervisor->memory))
        death.cause = INCIDENT_OUT_OF_MEMORY;
    death.at = now;
    death.process = child->process;
    death.pid = child->last_pid;
    death.signal = is_exit ? 0 : child->status;
    death.exit_status = is_exit ? child->status : 0;
    death.generation = generation(supervisor->world.page);
    death.thread = fallen_thread(supervisor->world.page, &death);
    return death;
}

/* What comes from outside says nothing about the tokens in hand, and they are not to pay for it. */
static bool came_from_outside(const struct incident_death *death)
{
    return death->cause == INCIDENT_COMMAND || death->cause == INCIDENT_STOPPED ||
           (death->cause == INCIDENT_SIGNAL &&
            (death->signal == SIGKILL || death->signal == SIGTERM));
}

static void blame_tokens(struct supervisor *supervisor, const struct ward *ward, instant now)
{
    struct status_page *page = supervisor->world.page;
    duration span = duration_s(supervisor->options.quarantine_sec);
    uint32_t hands =
        came_from_outside(&ward->death) ? 0 : hands_of_death(page->hands, ward->death.thread);
    size_t quarantined = 0;
    for (int i = 0; i < HANDS_MAX; i++) {
        if (hands >> i & 1)
            quarantined += suspects_on_death(&page->suspects, &page->hands[i], now, span);
        atomic_store(&page->hands[i].count, 0);
    }
    if (quarantined == 0)
        return;
    page_add(page, COUNTER_QUARANTINED, quarantined);
    flight_record(&page->flight, now,
                  &(struct flight_note){.kind = FLIGHT_HEALING,
                                        .process = PROCESS_SUPERVISOR,
                                        .what = PROCESS_ENGINE,
                                        .to = HEALED_BY_QUARANTINE,
                                        .number = quarantined});
    log_error(LOGGER, "a token was in hand at two deaths: it is in quarantine",
              LOG_INT("tokens", quarantined));
}

void death_note(struct supervisor *supervisor, struct ward *ward, instant now)
{
    ward->death = explain(supervisor, ward, now);
    ward->is_doomed = false;
    if (ward->incident.number == 0) {
        ward->died_at = now;
        ward->attempts = 0;
        incident_begin(&supervisor->incidents, &ward->incident, supervisor->world.page,
                       &ward->death);
    }
    if (is_engine(ward))
        blame_tokens(supervisor, ward, now);
}

/* Of an empty list 0, as before anything was written. */
static uint64_t digest(const struct suspects *suspects)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        const struct suspect *row = &suspects->rows[i];
        uint32_t state = atomic_load_explicit(&row->state, memory_order_acquire);
        uint64_t one = 0;
        if (state != SUSPECT_NONE)
            one = (uint64_t)row->since_us + (uint64_t)atomic_load(&row->until_us) * 7;
        sum = sum * 31 + (one ^ state);
    }
    return sum;
}

static void note_unsaved(struct supervisor *supervisor, const char *cause)
{
    page_add(supervisor->world.page, COUNTER_SUSPECTS_UNSAVED, 1);
    if (supervisor->suspects_failures++ == 0)
        log_warning(LOGGER, "the list of suspects can't be written; trying again once a second",
                    LOG_STRING("cause", cause));
}

void death_keep_suspects(struct supervisor *supervisor)
{
    const struct suspects *suspects = &supervisor->world.page->suspects;
    uint64_t now = digest(suspects);
    if (now == supervisor->suspects_digest)
        return;
    if (!state_dir_save_suspects(&supervisor->state_dir, suspects)) {
        note_unsaved(supervisor, strerror(errno));
        return;
    }
    supervisor->suspects_digest = now;
    if (supervisor->suspects_failures > 0)
        log_info(LOGGER, "the list of suspects is written now",
                 LOG_INT("failures", supervisor->suspects_failures));
    supervisor->suspects_failures = 0;
}

static void finish(struct supervisor *supervisor, struct ward *ward,
                   struct incident_healing *healing)
{
    const struct suspects *suspects = &supervisor->world.page->suspects;
    healing->attempts = ward->attempts;
    healing->quarantined = suspects_count(suspects, SUSPECT_QUARANTINED);
    healing->suspects_now = healing->quarantined + suspects_count(suspects, SUSPECT_WATCHED);
    incident_finish(&supervisor->incidents, &ward->incident, healing, supervisor->world.page);
}

void death_healed(struct supervisor *supervisor, struct ward *ward, instant now)
{
    struct incident_healing healing = {
        .action = HEALING_EMERGENCY_RESTART,
        .start = is_engine(ward) ? ward->verdict.start : START_NONE,
        .replaced_after = instant_diff(now, ward->died_at),
    };
    if (ward->incident.number == 0)
        return;
    snprintf(healing.why, sizeof healing.why, "%s", ward->start_why);
    finish(supervisor, ward, &healing);
}

void death_unhealed(struct supervisor *supervisor, struct ward *ward, const char *why)
{
    struct incident_healing healing = {.action = HEALING_NONE};
    if (ward->incident.number == 0)
        return;
    snprintf(healing.why, sizeof healing.why, "%s", why);
    finish(supervisor, ward, &healing);
}
