/*
 * Several daemons that share the tokens of one PostgreSQL database, each in a network namespace of
 * its own, so with an address of its own: the market allows so many requests an address. What was
 * fetched, by whom and when, is known from the market's journal.
 *
 *     node 1      node 2      node 3          10.N.0.11, .12, .13
 *        └───────────┼───────────┘
 *                  bridge                     10.N.0.1 the market, 10.N.0.2 the database
 */
#include "harness.h"

#include "base/clock.h"
#include "core/mint_slot.h"
#include "tests/unit/store/postgres_server.h"
#include <math.h>
#include <stdarg.h>

#define NODES       3
#define LEASE_S     10.0
#define TOKENS_MAX  4096
#define FETCHES     400000
#define MARKET_PORT 9090
#define NODE_PORT   8090
#define TOKEN       "integration-nodes-0123456789"
#define SLACK       (3 * SLOWNESS) /* beside other tests; what a quiet machine does is printed */

static struct postgres_server server;
static char schema[32];

/* ---- the network ---- */

static unsigned net(void)
{
    return (unsigned)getpid() % 200 + 20;
}

/* A command of iproute2. False: it failed. */
__attribute__((format(printf, 1, 2))) static bool ip(const char *format, ...)
{
    char command[512];
    va_list arguments;
    size_t length = (size_t)snprintf(command, sizeof command, "ip ");
    va_start(arguments, format);
    vsnprintf(command + length, sizeof command - length, format, arguments);
    va_end(arguments);
    strncat(command, " >/dev/null 2>&1", sizeof command - strlen(command) - 1);
    return system(command) == 0;
}

static void remove_network(void)
{
    for (unsigned n = 1; n <= NODES; n++) {
        (void)ip("link del mw%un%u", net(), n);
        (void)ip("netns del mw%u-%u", net(), n);
    }
    (void)ip("link del mw%u", net());
}

static bool add_node_network(unsigned n)
{
    return ip("netns add mw%u-%u", net(), n) &&
           ip("link add mw%un%u type veth peer name eth0 netns mw%u-%u", net(), n, net(), n) &&
           ip("link set mw%un%u master mw%u up", net(), n, net()) &&
           ip("-n mw%u-%u addr add 10.%u.0.%u/24 dev eth0", net(), n, net(), 10 + n) &&
           ip("-n mw%u-%u link set eth0 up", net(), n) && ip("-n mw%u-%u link set lo up", net(), n);
}

static bool add_network(void)
{
    remove_network();
    bool is_there = ip("link add mw%u type bridge", net()) &&
                    ip("addr add 10.%u.0.1/24 dev mw%u", net(), net()) &&
                    ip("addr add 10.%u.0.2/24 dev mw%u", net(), net()) &&
                    ip("link set mw%u up", net());
    for (unsigned n = 1; is_there && n <= NODES; n++)
        is_there = add_node_network(n);
    return is_there;
}

/* Between a node and the database nothing passes any more; or again. */
static void cut_off(unsigned n)
{
    assert_true(ip("-n mw%u-%u route add blackhole 10.%u.0.2/32", net(), n, net()));
}

static void let_through(unsigned n)
{
    assert_true(ip("-n mw%u-%u route del blackhole 10.%u.0.2/32", net(), n, net()));
}

/* ---- nodes ---- */

static struct process *market;
static struct process *nodes[NODES + 1]; /* from 1 on */

struct setup {
    const char *tokens, *rpm, *interval_s, *min_score;
};

static bool node_listens(void *context)
{
    struct process *node = context;
    char *log = read_file(node->log, NULL);
    const char *at = log == NULL ? NULL : strstr(log, "\"msg\":\"listening\"");
    free(log);
    return at != NULL || !process_is_running(node);
}

