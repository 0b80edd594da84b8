/* The sink that runs a program: what it gets, and what its end means. */
#include "alert/sink.h"
#include "base/clock.h"
#include "loop_until.h"
#include "messages.h"
#include "webhook_check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct world {
    uv_loop_t loop;
    struct options options;
    struct alert_origin origin;
    struct sink_world sinks;
    struct sink *sink;
    char folder[64];
    bool is_done;
    struct sink_result result;
};

static void on_done(void *context, enum alert_sink sink, const struct sink_result *result)
{
    struct world *world = context;
    assert_int_equal(sink, ALERT_SINK_COMMAND);
    world->result = *result;
    world->is_done = true;
}

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){.origin = {"moon:8000", "http://moon:8000"}};
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(uv_loop_init(&world.loop), 0);
    options_init(&world.options);
    world.options.alert_timeout_sec = 20;
    strcpy(world.folder, "/tmp/moonwatch-command-XXXXXX");
    assert_non_null(mkdtemp(world.folder));
    world.sinks = (struct sink_world){.loop = &world.loop,
                                      .options = &world.options,
                                      .origin = &world.origin,
                                      .on_done = on_done,
                                      .context = &world};
    world.sink = alert_sink_create(ALERT_SINK_COMMAND, &world.sinks);
    assert_non_null(world.sink);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    char command[128];
    world->sink->methods->destroy(world->sink);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", world->folder);
    return system(command);
}

/* alert_command: the script, and the words behind it. */
static void use(struct world *world, const char *script, const char *words)
{
    char path[96];
    snprintf(path, sizeof path, "%s/told", world->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\ncd '%s' || exit 99\n%s\n", world->folder, script);
    fclose(file);
    assert_int_equal(chmod(path, 0700), 0);
    snprintf(world->options.alert_command, OPTION_TEXT_SIZE, "%s %s", path, words);
}

static bool is_done(void *context)
{
    return ((struct world *)context)->is_done;
}

static void send_one(struct world *world)
{
    struct alert_message message = message_of(1);
    world->is_done = false;
    world->sink->methods->send(world->sink, &message);
    assert_false(world->is_done);
    assert_true(loop_until(&world->loop, is_done, world));
}

static char *read_file(const struct world *world, const char *name)
{
    static char text[65536];
    char path[128];
    snprintf(path, sizeof path, "%s/%s", world->folder, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void it_gets_the_message_and_no_secrets(void **state)
{
    struct world *world = *state;
    setenv("MOONWATCH_API_TOKEN", "s3cret", 1);
    setenv("KEPT_FOR_IT", "yes", 1);
    use(world, "cat >in; env >env; printf '%s|' \"$@\" >words", "a  $(touch ran) ;b");
    send_one(world);
    assert_int_equal(world->result.outcome, SINK_DELIVERED);
    json_decref(check_webhook(read_file(world, "in")));
    assert_string_equal(read_file(world, "words"), "a|$(touch|ran)|;b|"); /* no shell */
    const char *environment = read_file(world, "env");
    assert_null(strstr(environment, "s3cret"));
    assert_non_null(strstr(environment, "KEPT_FOR_IT=yes"));
    assert_non_null(strstr(environment, "ALERT_ID=1700000000000001"));
    assert_non_null(strstr(environment, "ALERT_STATUS=firing"));
    assert_non_null(strstr(environment, "ALERT_SEVERITY=error"));
}

static void its_end_says_how_it_went(void **state)
{
    static const struct {
        const char *script, *detail;
    } cases[] = {{"exit 3", "exit status 3"},
                 {"kill -TERM $$", "killed by signal 15"},
                 {"exec <&-; sleep 0; exit 4", "exit status 4"}};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        use(world, cases[i].script, "");
        send_one(world);
        assert_int_equal(world->result.outcome, SINK_FAILED);
        assert_string_equal(world->result.detail, cases[i].detail);
    }
    use(world, "exit 0", ""); /* who does not read the message has his reasons */
    send_one(world);
    assert_int_equal(world->result.outcome, SINK_DELIVERED);
}

static void what_cannot_be_run_is_told(void **state)
{
    struct world *world = *state;
    snprintf(world->options.alert_command, OPTION_TEXT_SIZE, "/no/such/program");
    send_one(world);
    assert_int_equal(world->result.outcome, SINK_FAILED);
    assert_string_equal(world->result.detail, "cannot run it: no such file or directory");
}

/* What hangs is killed, and so is what it started: their end of the pipe is closed. */
static void what_hangs_is_killed_with_its_children(void **state)
{
    struct world *world = *state;
    int alive[2];
    char script[128];
    assert_int_equal(pipe(alive), 0);
    snprintf(script, sizeof script, "sleep 1000 & exec sleep 1000");
    world->options.alert_timeout_sec = 0.3;
    use(world, script, "");
    /* Both inherit descriptor 2; here that is a pipe that ends when they have. */
    int own = dup(2);
    dup2(alive[1], 2);
    send_one(world);
    dup2(own, 2);
    close(own);
    close(alive[1]);
    assert_int_equal(world->result.outcome, SINK_FAILED);
    assert_string_equal(world->result.detail, "not done in time, killed");
    char byte;
    assert_int_equal(read(alive[0], &byte, 1), 0);
    close(alive[0]);
}

static void one_that_is_cancelled_is_told_of_no_more(void **state)
{
    struct world *world = *state;
    struct alert_message message = message_of(1);
    use(world, "exec sleep 1000", "");
    world->sink->methods->send(world->sink, &message);
    uv_run(&world->loop, UV_RUN_NOWAIT);
    world->sink->methods->cancel(world->sink);
    uv_run(&world->loop, UV_RUN_NOWAIT);
    assert_false(world->is_done);
    use(world, "exit 0", "");
    send_one(world); /* and the next one runs */
    assert_int_equal(world->result.outcome, SINK_DELIVERED);
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(it_gets_the_message_and_no_secrets),
        ROW(its_end_says_how_it_went),
        ROW(what_cannot_be_run_is_told),
        ROW(what_hangs_is_killed_with_its_children),
        ROW(one_that_is_cancelled_is_told_of_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
