/* moonwatch-market: puts the parts together on one loop, and ends them. */
#include "base/clock.h"
#include "base/log.h"
#include "market/control.h"
#include "market/settings.h"
#include "market/upstream.h"
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define HEAP_KEPT      (64 * 1024 * 1024)
#define CHECK_MS       50 /* how often faults that ended by time are noticed */
#define PEM_FILE_MAX   65536
#define EXIT_BAD_USAGE 2

struct market {
    uv_loop_t loop;
    struct settings settings;
    struct model *model;
    struct limits limits;
    struct faults faults;
    struct market_stats stats;
    struct upstream upstream;
    struct stream *stream;
    struct control control;
    struct http_server *http;
    struct http_server *control_http;
    char *certificate, *key;
    uv_signal_t terminate, interrupt;
    uv_timer_t check;
};

static void on_market_request(void *context, const struct http_request *request,
                              struct http_reply *reply)
{
    struct market *market = context;
    struct route route;
    route_parse(request->path, &route);
    if (route.kind == ROUTE_STREAM)
        stream_answer(market->stream, request, reply);
    else
        upstream_answer(&market->upstream, request, &route, reply, clock_now());
}

static void on_control_request(void *context, const struct http_request *request,
                               struct http_reply *reply)
{
    struct market *market = context;
    control_answer(&market->control, request, reply);
}

static void on_check(uv_timer_t *timer)
{
    struct market *market = timer->data;
    control_check_down(&market->control);
}

static void stop(struct market *market)
{
    stream_destroy(market->stream);
    http_destroy(market->http);
    http_destroy(market->control_http);
    market->stream = NULL;
    market->http = market->control_http = NULL;
    uv_timer_stop(&market->check);
    uv_close((uv_handle_t *)&market->check, NULL);
    uv_close((uv_handle_t *)&market->terminate, NULL);
    uv_close((uv_handle_t *)&market->interrupt, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    stop(handle->data);
}

/* ---- start ---- */

static char *read_pem(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, PEM_FILE_MAX);
    if (file == NULL || text == NULL || fread(text, 1, PEM_FILE_MAX - 1, file) == 0) {
        fprintf(stderr, "moonwatch-market: cannot read %s\n", path);
        free(text);
        text = NULL;
    }
    if (file != NULL)
        fclose(file);
    return text;
}

static bool create_parts(struct market *market)
{
    const struct settings *settings = &market->settings;
    struct market_time time = {.start = clock_now(), .speed = settings->speed};
    market->model = model_create(&(struct model_settings){.seed = settings->seed,
                                                          .tokens = settings->tokens,
                                                          .pools_mean = settings->pools_mean,
                                                          .start = time.start});
    if (market->model == NULL)
        return false;
    prng_seed(&market->faults.prng, settings->seed);
    market->limits.per_minute = settings->requests_per_minute;
    market->upstream = (struct upstream){.model = market->model,
                                         .bodies = bodies_create(market->model),
                                         .limits = &market->limits,
                                         .faults = &market->faults,
                                         .stats = &market->stats,
                                         .time = time,
                                         .latency_ms = settings->latency_ms,
                                         .cache_s = settings->cache_s};
    market->stream = stream_create(
        &market->loop,
        &(struct stream_settings){.model = market->model,
                                  .faults = &market->faults,
                                  .stats = &market->stats,
                                  .time = time,
                                  .graduations_per_hour = settings->graduations_per_hour,
                                  .replay_per_s = settings->replay_per_s});
    market->control = (struct control){.model = market->model,
                                       .faults = &market->faults,
                                       .limits = &market->limits,
                                       .stats = &market->stats,
                                       .stream = market->stream,
                                       .time = time};
    return market->upstream.bodies != NULL && market->stream != NULL;
}

static bool create_servers(struct market *market, char why[HTTP_MESSAGE_SIZE])
{
    const struct settings *settings = &market->settings;
    struct http_settings http = {.address = settings->address,
                                 .port = settings->port,
                                 .certificate = market->certificate,
                                 .key = market->key,
                                 .handler = on_market_request,
                                 .context = market};
    market->http = http_create(&market->loop, &http, why);
    if (market->http == NULL)
        return false;
    market->control.market = market->http;
    if (!settings->has_control_port)
        return true;
    http = (struct http_settings){.address = settings->address,
                                  .port = settings->control_port,
                                  .handler = on_control_request,
                                  .context = market};
    market->control_http = http_create(&market->loop, &http, why);
    return market->control_http != NULL;
}