static void node_start(unsigned n, const struct setup *setup)
{
    char url[320], state[PATH_SIZE], feed[64], source[64], listen[64], space[32];
    snprintf(space, sizeof space, "mw%u-%u", net(), n);
    snprintf(url, sizeof url,
             "postgresql://postgres@10.%u.0.2:%u/postgres?node=n%u&options=-csearch_path%%3D%s",
             net(), 5432U, n, schema);
    snprintf(state, sizeof state, "%s-%u", sandbox_path("state"), n);
    snprintf(feed, sizeof feed, "http://10.%u.0.1:%d", net(), MARKET_PORT);
    snprintf(source, sizeof source, "ws://10.%u.0.1:%d/api/data", net(), MARKET_PORT);
    snprintf(listen, sizeof listen, "10.%u.0.%u:%d", net(), 10 + n, NODE_PORT);
    const char *const arguments[] = {"netns",
                                     "exec",
                                     space,
                                     moonwatch_program(),
                                     "run",
                                     "--db",
                                     url,
                                     "--state-dir",
                                     state,
                                     "--feed",
                                     feed,
                                     "--source",
                                     source,
                                     "--listen",
                                     listen,
                                     "--log-format",
                                     "json",
                                     "--hot-interval-sec",
                                     setup->interval_s,
                                     "--cold-interval-sec",
                                     setup->interval_s,
                                     "--screen-requests-per-minute",
                                     setup->rpm,
                                     "--refresh-requests-per-minute",
                                     setup->rpm,
                                     "--min-score",
                                     setup->min_score,
                                     NULL};
    char name[16];
    snprintf(name, sizeof name, "node%u", n);
    static const char *const environment[] = {"MOONWATCH_API_TOKEN=" TOKEN, NULL};
    nodes[n] = process_start(name, "/sbin/ip", arguments, environment);
    expect_soon(node_listens, nodes[n]);
    assert_true(process_is_running(nodes[n]));
}

/* All its processes at once, as when its machine dies: an engine that is told of its supervisor's
 * death would hand its slots back. */
static void signal_node(unsigned n, const char *name)
{
    char command[96];
    snprintf(command, sizeof command, "ip netns pids mw%u-%u | xargs kill -%s", net(), n, name);
    assert_int_equal(system(command), 0);
}

static void kill_node(unsigned n)
{
    signal_node(n, "KILL");
    assert_true(process_wait(nodes[n], WAIT_S));
}

static json_t *node_get(unsigned n, const char *path)
{
    char host[32];
    snprintf(host, sizeof host, "10.%u.0.%u", net(), 10 + n);
    struct answer answer = http_call(
        NODE_PORT, &(struct call){.method = "GET", .path = path, .host = host, .token = TOKEN});
    json_t *json = json_loadb(answer.body, answer.length, JSON_REJECT_DUPLICATES, NULL);
    answer_free(&answer);
    return json;
}

static int node_send(unsigned n, const char *method, const char *path, const char *body)
{
    char host[32];
    snprintf(host, sizeof host, "10.%u.0.%u", net(), 10 + n);
    struct answer answer = http_call(
        NODE_PORT,
        &(struct call){.method = method, .path = path, .body = body, .host = host, .token = TOKEN});
    answer_free(&answer);
    return answer.status;
}

/* A number of /health/cluster, by its path; NaN: it is not there. */
static double cluster_number(unsigned n, const char *object, const char *name)
{
    json_t *json = node_get(n, "/health/cluster");
    const json_t *at = object == NULL ? json : json_object_get(json, object);
    const json_t *value = json_object_get(at, name);
    double number = json_is_number(value) ? json_number_value(value) : (double)NAN;
    json_decref(json);
    return number;
}

static bool has_said_listening(void *context)
{
    struct process *process = context;
    return process_has_said(process, "listening on") || !process_is_running(process);
}

