/* How tokens are sent: with others, alone as a suspect, or never. See trust.h and trial.h. */
#include "core/state.h"

#include "base/mark.h"
#include <assert.h>

#define IN_QUARANTINE   "the token is in quarantine"
#define UNDER_SUSPICION "the token came under suspicion; ask again"

enum trust trust_of(const struct core *core, token_id id)
{
    if (token_slot(core->table, id)->flags & TOKEN_QUARANTINED)
        return TRUST_QUARANTINE;
    return trials_has(&core->suspects, id) ? TRUST_SUSPECT : TRUST_ORDINARY;
}

const char *trust_refusal(const struct core *core, token_id id)
{
    return trust_of(core, id) == TRUST_QUARANTINE ? IN_QUARANTINE : NULL;
}

static void set_quarantined(struct core *core, token_id id, uint8_t flag)
{
    struct token *draft = token_write_begin(core->table, id);
    draft->flags = (uint8_t)((draft->flags & ~TOKEN_QUARANTINED) | flag);
    token_write_end(core->table, id);
}

/* The one place where a token's trust changes. */
static void change(struct core *core, token_id id, enum trust to)
{
    enum trust from = trust_of(core, id);
    assert(from != to);
    if (from == TRUST_SUSPECT)
        trials_remove(&core->suspects, id);
    else if (from == TRUST_QUARANTINE)
        set_quarantined(core, id, 0);
    if (to == TRUST_SUSPECT) {
        MARK(SUSPECTED);
        trials_add(&core->suspects, id);
    } else if (to == TRUST_QUARANTINE) {
        MARK(QUARANTINED);
        set_quarantined(core, id, TOKEN_QUARANTINED);
    }
    if (from == TRUST_ORDINARY)
        follow_leave(core, id);
    else if (to == TRUST_ORDINARY)
        follow_join(core, id);
    core->stats.suspects = core->suspects.count;
    core->stats.quarantined += (to == TRUST_QUARANTINE) - (from == TRUST_QUARANTINE);
    bool quarantine = from == TRUST_QUARANTINE || to == TRUST_QUARANTINE;
    core_tell(core, quarantine ? TRANSITION_QUARANTINE : TRANSITION_SUSPECT, from, to, id);
}

/* By an event, whatever is under way: that is not listened to any more. */
static void change_now(struct core *core, token_id id, enum trust to)
{
    schedule_withdraw(core, id);
    core_reply_waiting(core, id, REPLY_UNAVAILABLE,
                       to == TRUST_QUARANTINE ? IN_QUARANTINE : UNDER_SUSPICION);
    change(core, id, to);
}

void trust_forget(struct core *core, token_id id)
{
    if (trust_of(core, id) == TRUST_SUSPECT)
        trials_remove(&core->suspects, id);
    core->stats.suspects = core->suspects.count;
    core->stats.quarantined -= trust_of(core, id) == TRUST_QUARANTINE;
}

static void tell_cleared(struct core *core, token_id id)
{
    MARK(CLEARED);
    core->stats.cleared++;
    core_act(core, ACTION_SUSPECT_CLEARED)->suspect_cleared.id = id;
}

/* The oldest had the most time to be tried: it is the one to forget. */
static void make_room(struct core *core)
{
    if (core->suspects.count < TRIALS_MAX)
        return;
    token_id oldest = core->suspects.items[0].id;
    change_now(core, oldest, TRUST_ORDINARY);
    MARK(SUSPECT_FORGOTTEN);
    core->stats.suspects_forgotten++;
    tell_cleared(core, oldest);
}

static struct defendant *make_suspect(struct core *core, token_id id)
{
    if (trust_of(core, id) != TRUST_SUSPECT) {
        make_room(core);
        change_now(core, id, TRUST_SUSPECT);
    }
    return trials_find(&core->suspects, id);
}

/* What the shell remembers may be of another table than this one. */
static bool exists(const struct core *core, token_id id)
{
    return id != TOKEN_NONE && id <= core_last(core) &&
           !(token_slot(core->table, id)->flags & TOKEN_HOLE);
}

void trust_on_suspect(struct core *core, token_id id, enum lane_kind lane)
{
    if (exists(core, id) && trust_of(core, id) != TRUST_QUARANTINE)
        trial_try(make_suspect(core, id), lane_family(lane));
}

void trust_on_quarantine(struct core *core, token_id id)
{
    if (exists(core, id) && trust_of(core, id) != TRUST_QUARANTINE)
        change_now(core, id, TRUST_QUARANTINE);
}

void trust_on_release(struct core *core, token_id id)
{
    if (!exists(core, id) || trust_of(core, id) != TRUST_QUARANTINE)
        return;
    MARK(RELEASED);
    struct defendant *suspect = make_suspect(core, id);
    trial_try(suspect, LINKS_PRICE);
    trial_try(suspect, LINKS_DISCOVER);
}

void trust_discover(struct core *core, token_id id)
{
    struct defendant *suspect = trials_find(&core->suspects, id);
    assert(suspect != NULL);
    trial_try(suspect, LINKS_DISCOVER);
}

/* ---- trials ---- */

/* The time from which it waits to be sent in this kind of lane; INSTANT_FAR: it does not. */
static instant waits_since(const struct core *core, const struct defendant *suspect,
                           enum lane_kind lane)
{
    const struct trial *trial = &suspect->trials[lane_family(lane)];
    bool is_here = lane == LANE_DISCOVER || follow_price_lane(core, suspect->id) == lane;
    bool is_waiting = is_here && trial->state == TRIAL_WAITING && share_works_on(core, suspect->id);
    return is_waiting ? trial->not_before : INSTANT_FAR;
}

token_id trust_next_suspect(const struct core *core, enum lane_kind lane)
{
    const struct trials *suspects = &core->suspects;
    if (trials_has_under_way(suspects, lane))
        return TOKEN_NONE;
    for (uint32_t i = 0; i < suspects->count; i++)
        if (waits_since(core, &suspects->items[i], lane).us <= core->now.us)
            return suspects->items[i].id;
    return TOKEN_NONE;
}

instant trust_next_due(const struct core *core, enum lane_kind lane)
{
    instant due = INSTANT_FAR;
    if (trials_has_under_way(&core->suspects, lane))
        return due; /* its answer wakes us */
    for (uint32_t i = 0; i < core->suspects.count; i++)
        due = instant_min(due, waits_since(core, &core->suspects.items[i], lane));
    return due;
}

void trust_sent(struct core *core, token_id id, enum lane_kind lane)
{
    trial_sent(trials_find(&core->suspects, id), lane);
}

void trust_failed(struct core *core, token_id id, enum lane_kind lane)
{
    trial_failed(trials_find(&core->suspects, id), lane, core->now);
}

bool trust_passed(struct core *core, token_id id, enum lane_kind lane)
{
    if (!trial_passed(trials_find(&core->suspects, id), lane))
        return false;
    change(core, id, TRUST_ORDINARY);
    return true;
}

void trust_cleared(struct core *core, token_id id)
{
    assert(trust_of(core, id) == TRUST_ORDINARY);
    tell_cleared(core, id);
}
