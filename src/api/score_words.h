/*
 * A score and a status in words, for GET /tokens/{mint}/explain and `moonwatch explain`: what the
 * pure code of core/score.h and core/lifecycle.h made of a token's figures, a sentence for each
 * piece.
 */
#ifndef MOONWATCH_API_SCORE_WORDS_H
#define MOONWATCH_API_SCORE_WORDS_H

#include "core/score.h"

#define SCORE_SENTENCE_SIZE 320
#define SCORE_PARTS         4
#define WHY_NOT_MAX         4

struct score_part {
    const char *name;
    double raw;
    double weight;
    char sentence[SCORE_SENTENCE_SIZE];
};

/* Calculates the raw score of these figures and says how each component came about. */
struct score score_explain(const struct metrics *metrics, enum token_status status,
                           const struct options *options, struct score_part out[SCORE_PARTS]);

/* Why a token with these pools does not become active: what is missing, a sentence each. 0: it
 * qualifies. */
unsigned score_why_not(const struct pool *pools, size_t count, const struct options *options,
                       char out[WHY_NOT_MAX][SCORE_SENTENCE_SIZE]);

#endif
