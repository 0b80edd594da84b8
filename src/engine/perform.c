/* Each kind of action of the core. */
#include "engine/node.h"
#include "engine/parts.h"

#include "base/log.h"
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/socket.h>

void engine_reply(struct engine *engine, const struct reply *reply)
{
    (void)engine;
    struct reply sent = *reply;
    int fd = sent.tag & LINK_TAG ? FD_LINK : FD_COMMAND;
    sent.tag &= ~LINK_TAG;
    /* A full socket: nobody reads there. Their loss; clients are answered by a deadline. */
    if (send(fd, &sent, sizeof sent, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_warning("api", "a reply was lost", LOG_STRING("error", strerror(errno)));
}

static void perform_reply(struct engine *engine, const struct action *action)
{
    if (action->reply.result == REPLY_ELSEWHERE && engine_node_forward(engine, action->reply.tag))
        return; /* it is answered when the other node has done it */
    engine_node_answered(engine, action->reply.tag);
    static const uint32_t results[] = {
        [REPLY_CREATED] = RESULT_CREATED,
        [REPLY_KNOWN] = RESULT_KNOWN,
        [REPLY_DONE] = RESULT_DONE,
        [REPLY_NOT_FOUND] = RESULT_NOT_FOUND,
        [REPLY_UNAVAILABLE] = RESULT_UNAVAILABLE,
        [REPLY_ELSEWHERE] = RESULT_ELSEWHERE,
    };
    struct reply reply = {
        .result = results[action->reply.result],
        .tag = action->reply.tag,
        .snapshot_id = action->reply.snapshot_id,
        .score = action->reply.score,
    };
    if (action->reply.message != NULL)
        snprintf(reply.message, sizeof reply.message, "%s%s",
                 reply.result == RESULT_UNAVAILABLE ? "not available now: " : "",
                 action->reply.message);
    engine_reply(engine, &reply);
}

/* The tokens of an order: of a refresh, which is for pools, the core knows them. */
static void add_tokens(const struct engine *engine, const struct action *action,
                       struct address space[REQUEST_ADDRESSES_MAX], struct feed_order *order)
{
    token_id ids[REQUEST_ADDRESSES_MAX];
    if (action->fetch.lane != LANE_REFRESH) {
        order->tokens = action->fetch.addresses;
        order->token_count = action->fetch.count;
        return;
    }
    order->tokens = space;
    order->token_count = core_request_tokens(engine->core, action->fetch.request, ids);
    for (size_t i = 0; i < order->token_count; i++)
        space[i] = token_slot(engine->memory.table, ids[i])->mint;
}

static void perform_fetch(struct engine *engine, const struct action *action)
{
    struct address tokens[REQUEST_ADDRESSES_MAX];
    struct feed_order order = {.request = action->fetch.request,
                               .kind = action->fetch.lane,
                               .addresses = action->fetch.addresses,
                               .count = action->fetch.count};
    engine_note(engine, &(struct flight_note){.kind = FLIGHT_REQUEST_SENT,
                                              .what = action->fetch.lane,
                                              .to = (unsigned)action->fetch.count,
                                              .number = action->fetch.request,
                                              .subject = action->fetch.addresses});
    add_tokens(engine, action, tokens, &order);
    enum err err = feed_workers_send(engine->workers, &order);
    if (err != OK) /* its deadline in the core brings the tokens back */
        log_error("feed", "cannot send; trying again when its deadline has passed",
                  LOG_STRING("error", err_text(err)));
}

static void perform_history(struct engine *engine, const struct action *action)
{
    struct store_event event = {
        .token = action->history.id,
        .at = engine->actions.now,
    };
    snprintf(event.kind, sizeof event.kind, "%s", action->history.event);
    snprintf(event.reason, sizeof event.reason, "%s", action->history.reason);
    writer_add_event(engine->writer, &event);
    char mint[ADDRESS_TEXT_MAX + 1];
    const struct token *token = token_slot(engine->memory.table, action->history.id);
    engine_note(engine, &(struct flight_note){
                            .kind = FLIGHT_LIFE, .to = token->status, .subject = &token->mint});
    address_format(&token->mint, mint);
    /* A first connection may bring thousands of tokens: that they came is for those who look. */
    bool is_new = token->state.answers == 0;
    LOG_AT(is_new ? LOG_DEBUG : LOG_INFO, "life", action->history.event, LOG_STRING("mint", mint),
           LOG_STRING("reason", action->history.reason));
}

/* As the flight recorder keeps it. */
static struct flight_note note_of(const struct engine *engine, const struct action *action)
{
    static const enum flight_kind kinds[TRANSITION_COUNT] = {
        [TRANSITION_BREAKER] = FLIGHT_BREAKER, [TRANSITION_JOB] = FLIGHT_JOB,
        [TRANSITION_SUSPECT] = FLIGHT_SUSPECT, [TRANSITION_QUARANTINE] = FLIGHT_SUSPECT,
        [TRANSITION_PAUSE] = FLIGHT_PAUSE,     [TRANSITION_LOAD] = FLIGHT_LOAD,
        [TRANSITION_FEATURE] = FLIGHT_FEATURE, [TRANSITION_FORECAST] = FLIGHT_FORECAST,
    };
    enum transition what = action->transition.what;
    bool is_of_token = what == TRANSITION_SUSPECT || what == TRANSITION_QUARANTINE;
    struct flight_note note = {.kind = kinds[what],
                               .from = action->transition.from,
                               .to = action->transition.to,
                               .number = action->transition.id};
    if (!is_of_token)
        note.what = action->transition.id;
    if (is_of_token)
        note.subject = &token_slot(engine->memory.table, action->transition.id)->mint;
    return note;
}

static void perform_transition(struct engine *engine, const struct action *action)
{
    enum transition what = action->transition.what;
    struct flight_note note = note_of(engine, action);
    engine_note(engine, &note);
    if (what == TRANSITION_LOAD || what == TRANSITION_FEATURE || what == TRANSITION_FORECAST) {
        engine_tell_load(engine, action);
        return;
    }
    /* Jobs begin and end every few seconds. */
    LOG_AT(what == TRANSITION_JOB ? LOG_DEBUG : LOG_INFO, "heal", transition_name(what),
           LOG_STRING("from", transition_state_name(what, action->transition.from)),
           LOG_STRING("to", transition_state_name(what, action->transition.to)),
           LOG_INT("id", action->transition.id));
}

void engine_perform(struct engine *engine, const struct action *action)
{
    switch (action->kind) {
    case ACTION_FETCH:
        perform_fetch(engine, action);
        return;
    case ACTION_CANCEL:
        feed_workers_cancel(engine->workers, action->cancel.request);
        return;
    case ACTION_ADD_TOKEN:
        writer_add_token(engine->writer, action->add_token.id, action->add_token.tag);
        changes_put(&engine->page->changes, action->add_token.id);
        return;
    case ACTION_SAVE:
        writer_mark_dirty(engine->writer, action->save.id);
        changes_put(&engine->page->changes, action->save.id);
        return;
    case ACTION_SNAPSHOT:
        writer_take_snapshot(engine->writer, action->snapshot.id, action->snapshot.snapshot_id,
                             action->snapshot.previous);
        return;
    case ACTION_HISTORY:
        perform_history(engine, action);
        return;
    case ACTION_REPLY:
        perform_reply(engine, action);
        return;
    case ACTION_EXPORT:
        engine_export(engine, action->export.run);
        return;
    case ACTION_RETENTION:
        writer_delete_history(engine->writer, action->retention.snapshots_before,
                              action->retention.events_before, action->retention.run);
        return;
    case ACTION_JOB_CANCEL:
        if (action->job_cancel.job == JOB_EXPORT)
            engine_export_cancel(engine, action->job_cancel.run);
        log_warning("heal", "a job overran its deadline and is run again",
                    LOG_STRING("job", job_name(action->job_cancel.job)));
        return;
    case ACTION_RESTART:
        log_error("heal", "a graceful restart is called for",
                  LOG_STRING("reason", action->restart.reason));
        engine_report(REPORT_RESTART, action->restart.reason);
        return;
    case ACTION_SUSPECT_CLEARED:
        engine_on_cleared(engine, action->suspect_cleared.id);
        return;
    case ACTION_LIMIT:
        engine_perform_limit(engine, action);
        return;
    case ACTION_ALERT:
        engine_perform_alert(engine, action);
        return;
    case ACTION_TRANSITION:
        perform_transition(engine, action);
        return;
    case ACTION_KIND_COUNT:
        return;
    }
}