static void start_market(const struct setup *setup)
{
    char address[32];
    snprintf(address, sizeof address, "10.%u.0.1", net());
    const char *const arguments[] = {"--port",
                                     "9090",
                                     "--control-port",
                                     "9091",
                                     "--address",
                                     address,
                                     "--rpm",
                                     setup->rpm,
                                     "--tokens",
                                     setup->tokens,
                                     "--journal",
                                     sandbox_path("journal"),
                                     "--replay-rate",
                                     "5000",
                                     "--graduations-per-hour",
                                     "0",
                                     NULL};
    market = process_start("market", market_program(), arguments, NULL);
    expect_soon(has_said_listening, market);
    assert_true(process_is_running(market));
}

/* False: such a network can't be made here, and the case is skipped. */
static bool start_all(const struct setup *setup)
{
    if (!add_network()) {
        remove_network();
        harness_skip("network namespaces can't be made here (root and iproute2 can)");
        return false;
    }
    snprintf(server.address, sizeof server.address, "10.%u.0.2", net());
    server_kill(&server, SIGINT);
    assert_true(server_start(&server));
    assert_true(server_add_schema(&server, schema));
    start_market(setup);
    return true;
}

/* ---- goals ---- */

struct goal {
    unsigned n;
    const char *object, *name;
    double least, most;
};

static bool is_reached(void *context)
{
    const struct goal *goal = context;
    double number = cluster_number(goal->n, goal->object, goal->name);
    return number >= goal->least && number <= goal->most;
}

static void expect_number(const struct goal *goal, double within_s)
{
    struct goal wanted = *goal;
    if (!wait_until(is_reached, &wanted, within_s * SLACK))
        fail_msg("node %u: %s is %g and not between %g and %g after %g s", goal->n, goal->name,
                 cluster_number(goal->n, goal->object, goal->name), goal->least, goal->most,
                 within_s);
}

struct balance {
    unsigned n;     /* who is asked */
    unsigned count; /* of nodes that share all slots */
    char seen[160];
};

/* In proportion to what each can do, which is about the same, and less exact on a busy machine.
 * Slots follow within 2 %. */
static bool is_balanced(void *context)
{
    struct balance *balance = context;
    double slots = 0;
    size_t at = 0, i;
    json_t *json = node_get(balance->n, "/health/cluster"), *member;
    json_t *members = json_object_get(json, "members");
    bool is_even = json_array_size(members) == balance->count;
    json_array_foreach(members, i, member)
    {
        double has = json_number_value(json_object_get(member, "slots"));
        double part = has / MINT_SLOTS, share = json_number_value(json_object_get(member, "share"));
        is_even = is_even && fabs(part - share) < 0.04 && part * balance->count > 0.5;
        slots += has;
        if (at < sizeof balance->seen)
            at += (size_t)snprintf(balance->seen + at, sizeof balance->seen - at, " %.0f of %.0f",
                                   has, share * MINT_SLOTS);
    }
    json_decref(json);
    return is_even && slots == MINT_SLOTS;
}

/* As all of them see it. */
static void expect_balance(const unsigned *who, unsigned count, double within_s)
{
    for (unsigned i = 0; i < count; i++) {
        struct balance balance = {.n = who[i], .count = count};
        if (!wait_until(is_balanced, &balance, within_s * SLACK))
            fail_msg("node %u sees slots:%s", who[i], balance.seen);
    }
}

static void expect_tokens(unsigned n, double count)
{
    expect_number(&(struct goal){n, "node", "tokens", count, count}, WAIT_S);
}

/* ---- the market's journal ---- */

struct fetch {
    double at_s;
    uint64_t client;
    uint32_t token;
};

static struct fetch fetches[FETCHES];
static size_t fetch_count;

