/*
 * A status page in which anything may stand, as a process of ours that went mad leaves it, or one
 * of an older version: whoever reads it, reads on. Supervisor, api, `moonwatch top` and `ctl`.
 */
#include "page_areas.h"

#include "api/health_json.h"
#include "api/metrics.h"
#include "base/log.h"
#include "cli/status_view.h"
#include "cli/top.h"
#include "core/surroundings.h"
#include "page/engine_state.h"
#include "page/load_view.h"
#include "supervisor/incident.h"
#include <fcntl.h>
#include <math.h>
#include <sys/ioctl.h>
#include <termios.h>

static struct status_page *page;
static int page_fd, folder;
static char folder_path[] = "/tmp/moonwatch-fuzz-XXXXXX";
static FILE *nowhere;
static int terminal; /* the side of who looks */
static struct top top;
static instant begun; /* what time it is, for whoever reads: always the same */

/* A terminal for `top` to draw on, large enough for all panels. */
static void open_terminal(void)
{
    char why[CANVAS_WHY_SIZE];
    struct winsize size = {.ws_row = 60, .ws_col = 200};
    terminal = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0)
        abort();
    int fd = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    ioctl(fd, TIOCSWINSZ, &size);
    dup2(fd, STDIN_FILENO);
    dup2(fd, STDOUT_FILENO);
    close(fd);
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    unsetenv("LINES");
    unsetenv("COLUMNS");
    if (!canvas_begin(why)) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
}

static void remove_folder(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder_path);
    if (system(command) != 0)
        return;
}

/* One of two nodes, with half of the slots each. */
static void make_node(void)
{
    static struct page_cluster cluster;
    cluster = (struct page_cluster){.state = NODE_WORKING,
                                    .name = "a",
                                    .session = 1,
                                    .lease_s = 10,
                                    .valid_until = instant_add(begun, duration_s(9)),
                                    .since = begun,
                                    .answered_at = begun,
                                    .mine = 512,
                                    .others = 512,
                                    .count = 2};
    cluster.members[0] =
        (struct page_node){.session = 1, .name = "a", .capacity = 9, .slots = 512, .is_self = 1};
    cluster.members[1] = (struct page_node){.session = 2, .name = "b", .capacity = 9, .slots = 512};
    memset(cluster.owners, 1, MINT_SLOTS / 2);
    cluster_publish(page, &cluster);
}

void fuzz_begin(void)
{
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_JSON);
    page = status_page_create(&page_fd);
    nowhere = fopen("/dev/null", "w");
    if (page == NULL || nowhere == NULL || mkdtemp(folder_path) == NULL)
        abort();
    folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    atexit(remove_folder);
    begun = clock_now();
    for (int i = 0; i < PROCESS_COUNT; i++)
        page_put_word(&page->processes[i].state, PROCESS_RUNNING);
    page_put_word(&page->load.sampled_at_us, (uint64_t)begun.us);
    page_beat(page, BEAT_ENGINE_LOOP, begun, duration_us(0));
    health_publish(page, &(struct findings){.count = 2,
                                            .of = {{.cause = FINDING_BREAKER_OPEN,
                                                    .severity = SEVERITY_ERROR,
                                                    .because = FINDING_CAUSE_COUNT},
                                                   {.cause = FINDING_GROUP_LATE,
                                                    .severity = SEVERITY_WARNING,
                                                    .because = FINDING_BREAKER_OPEN}}});
    make_node();
    flight_record(&page->flight, begun, &(struct flight_note){.kind = FLIGHT_PROCESS});
    flight_record(&page->flight, begun, &(struct flight_note){.kind = FLIGHT_LIFE});
    log_ring_put(&page->log,
                 &(struct log_entry){.logger = "fuzz", .text = "\"msg\":\"a\"", .length = 9});
    atomic_store(&page->clock.offset_us, begun.us);
    atomic_store(&page->clock.target_us, begun.us);
    atomic_store(&page->clock.sequence, 2);
    open_terminal();
    top.freshness = freshness_create();
    top_source_init(&top.source);
}

static void read_texts(const struct status_page *seen)
{
    static struct page_texts texts;
    char value[OPTION_TEXT_SIZE];
    if (!page_read_texts(seen, &texts))
        return;
    assert(strlen(texts.store_message) < sizeof texts.store_message);
    assert(strlen(texts.source_message) < sizeof texts.source_message);
    assert(strlen(texts.feed_message) < sizeof texts.feed_message);
    for (int i = 0; i < OPTION_COUNT; i++)
        assert(options_get(&texts.options, (enum option_id)i, value) < sizeof value);
}

