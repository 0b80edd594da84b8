/* What people are told, over starts and power cuts. See parts.h. */
#include "sim/parts.h"

/* Numbers rise whatever happens: receivers tell old from new by them. */
void messages_keep(struct sim *sim, const struct action *action)
{
    const struct alert_message *message = action->alert.message;
    struct sim_messages *messages = &sim->messages;
    if (message->id <= messages->last_id)
        oracle_complain(&sim->oracle, sim->now, "message %lld came after %lld",
                        (long long)message->id, (long long)messages->last_id);
    messages->last_id = message->id;
    if (message->kind != ALERT_TEST)
        messages->of[messages->count++ % MESSAGES_KEPT] = *message;
}

void messages_shift(struct sim *sim, duration by)
{
    for (int i = 0; i < MESSAGES_KEPT; i++)
        sim->messages.of[i].at = instant_add(sim->messages.of[i].at, by);
}

void messages_tell(struct sim *sim)
{
    const struct sim_messages *messages = &sim->messages;
    uint64_t kept = messages->count < MESSAGES_KEPT ? messages->count : MESSAGES_KEPT;
    for (uint64_t i = messages->count - kept; i < messages->count; i++) {
        struct event event = {.kind = EVENT_ALERT_KNOWN,
                              .alert_known = {&messages->of[i % MESSAGES_KEPT]}};
        sim_step(sim, &event);
    }
}