static void take_line(const char *line)
{
    long long ms;
    unsigned long long client;
    char kind[16];
    int used;
    if (sscanf(line, "%lld %llx %15s %n", &ms, &client, kind, &used) != 3 ||
        (strcmp(kind, "screen") != 0 && strcmp(kind, "refresh") != 0))
        return;
    for (const char *at = line + used; *at >= '0' && *at <= '9';) {
        char *end;
        uint32_t token = (uint32_t)strtoul(at, &end, 10);
        assert_true(fetch_count < FETCHES && token < TOKENS_MAX);
        fetches[fetch_count++] =
            (struct fetch){.at_s = (double)ms / 1e3, .client = client, .token = token};
        at = *end == ',' ? end + 1 : end;
    }
}

/* What is whole of it so far. */
static void read_journal(void)
{
    char *text = read_file(sandbox_path("journal"), NULL);
    fetch_count = 0;
    assert_non_null(text);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        take_line(line);
    }
    free(text);
}

static double journal_now_s(void)
{
    return (double)clock_now().us / 1e6;
}

/* Who fetched the newest, of those that are not known yet; 0: nobody. */
static uint64_t new_client(const uint64_t *known, unsigned count)
{
    read_journal();
    for (size_t i = fetch_count; i-- > 0;) {
        bool is_known = false;
        for (unsigned k = 0; k < count; k++)
            is_known = is_known || known[k] == fetches[i].client;
        if (!is_known)
            return fetches[i].client;
    }
    return 0;
}

static uint64_t clients[NODES + 1];

static bool is_seen(void *context)
{
    unsigned n = *(const unsigned *)context;
    clients[n] = new_client(clients, n);
    return clients[n] != 0;
}

/* Tokens that a client was the last to fetch before this time. */
static void last_fetchers(double before_s, uint64_t *out)
{
    memset(out, 0, TOKENS_MAX * sizeof *out);
    for (size_t i = 0; i < fetch_count; i++)
        if (fetches[i].at_s < before_s)
            out[fetches[i].token] = fetches[i].client;
}

/* When each token was fetched for the first time after this, by another than this client; 0: never.
 */
static void next_fetches(double after_s, uint64_t client, double *out)
{
    memset(out, 0, TOKENS_MAX * sizeof *out);
    for (size_t i = fetch_count; i-- > 0;)
        if (fetches[i].at_s >= after_s && fetches[i].client != client)
            out[fetches[i].token] = fetches[i].at_s;
}

static uint64_t fetchers[TOKENS_MAX];
static double nexts[TOKENS_MAX];

struct takeover {
    double at_s;
    uint64_t client; /* whose tokens they were */
    uint32_t tokens, taken;
    double first_s, last_s; /* by others, after it; seconds */
};

static bool is_taken_over(void *context)
{
    struct takeover *takeover = context;
    read_journal();
    last_fetchers(takeover->at_s, fetchers);
    next_fetches(takeover->at_s, takeover->client, nexts);
    takeover->tokens = takeover->taken = 0;
    takeover->first_s = INFINITY;
    takeover->last_s = 0;
    for (uint32_t token = 0; token < TOKENS_MAX; token++) {
        if (fetchers[token] != takeover->client)
            continue;
        takeover->tokens++;
        if (nexts[token] == 0)
            continue;
        takeover->taken++;
        takeover->first_s = fmin(takeover->first_s, nexts[token] - takeover->at_s);
        takeover->last_s = fmax(takeover->last_s, nexts[token] - takeover->at_s);
    }
    return takeover->tokens > 0 && takeover->taken == takeover->tokens;
}

/* All that this node followed are followed by others within the lease time and 2 s. */
static struct takeover expect_takeover(unsigned n, double at_s)
{
    struct takeover takeover = {.at_s = at_s, .client = clients[n]};
    if (!wait_until(is_taken_over, &takeover, (LEASE_S + WAIT_S) * SLOWNESS))
        fail_msg("of %u tokens of node %u, %u were taken over", takeover.tokens, n, takeover.taken);
    print_message("# %u tokens of node %u: fetched by others after %.2f to %.2f s\n",
                  takeover.tokens, n, takeover.first_s, takeover.last_s);
    assert_true(takeover.last_s <= (LEASE_S + 2) * SLACK);
    return takeover;
}