static bool open_journal(struct market *market, char why[HTTP_MESSAGE_SIZE])
{
    const char *path = market->settings.journal_path;
    if (path == NULL)
        return true;
    market->upstream.journal = journal_open(path);
    if (market->upstream.journal == NULL)
        snprintf(why, HTTP_MESSAGE_SIZE, "cannot write the journal %.80s: %s", path,
                 strerror(errno));
    return market->upstream.journal != NULL;
}

static void announce(const struct market *market)
{
    const struct settings *settings = &market->settings;
    const char *safe = settings->certificate_path != NULL ? "s" : "";
    unsigned port = http_port(market->http);
    bool is_ip6 = strchr(settings->address, ':') != NULL;
    const char *left = is_ip6 ? "[" : "";
    const char *right = is_ip6 ? "]" : "";
    printf("moonwatch-market listening on http%s://%s%s%s:%u and ws%s://%s%s%s:%u/api/data", safe,
           left, settings->address, right, port, safe, left, settings->address, right, port);
    if (market->control_http != NULL)
        printf(", control on http://%s%s%s:%u", left, settings->address, right,
               (unsigned)http_port(market->control_http));
    printf("; tokens=%u seed=%llu speed=%g rpm=%g\n", settings->tokens,
           (unsigned long long)settings->seed, settings->speed, settings->requests_per_minute);
    fflush(stdout);
}

static void watch_signals_and_time(struct market *market)
{
    uv_signal_init(&market->loop, &market->terminate);
    uv_signal_init(&market->loop, &market->interrupt);
    uv_timer_init(&market->loop, &market->check);
    market->terminate.data = market->interrupt.data = market->check.data = market;
    uv_signal_start(&market->terminate, on_signal, SIGTERM);
    uv_signal_start(&market->interrupt, on_signal, SIGINT);
    uv_timer_start(&market->check, on_check, CHECK_MS, CHECK_MS);
}

static int run(struct market *market)
{
    char why[HTTP_MESSAGE_SIZE] = "out of memory";
    int status = EXIT_FAILURE;
    uv_loop_init(&market->loop);
    watch_signals_and_time(market);
    if (create_parts(market) && open_journal(market, why) && create_servers(market, why)) {
        announce(market);
        status = EXIT_SUCCESS;
    } else {
        fprintf(stderr, "moonwatch-market: %s\n", why);
        stop(market);
    }
    uv_run(&market->loop, UV_RUN_DEFAULT);
    uv_loop_close(&market->loop);
    if (market->upstream.journal != NULL)
        fclose(market->upstream.journal);
    bodies_destroy(market->upstream.bodies);
    model_destroy(market->model);
    return status;
}

int main(int count, char *arguments[])
{
    static struct market market;
    char why[SETTINGS_MESSAGE_SIZE];
    int status = EXIT_FAILURE;
    signal(SIGPIPE, SIG_IGN);
    /* Each answer allocates about 100 kB: giving that back each time costs more than writing it. */
    mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
    mallopt(M_MMAP_THRESHOLD, HEAP_KEPT);
    log_setup(LOG_INFO, LOG_FORMAT_AUTO);
    if (settings_parse(count, arguments, &market.settings, why) != OK) {
        fprintf(stderr, "moonwatch-market: %s\n", why);
        return EXIT_BAD_USAGE;
    }
    if (market.settings.wants_help) {
        settings_help(stdout);
        return EXIT_SUCCESS;
    }
    if (market.settings.certificate_path != NULL) {
        market.certificate = read_pem(market.settings.certificate_path);
        market.key = read_pem(market.settings.key_path);
    }
    if (market.settings.certificate_path == NULL ||
        (market.certificate != NULL && market.key != NULL))
        status = run(&market);
    free(market.certificate);
    free(market.key);
    return status;
}
