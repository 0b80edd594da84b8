/* POST /admin/…: jobs that are run now, and what becomes of the engine itself. Answered when the
 * engine has accepted it. */
#include "api/answer.h"
#include "api/engine_link.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/json.h"
#include "page/engine_state.h"

#define JOB_PATIENCE_SEC 5

static void answer_status(struct request *request, const char *status)
{
    if (refuse_unless_done(request, MHD_HTTP_BAD_REQUEST))
        return;
    struct json json = {0};
    json_object_open(&json, NULL);
    json_put_string(&json, "status", status);
    json_object_close(&json);
    answer_json(request, MHD_HTTP_OK, &json);
}

static void ask_job(struct request *request, enum command_kind kind, request_step *next)
{
    struct command command = {.kind = kind};
    engine_ask(request, &command, duration_s(JOB_PATIENCE_SEC), next);
}

static void answer_recalculate(struct request *request)
{
    answer_status(request, "started");
}

static void answer_archive(struct request *request)
{
    answer_status(request, "archiver_started");
}

static void answer_activation(struct request *request)
{
    answer_status(request, "activation_started");
}

static void answer_export(struct request *request)
{
    answer_status(request, "export_started");
}

void handle_recalculate(struct request *request)
{
    ask_job(request, COMMAND_RECALCULATE, answer_recalculate);
}

void handle_archive(struct request *request)
{
    ask_job(request, COMMAND_ARCHIVE, answer_archive);
}

void handle_activation(struct request *request)
{
    ask_job(request, COMMAND_ACTIVATION, answer_activation);
}

static void answer_pause(struct request *request)
{
    answer_status(request, "paused");
}

static void answer_resume(struct request *request)
{
    answer_status(request, "resumed");
}

static void answer_restart(struct request *request)
{
    answer_status(request, "restarting");
}

void handle_pause(struct request *request)
{
    ask_job(request, COMMAND_PAUSE, answer_pause);
}

void handle_resume(struct request *request)
{
    ask_job(request, COMMAND_RESUME, answer_resume);
}

/* Not left in the socket for an engine that is fresh already. */
void handle_restart(struct request *request)
{
    char why[ENGINE_WHY_SIZE];
    const struct status_page *page = request->api->world.page;
    if (engine_is_up(page)) {
        ask_job(request, COMMAND_RESTART, answer_restart);
        return;
    }
    engine_down_why(page, clock_now(), why);
    refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "%s", why);
}

void handle_notarb_export(struct request *request)
{
    ask_job(request, COMMAND_EXPORT, answer_export);
}