static bool are_all_fetched(void *context)
{
    double after_s = *(const double *)context;
    unsigned known = 0, fetched = 0;
    read_journal();
    last_fetchers(INFINITY, fetchers);
    next_fetches(after_s, 0, nexts);
    for (uint32_t token = 0; token < TOKENS_MAX; token++) {
        known += fetchers[token] != 0;
        fetched += nexts[token] != 0;
    }
    return known > 0 && known == fetched;
}

/* Who has a token's slot now is who fetched it last. */
static void expect_settled(void)
{
    double now = journal_now_s();
    expect_soon(are_all_fetched, &now);
}

static double last_fetch_of(uint64_t client)
{
    for (size_t i = fetch_count; i-- > 0;)
        if (fetches[i].client == client)
            return fetches[i].at_s;
    return 0;
}

/* Who takes a token over knows when it was fetched. A request that has room takes others along,
 * long before their time (core/lane.h), whoever fetched them last; but none that was just fetched,
 * as happened to a third of them if their ages were not known. */
static void expect_no_token_twice(double interval_s, double from_s, double to_s)
{
    static struct fetch newest[TOKENS_MAX];
    unsigned twice = 0, moved = 0;
    memset(newest, 0, sizeof newest);
    read_journal();
    for (size_t i = 0; i < fetch_count; i++) {
        struct fetch *before = &newest[fetches[i].token];
        double gap_s = fetches[i].at_s - before->at_s;
        bool has_moved = before->client != 0 && before->client != fetches[i].client &&
                         fetches[i].at_s >= from_s && fetches[i].at_s < to_s;
        moved += has_moved;
        twice += has_moved && gap_s < interval_s / 3;
        *before = fetches[i];
    }
    print_message("# of %u fetches of tokens that had moved %u came within %.1f s of the last\n",
                  moved, twice, interval_s / 3);
    assert_true(moved > 0 && twice * 10 <= moved);
}

/* ---- a life of three nodes ---- */

#define INTERVAL_S 3.0

static const struct setup ordinary = {
    .tokens = "600", .rpm = "6000", .interval_s = "3", .min_score = "0.1"};

static void start_three(const struct setup *setup)
{
    static const unsigned all[] = {1, 2, 3};
    for (unsigned n = 1; n <= NODES; n++) {
        node_start(n, setup);
        expect_balance(all, n, 30);
        expect_soon(is_seen, &n);
    }
}

static unsigned source_node(void)
{
    for (unsigned n = 1; n <= NODES; n++) {
        json_t *json = node_get(n, "/health/cluster");
        bool holds = json_is_true(json_object_get(json_object_get(json, "node"), "holds_source"));
        json_decref(json);
        if (holds)
            return n;
    }
    return 0;
}

#define ADDED_NAME   "A name of its own"
#define ADDED_SYMBOL "OWN"

static bool all_have(void *context)
{
    char path[96];
    bool have = true;
    snprintf(path, sizeof path, "/tokens/%s", (const char *)context);
    for (unsigned n = 1; n <= NODES && have; n++) {
        json_t *json = node_get(n, path);
        const char *name = json_string_value(json_object_get(json, "name"));
        const char *symbol = json_string_value(json_object_get(json, "symbol"));
        have = name != NULL && symbol != NULL && strcmp(name, ADDED_NAME) == 0 &&
               strcmp(symbol, ADDED_SYMBOL) == 0;
        json_decref(json);
    }
    return have;
}

static void add_token_anywhere(struct prng *prng)
{
    char mint[MINT_SIZE], body[192];
    unsigned n = source_node() % NODES + 1; /* another one */
    random_mint(prng, mint);
    snprintf(body, sizeof body, "{\"mint_address\":\"%s\",\"name\":\"%s\",\"symbol\":\"%s\"}", mint,
             ADDED_NAME, ADDED_SYMBOL);
    assert_int_equal(node_send(n, "POST", "/tokens", body), 201);
    expect_soon(all_have, mint);
}