static void read_rings(const struct status_page *seen)
{
    static struct flight_record records[FLIGHT_RECORDS];
    char text[300];
    struct log_line line;
    uint32_t ids[64];
    size_t count = flight_read(&seen->flight, records, FLIGHT_RECORDS);
    assert(count <= FLIGHT_RECORDS);
    for (size_t i = 0; i < count; i++)
        assert(flight_describe(&records[i], text, sizeof text) < sizeof text);
    uint64_t last = log_ring_last(&seen->log), read = 0;
    for (uint64_t at = log_ring_first(&seen->log); at <= last && read < LOG_RING_LINES;
         at++, read++)
        if (log_ring_read(&seen->log, at, &line) == LOG_RING_READ)
            assert(line.length < sizeof line.text && line.level < LOG_LEVEL_COUNT);
    uint64_t position = changes_end(&seen->changes) - 8;
    changes_read(&seen->changes, &position, ids, 64, &count);
    assert(count <= 64);
}

/* As the engine's health is told of it, and GET /health/cluster. */
static void read_cluster(const struct status_page *seen, const struct health_view *view,
                         instant now)
{
    struct page_cluster cluster;
    struct surroundings around;
    struct json json = {0};
    assert(cluster_read(seen, &cluster));
    cluster_surround(&cluster, now, &around);
    json_object_open(&json, NULL);
    json_cluster(&(struct health_page){.json = &json, .page = seen, .now = now, .health = *view});
    json_object_close(&json);
    assert(!json.failed && json.text[json.length - 1] == '}');
    json_finish(&json);
}

static void read_states(const struct status_page *seen, instant now)
{
    struct health_view view;
    char why[512], text[SUSPECTS_MAX * 128];
    health_look(seen, now, &view);
    load_why(seen, now, why);
    engine_is_up(seen);
    engine_down_why(seen, now, why);
    for (int i = 0; i < BEAT_COUNT; i++)
        page_beat_age_s(seen, (enum beat)i, now);
    struct freshness_scan scan = {0};
    struct page_cluster cluster;
    assert(cluster_read(seen, &cluster));
    metrics_write(
        nowhere,
        &(struct metric_view){
            .page = seen, .scan = &scan, .health = &view, .cluster = &cluster, .now = now});
    status_print(nowhere, seen, now);
    struct json json = {0};
    status_json(&json, seen, now);
    json_finish(&json);
    read_cluster(seen, &view, now);
    assert(suspects_format(&seen->suspects, text, sizeof text) < sizeof text);
    fflush(nowhere);
}

static void drain(void)
{
    char bytes[16384];
    while (read(terminal, bytes, sizeof bytes) > 0)
        continue;
}

/* As command_top.c looks at it. */
static void look_at_top(const struct status_page *seen, uint8_t pane)
{
    top.source.page = seen;
    top.source.fd = terminal;
    (void)clock_now_on(&seen->clock);
    top.now = begun;
    top.pane = (enum top_pane)(pane % PANE_COUNT);
    top.mode = pane & 0x40 ? TOP_CARD : TOP_LOOKING;
    health_look(seen, top.now, &top.health);
    if (!page_read_texts(seen, &top.texts))
        memset(&top.texts, 0, sizeof top.texts);
    top.flight_count = flight_read(&seen->flight, top.flight, TOP_FLIGHT);
    top_draw(&top);
    drain();
}

/* What the supervisor does with it when an engine died. */
static void bury(uint8_t thread)
{
    static struct incidents incidents;
    static struct incident incident;
    const struct incident_death death = {.at = begun,
                                         .process = (enum page_process_id)(thread % PROCESS_COUNT),
                                         .cause = INCIDENT_SIGNAL,
                                         .signal = 11,
                                         .thread = thread,
                                         .beat = BEAT_COUNT};
    const struct incident_healing healing = {.action = HEALING_EMERGENCY_RESTART};
    incidents_init(&incidents, folder, 1);
    incident_begin(&incidents, &incident, page, &death);
    uint32_t hands = hands_of_death(page->hands, thread);
    for (int i = 0; i < HANDS_MAX; i++)
        if (hands >> i & 1)
            suspects_on_death(&page->suspects, &page->hands[i], death.at, duration_s(86400));
    incident_finish(&incidents, &incident, &healing, page);
    incidents_finish(&incidents, page);
    struct suspect *expired = suspects_expired(&page->suspects, death.at);
    if (expired != NULL)
        suspect_release(expired);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static struct patches patches;
    static struct suspects suspects;
    static struct crash_report crashes[PROCESS_COUNT];
    struct input input = {data, size};
    char why[PAGE_WHY_SIZE] = "";
    uint8_t how = input_u8(&input);
    patches_apply(&patches, PATCHES_MAX, &input, page, &page_areas);
    struct status_page *seen = status_page_attach(page_fd, PAGE_READ_ONLY, why);
    assert((seen == NULL) == (why[0] != '\0'));
    if (seen != NULL) {
        read_texts(seen);
        read_rings(seen);
        read_states(seen, begun);
        look_at_top(seen, how);
        memcpy(&suspects, &page->suspects, sizeof suspects);
        memcpy(crashes, page->crashes, sizeof crashes);
        if (how & 0x80)
            bury(how & 7);
        memcpy(&page->suspects, &suspects, sizeof suspects);
        memcpy(page->crashes, crashes, sizeof crashes);
        status_page_detach(seen);
    }
    patches_undo(&patches, page);
}
