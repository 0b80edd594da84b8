/* One recorded answer, from bytes to score, with every step shown. */
#include "api/score_words.h"
#include "api/token_json.h"
#include "base/clock.h"
#include "base/json.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/explain_input.h"
#include "core/score.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct explanation {
    enum token_status status;
    struct metrics metrics;
    char primary_dex[DEX_NAME_SIZE];
    struct score raw;
    struct score smoothed;
    struct score_part parts[SCORE_PARTS];
    unsigned why_not_count; /* 0: it activates */
    char why_not[WHY_NOT_MAX][SCORE_SENTENCE_SIZE];
};

static size_t pairs_of(const struct parsed_answer *answer, const struct address *mint,
                       const struct pair *out[ANSWER_PAIRS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < answer->pair_count; i++)
        if (address_equal(&answer->pairs[i].base, mint))
            out[count++] = &answer->pairs[i];
    return count;
}

static void judge_pools(const struct pair *const pairs[], size_t count,
                        const struct options *options, struct explanation *out)
{
    struct pool pools[ANSWER_PAIRS_MAX];
    for (size_t i = 0; i < count; i++)
        pools[i] = (struct pool){.liquidity_usd = (float)pairs[i]->liquidity_usd,
                                 .flags = pool_flags_for(pairs[i]->dex, pairs[i]->quote_symbol)};
    out->why_not_count = score_why_not(pools, count, options, out->why_not);
}

static void explain(const struct explain_input *input, const struct options *options,
                    struct explanation *out)
{
    const struct pair *pairs[ANSWER_PAIRS_MAX], *primary;
    size_t count = pairs_of(&input->answer, &input->mint, pairs);
    out->status = input->status;
    out->metrics = market_gather(pairs, count, input->status, options, &primary);
    out->metrics.hours_since_creation = input->age_hours;
    if (primary != NULL)
        memcpy(out->primary_dex, primary->dex, sizeof out->primary_dex);
    out->raw = score_explain(&out->metrics, input->status, options, out->parts);
    out->smoothed =
        score_smooth(&out->raw, input->has_previous ? &input->previous : NULL, options->ewma_alpha);
    judge_pools(pairs, count, options, out);
}

static int write_explanation(const struct explanation *explanation)
{
    struct json json = {0};
    const char *dex = explanation->primary_dex[0] == '\0' ? NULL : explanation->primary_dex;
    json_object_open(&json, NULL);
    json_put_string(&json, "status", token_status_name(explanation->status));
    json_metrics(&json, &explanation->metrics, dex, INSTANT_NEVER);
    json_components(&json, "raw_components", &explanation->raw.components);
    json_components(&json, "smoothed_components", &explanation->smoothed.components);
    json_put_double(&json, "score", explanation->raw.total);
    json_put_double(&json, "smoothed_score", explanation->smoothed.total);
    json_put_bool(&json, "activates", explanation->why_not_count == 0);
    json_object_open(&json, "sentences");
    for (unsigned i = 0; i < SCORE_PARTS; i++)
        json_put_string(&json, explanation->parts[i].name, explanation->parts[i].sentence);
    json_object_close(&json);
    json_array_open(&json, "why_not");
    for (unsigned i = 0; i < explanation->why_not_count; i++)
        json_put_string(&json, NULL, explanation->why_not[i]);
    json_array_close(&json);
    json_object_close(&json);
    bool written = !json.failed && printf("%s\n", json.text) > 0 && fflush(stdout) == 0;
    if (!written)
        fprintf(stderr, "moonwatch explain: can't print the answer: %s\n",
                json.failed ? "out of memory" : strerror(errno));
    json_finish(&json);
    return written ? EXIT_DONE : EXIT_FAILED;
}

/* What was refused is told, beside the result: nothing is dropped in silence. */
static void tell_issues(const struct explain_input *input)
{
    for (int i = 0; i < PAIR_ISSUE_COUNT; i++)
        if (input->answer.issues[i] > 0)
            fprintf(stderr, "moonwatch explain: %s: %u\n", pair_issue_name((enum pair_issue)i),
                    input->answer.issues[i]);
    size_t others = 0;
    for (size_t i = 0; i < input->answer.pair_count; i++)
        others += !address_equal(&input->answer.pairs[i].base, &input->mint);
    if (others > 0)
        fprintf(stderr, "moonwatch explain: pairs with another base token: %zu\n", others);
}

int command_explain(int argc, char *argv[])
{
    struct options options;
    struct explain_arguments arguments = {.status = "monitoring"};
    const struct argument rows[] = {
        {.name = "mint",
         .type = ARGUMENT_TEXT,
         .value_name = "MINT",
         .target = &arguments.mint,
         .need = ARGUMENT_REQUIRED,
         .sentence = "The token."},
        {.name = "pairs",
         .type = ARGUMENT_TEXT,
         .value_name = "FILE",
         .target = &arguments.pairs_path,
         .need = ARGUMENT_REQUIRED,
         .sentence = "A recorded answer of the upstream, of any shape; - is standard input."},
        {.name = "status",
         .type = ARGUMENT_TEXT,
         .value_name = "STATUS",
         .choices = "monitoring|active|archived|",
         .target = &arguments.status,
         .sentence = "monitoring, active or archived: which thresholds apply."},
        {.name = "age-hours",
         .type = ARGUMENT_REAL,
         .value_name = "H",
         .target = &arguments.age_hours,
         .low = 0,
         .high = 1e6,
         .sentence = "Hours since the token was first seen."},
        {.name = "previous",
         .type = ARGUMENT_TEXT,
         .value_name = "FILE",
         .target = &arguments.previous_path,
         .sentence = "What explain printed for the answer before, to smooth from."},
    };
    const struct argument_spec spec = {
        .rows = rows, .count = sizeof rows / sizeof rows[0], .options = &options};
    enum arguments_result parsed = arguments_parse(argc, argv, &spec);
    if (parsed != ARGUMENTS_OK)
        return arguments_exit_status(parsed);

    char why[EXPLAIN_MESSAGE_SIZE];
    struct explain_input *input = calloc(1, sizeof *input);
    int status = EXIT_FAILED;
    if (input == NULL || !explain_input_read(&arguments, options.chain, input, why)) {
        fprintf(stderr, "moonwatch explain: %s\n", input == NULL ? "out of memory" : why);
    } else {
        struct explanation explanation = {0};
        tell_issues(input);
        explain(input, &options, &explanation);
        status = write_explanation(&explanation);
    }
    free(input);
    return status;
}