static bool all_are_set(void *context)
{
    for (unsigned n = 1; n <= NODES; n++) {
        json_t *json = node_get(n, "/settings/archive_below_hours");
        const char *value = json_string_value(json_object_get(json, "value"));
        bool is_set = value != NULL && strcmp(value, context) == 0;
        json_decref(json);
        if (!is_set)
            return false;
    }
    return true;
}

static void set_on_one(void)
{
    assert_int_equal(node_send(2, "PUT", "/settings/archive_below_hours", "{\"value\":\"24\"}"),
                     200);
    double since_s = now_s();
    expect_soon(all_are_set, (char[]){"24"});
    print_message("# a setting reached all nodes after %.2f s\n", now_s() - since_s);
    assert_true(now_s() - since_s <= 1.0 * SLACK);
}

static void nodes_live_together(void)
{
    static const unsigned all[] = {1, 2, 3}, first_two[] = {1, 2};
    struct prng prng;
    if (!start_all(&ordinary))
        return;
    prng_seed(&prng, harness_seed());
    start_three(&ordinary);
    expect_tokens(3, 600);
    set_on_one();
    add_token_anywhere(&prng);

    expect_settled();
    double at_s = journal_now_s();
    kill_node(3);
    expect_takeover(3, at_s);
    expect_balance(first_two, 2, 30);
    node_start(3, &ordinary);
    expect_balance(all, 3, 30);

    expect_settled();
    double cut_s = journal_now_s();
    cut_off(2);
    struct takeover takeover = expect_takeover(2, cut_s);
    double stopped_s = last_fetch_of(clients[2]) - takeover.at_s;
    print_message("# the node that was cut off sent for %.2f s\n", stopped_s);
    assert_true(stopped_s < takeover.first_s);
    let_through(2);
    expect_balance(all, 3, 30);
    double joined_s = journal_now_s();

    expect_settled();
    at_s = journal_now_s();
    process_stop(nodes[1]);
    takeover = expect_takeover(1, at_s);
    assert_true(takeover.last_s <= (INTERVAL_S + 2) * SLACK);
    /* What a node fetches while it is cut off nobody else can know. */
    expect_no_token_twice(INTERVAL_S, 0, cut_s);
    expect_no_token_twice(INTERVAL_S, joined_s, INFINITY);
    process_stop(nodes[2]);
    process_stop(nodes[3]);
    remove_network();
}

/* ---- what stands still ---- */

static bool is_in_state(void *context)
{
    const char *wanted = context;
    for (unsigned n = 1; n <= NODES; n++) {
        json_t *json = node_get(n, "/health/cluster");
        const char *state =
            json_string_value(json_object_get(json_object_get(json, "node"), "state"));
        bool is_there = state != NULL && strcmp(state, wanted) == 0;
        json_decref(json);
        if (!is_there)
            return false;
    }
    return true;
}

static void a_node_that_stood_still_sends_nothing_old(void)
{
    static const unsigned all[] = {1, 2, 3};
    expect_settled();
    double stopped_s = journal_now_s();
    signal_node(2, "STOP");
    struct takeover takeover = expect_takeover(2, stopped_s);
    double woken_s = journal_now_s();
    signal_node(2, "CONT");
    expect_balance(all, 3, 30);
    expect_settled();
    assert_true(takeover.first_s > 0);
    expect_no_token_twice(INTERVAL_S, stopped_s, INFINITY);
    print_message("# the node that stood still was woken after %.1f s\n", woken_s - stopped_s);
}

