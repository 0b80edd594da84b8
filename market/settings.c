/* The command line: one row an option; parser and help are made from it. */
#include "market/settings.h"
#include "market/model.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum setting_type { SETTING_WHOLE, SETTING_REAL, SETTING_TEXT, SETTING_FLAG };

/* name, type, what follows it, lowest, highest, default, sentence */
#define SETTING_LIST(X)                                                                            \
    X(port, WHOLE, "P", 0, 65535, -1, "port of the market; 0 takes a free one and prints it")      \
    X(control_port, WHOLE, "C", 0, 65535, -1, "port of the control interface; 0 takes a free one") \
    X(address, TEXT, "ADDR", 0, 0, 0, "address to listen on (127.0.0.1)")                          \
    X(tokens, WHOLE, "N", 0, TOKENS_MAX, 1000, "tokens that graduated before the start")           \
    X(seed, WHOLE, "S", 0, 9007199254740992.0, 1, "the same seed, the same market")                \
    X(speed, REAL, "X", 0.001, 100000, 1, "the market's time runs this much faster")               \
    X(rpm, REAL, "R", 0, 1e9, 300, "requests a minute, client and kind; 0: no limit")              \
    X(graduations_per_hour, REAL, "G", 0, 1e7, 50, "tokens that graduate in an hour")              \
    X(replay_rate, REAL, "F", 0.1, 1e6, 200, "frames a second that tell of earlier graduations")   \
    X(no_replay, FLAG, "", 0, 0, 0, "new subscribers are told of no earlier graduations")          \
    X(pools, REAL, "MEAN", 2, POOLS_MAX, POOLS_MEAN, "pools of a token, on average")               \
    X(latency, WHOLE, "MS", 0, 60000, 0, "every answer comes this late")                           \
    X(cache, WHOLE, "S", 0, 3600, 0, "screen answers may be this old, as behind a cache")          \
    X(journal, TEXT, "FILE", 0, 0, 0, "a line for each request that got data: who, what, when")    \
    X(tls_cert, TEXT, "FILE", 0, 0, 0, "PEM certificate: serves https and wss")                    \
    X(tls_key, TEXT, "FILE", 0, 0, 0, "PEM key of the certificate")                                \
    X(help, FLAG, "", 0, 0, 0, "this text")

enum setting_id {
#define X(name, type, value, low, high, usual, sentence) SETTING_ID_##name,
    SETTING_LIST(X)
#undef X
        SETTING_COUNT
};

