/* See sim_text.h. */
#include "cli/sim_text.h"

#include "base/text.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

uint64_t sim_text_all_faults(uint32_t nodes)
{
    return SIM_FAULT_BIT(sim_fault_kinds(nodes)) - 1;
}

static int fault_named(const char *text, size_t length, uint32_t nodes)
{
    int fault = 0;
    while (fault < sim_fault_kinds(nodes) &&
           (strlen(sim_fault_kind_name(nodes, fault)) != length ||
            strncmp(sim_fault_kind_name(nodes, fault), text, length) != 0))
        fault++;
    return fault;
}

bool sim_text_faults(const char *text, uint32_t nodes, uint64_t *out)
{
    *out = strcmp(text, "all") == 0 ? sim_text_all_faults(nodes) : 0;
    if (*out != 0 || strcmp(text, "none") == 0)
        return true;
    do {
        size_t length = strcspn(text, ",");
        int fault = fault_named(text, length, nodes);
        if (fault == sim_fault_kinds(nodes))
            return false;
        *out |= SIM_FAULT_BIT(fault);
        text += length;
    } while (*text++ == ',');
    return true;
}

bool sim_text_nodes(const char *text, uint32_t *out)
{
    int64_t number;
    *out = SIM_NODES_ANY;
    if (strcmp(text, "any") == 0)
        return true;
    if (!text_parse_int(text, strlen(text), &number) || number < 1 || number > SIM_NODES_MOST)
        return false;
    *out = (uint32_t)number;
    return true;
}

static bool parse_seed(const char *text, size_t length, uint64_t *out)
{
    int64_t number;
    if (!text_parse_int(text, length, &number) || number < 0 || number > SIM_SEED_MOST)
        return false;
    *out = (uint64_t)number;
    return true;
}

bool sim_text_seeds(const char *text, uint64_t *first, uint64_t *last)
{
    const char *dots = strstr(text, "..");
    if (dots == NULL) {
        bool is_number = parse_seed(text, strlen(text), first);
        *last = *first;
        return is_number;
    }
    if (!parse_seed(text, (size_t)(dots - text), first))
        return false;
    if (dots[2] != '\0')
        return parse_seed(dots + 2, strlen(dots + 2), last) && *first <= *last;
    *last = SIM_SEED_MOST;
    return true;
}

bool *sim_text_keep(const char *text, size_t occurrences)
{
    bool *dropped = malloc(occurrences + 1), is_good = dropped != NULL;
    if (is_good)
        memset(dropped, 1, occurrences + 1);
    while (is_good && *text != '\0') {
        size_t length = strcspn(text, ",");
        uint64_t number;
        is_good = parse_seed(text, length, &number) && number < occurrences;
        if (is_good)
            dropped[number] = false;
        text += length + (text[length] == ',');
    }
    if (is_good)
        return dropped;
    free(dropped);
    return NULL;
}

/* ---- back to text ---- */

struct line {
    char *out;
    size_t size, length;
};

static __attribute__((format(printf, 2, 3))) void put(struct line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t at = line->length < line->size ? line->length : line->size;
    line->length += (size_t)vsnprintf(line->out + at, line->size - at, format, arguments);
    va_end(arguments);
}

static void put_faults(struct line *line, uint32_t nodes, uint64_t faults)
{
    put(line, " --faults ");
    if (faults == sim_text_all_faults(nodes) || faults == 0) {
        put(line, "%s", faults == 0 ? "none" : "all");
        return;
    }
    const char *comma = "";
    for (int i = 0; i < sim_fault_kinds(nodes); i++)
        if (faults >> i & 1) {
            put(line, "%s%s", comma, sim_fault_kind_name(nodes, i));
            comma = ",";
        }
}

/* None: an empty word. */
static void put_keep(struct line *line, const bool *dropped, size_t occurrences)
{
    const char *before = " --keep ";
    bool drops_any = false;
    for (size_t i = 0; i < occurrences; i++)
        drops_any = drops_any || dropped[i];
    if (!drops_any)
        return;
    for (size_t i = 0; i < occurrences; i++)
        if (!dropped[i]) {
            put(line, "%s%zu", before, i);
            before = ",";
        }
    if (before[0] != ',')
        put(line, " --keep ''");
}

size_t sim_text_replay(const struct sim_setup *setup, size_t occurrences, char *out, size_t size)
{
    struct line line = {.out = out, .size = size};
    put(&line, "moonwatch sim --seed %" PRIu64 " --hours %g --tokens %" PRIu32, setup->seed,
        setup->hours, setup->tokens);
    if (setup->nodes == SIM_NODES_ANY)
        put(&line, " --nodes any");
    else if (setup->nodes > 0)
        put(&line, " --nodes %" PRIu32, setup->nodes);
    put_faults(&line, setup->nodes, setup->faults);
    if (setup->dropped != NULL)
        put_keep(&line, setup->dropped, occurrences);
    return line.length;
}