/* Nobody can know that he is still the owner: all rest when the lease time is over, and go on. */
static void a_database_that_is_gone_is_waited_for(void)
{
    static const unsigned all[] = {1, 2, 3};
    double gone_s = journal_now_s();
    server_kill(&server, SIGKILL);
    expect_soon(is_in_state, (char[]){"resting"});
    read_journal();
    double last_s = 0;
    for (unsigned n = 1; n <= NODES; n++)
        last_s = fmax(last_s, last_fetch_of(clients[n]) - gone_s);
    print_message("# without a database nodes went on for %.1f s\n", last_s);
    assert_true(last_s <= LEASE_S);
    assert_true(server_start(&server));
    expect_soon(is_in_state, (char[]){"working"});
    expect_balance(all, 3, 30);
    expect_settled();
    expect_tokens(3, 600);
}

static void nodes_stand_still(void)
{
    if (!start_all(&ordinary))
        return;
    start_three(&ordinary);
    expect_tokens(3, 600);
    a_node_that_stood_still_sends_nothing_old();
    a_database_that_is_gone_is_waited_for();
    for (unsigned n = 1; n <= NODES; n++)
        process_stop(nodes[n]);
    remove_network();
}

/* ---- capacity ---- */

/* More than three nodes can do: each keeps sending. None is active, so all are in one lane. */
static const struct setup crowded = {
    .tokens = "4000", .rpm = "300", .interval_s = "2", .min_score = "100"};

#define MEASURED_S 20.0

/* NODES_MEASURED_S: longer, for a figure that is worth more; as long again goes by before. 0: not
 * asked for. */
static double asked_s(void)
{
    const char *text = getenv("NODES_MEASURED_S");
    return text != NULL ? strtod(text, NULL) : 0;
}

static bool has_passed(void *context)
{
    return now_s() >= *(const double *)context;
}

static void let_pass(double seconds)
{
    double until_s = now_s() + seconds;
    assert_true(wait_until(has_passed, &until_s, seconds * 2));
}

/* Tokens a second that each client (0: all) fetches, for a while from now on. */
static void measure_rates(const uint64_t *who, unsigned count, double *rates)
{
    const double for_s = asked_s() > 0 ? asked_s() : MEASURED_S;
    if (asked_s() > 0)
        let_pass(for_s);
    double from_s = journal_now_s();
    let_pass(for_s);
    read_journal();
    memset(rates, 0, count * sizeof *rates);
    for (size_t i = 0; i < fetch_count; i++)
        for (unsigned n = 0; n < count; n++)
            if (fetches[i].at_s >= from_s && fetches[i].at_s < from_s + for_s &&
                (who[n] == 0 || who[n] == fetches[i].client))
                rates[n] += 1 / for_s;
}

/* The market's minute slides, so a node that has just come may send some more. */
static void each_node_adds_what_its_address_may_send(void)
{
    static const unsigned all[] = {1, 2, 3};
    double alone, together[NODES + 1], least = asked_s() > 0 ? 0.95 : 0.8;
    if (!start_all(&crowded))
        return;
    node_start(1, &crowded);
    expect_tokens(1, 4000);
    measure_rates((uint64_t[]){0}, 1, &alone);
    for (unsigned n = 1; n <= NODES; n++) {
        if (n > 1)
            node_start(n, &crowded);
        expect_balance(all, n, 30);
        expect_soon(is_seen, &n);
    }
    measure_rates(clients, NODES + 1, together);
    print_message("# one node alone: %.1f tokens a second; three: %.1f, %.1f and %.1f\n", alone,
                  together[1], together[2], together[3]);
    for (unsigned n = 1; n <= NODES; n++) {
        assert_true(together[n] >= least * alone);
        process_stop(nodes[n]);
    }
    remove_network();
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"nodes_live_together", nodes_live_together},
        {"nodes_stand_still", nodes_stand_still},
        {"each_node_adds_what_its_address_may_send", each_node_adds_what_its_address_may_send},
    };
    if (!server_init(&server))
        return 1;
    int failed = harness_run(argc, argv, cases, sizeof cases / sizeof *cases);
    remove_network();
    server_finish(&server);
    return failed;
}