static const struct {
    const char *name;
    enum setting_type type;
    const char *value;
    double low, high, usual;
    const char *sentence;
} rows[SETTING_COUNT] = {
#define X(name, type, value, low, high, usual, sentence)                                           \
    {#name, SETTING_##type, value, low, high, usual, sentence},
    SETTING_LIST(X)
#undef X
};

struct values {
    double numbers[SETTING_COUNT];
    const char *texts[SETTING_COUNT];
};

/* "--control-port" is the row control_port; `value` gets what follows a '='. */
static enum setting_id find_row(const char *argument, const char **value)
{
    char name[64];
    const char *equals = strchr(argument, '=');
    size_t length = equals != NULL ? (size_t)(equals - argument) : strlen(argument);
    *value = equals != NULL ? equals + 1 : NULL;
    if (length < 3 || length >= sizeof name || strncmp(argument, "--", 2) != 0)
        return SETTING_COUNT;
    memcpy(name, argument + 2, length - 2);
    name[length - 2] = '\0';
    for (char *at = name; *at != '\0'; at++)
        *at = *at == '-' ? '_' : *at == '_' ? '-' : *at;
    unsigned id = 0;
    while (id < SETTING_COUNT && strcmp(rows[id].name, name) != 0)
        id++;
    return (enum setting_id)id;
}

static bool is_number(enum setting_id id)
{
    return rows[id].type == SETTING_WHOLE || rows[id].type == SETTING_REAL;
}

static enum err take_number(enum setting_id id, const char *text, struct values *values,
                            char why[SETTINGS_MESSAGE_SIZE])
{
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    bool is_whole_only = rows[id].type == SETTING_WHOLE;
    if (end == text || *end != '\0' || errno != 0 || !isfinite(number) || number < rows[id].low ||
        number > rows[id].high || (is_whole_only && number != floor(number))) {
        snprintf(why, SETTINGS_MESSAGE_SIZE, "%.60s: must be a %snumber from %.15g to %.15g", text,
                 is_whole_only ? "whole " : "", rows[id].low, rows[id].high);
        return ERR_INVALID;
    }
    values->numbers[id] = number;
    return OK;
}

static enum err read_arguments(int count, char *const arguments[], struct values *values,
                               char why[SETTINGS_MESSAGE_SIZE])
{
    for (int i = 1; i < count; i++) {
        const char *value;
        char reason[SETTINGS_MESSAGE_SIZE];
        enum setting_id id = find_row(arguments[i], &value);
        if (id == SETTING_COUNT) {
            snprintf(why, SETTINGS_MESSAGE_SIZE, "unknown argument: %.60s (see --help)",
                     arguments[i]);
            return ERR_INVALID;
        }
        if (rows[id].type == SETTING_FLAG) {
            values->numbers[id] = 1;
            continue;
        }
        if (value == NULL && i + 1 < count)
            value = arguments[++i];
        if (value == NULL) {
            snprintf(why, SETTINGS_MESSAGE_SIZE, "%.60s needs a value", arguments[i]);
            return ERR_INVALID;
        }
        values->texts[id] = value;
        if (is_number(id) && take_number(id, value, values, reason) != OK) {
            snprintf(why, SETTINGS_MESSAGE_SIZE, "--%s %.180s", rows[id].name, reason);
            return ERR_INVALID;
        }
    }
    return OK;
}

static void fill(const struct values *values, struct settings *out)
{
    const double *numbers = values->numbers;
    *out = (struct settings){
        .port = (uint16_t)numbers[SETTING_ID_port],
        .has_control_port = numbers[SETTING_ID_control_port] >= 0,
        .wants_help = numbers[SETTING_ID_help] != 0,
        .address = values->texts[SETTING_ID_address],
        .journal_path = values->texts[SETTING_ID_journal],
        .certificate_path = values->texts[SETTING_ID_tls_cert],
        .key_path = values->texts[SETTING_ID_tls_key],
        .tokens = (uint32_t)numbers[SETTING_ID_tokens],
        .seed = (uint64_t)numbers[SETTING_ID_seed],
        .speed = numbers[SETTING_ID_speed],
        .requests_per_minute = numbers[SETTING_ID_rpm],
        .graduations_per_hour = numbers[SETTING_ID_graduations_per_hour],
        .replay_per_s = numbers[SETTING_ID_no_replay] != 0 ? 0 : numbers[SETTING_ID_replay_rate],
        .pools_mean = numbers[SETTING_ID_pools],
        .latency_ms = (uint32_t)numbers[SETTING_ID_latency],
        .cache_s = (uint32_t)numbers[SETTING_ID_cache]};
    if (out->has_control_port)
        out->control_port = (uint16_t)numbers[SETTING_ID_control_port];
    if (out->address == NULL)
        out->address = "127.0.0.1";
}

enum err settings_parse(int count, char *const arguments[], struct settings *out,
                        char why[SETTINGS_MESSAGE_SIZE])
{
    struct values values = {0};
    for (unsigned id = 0; id < SETTING_COUNT; id++)
        values.numbers[id] = rows[id].usual;
    enum err err = read_arguments(count, arguments, &values, why);
    if (err != OK)
        return err;
    bool wants_help = values.numbers[SETTING_ID_help] != 0;
    if (values.numbers[SETTING_ID_port] < 0 && !wants_help) {
        snprintf(why, SETTINGS_MESSAGE_SIZE, "--port is needed (0 takes a free one; see --help)");
        return ERR_INVALID;
    }
    if (wants_help)
        values.numbers[SETTING_ID_port] = 0;
    fill(&values, out);
    if ((out->certificate_path == NULL) != (out->key_path == NULL)) {
        snprintf(why, SETTINGS_MESSAGE_SIZE, "--tls-cert and --tls-key go together");
        return ERR_INVALID;
    }
    return OK;
}

void settings_help(FILE *out)
{
    fputs(
        "usage: moonwatch-market --port P [options]\n\n"
        "A market of simulated Solana tokens that speaks DexScreener's HTTP API and PumpPortal's\n"
        "WebSocket (/api/data) on one port.\n\n",
        out);
    for (unsigned id = 0; id < SETTING_COUNT; id++) {
        char option[64];
        int length = snprintf(option, sizeof option, "--%s %s", rows[id].name, rows[id].value);
        for (int i = 0; i < length; i++)
            option[i] = option[i] == '_' ? '-' : option[i];
        fprintf(out, "  %-26s %s", option, rows[id].sentence);
        if (is_number((enum setting_id)id) && rows[id].usual >= 0)
            fprintf(out, " (%g)", rows[id].usual);
        fputc('\n', out);
    }
}
