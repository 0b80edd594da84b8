/*
 * The simulated upstream's answers as bytes, in the shapes of DexScreener's three endpoints, so
 * that the real parser reads them; and what may be wrong with such bytes.
 */
#ifndef MOONWATCH_SIM_BODY_H
#define MOONWATCH_SIM_BODY_H

#include "base/prng.h"
#include "core/lane_kind.h"
#include "core/outcome.h"
#include "core/pair.h"
#include "feed/dexscreener_parse.h"
#include <stdbool.h>
#include <stddef.h>

/* X(code, name): a fault of the whole body, or of a pair in it */
#define BODY_DAMAGE_LIST(X)                                                                        \
    X(DAMAGE_CUT, "cut off")                                                                       \
    X(DAMAGE_FLIPPED, "bytes changed")                                                             \
    X(DAMAGE_PAGE, "an HTML page")                                                                 \
    X(DAMAGE_1015, "Cloudflare's 1015 as text")                                                    \
    X(DAMAGE_SHAPE, "JSON of something else")                                                      \
    X(DAMAGE_NOTHING, "no bytes at all")                                                           \
    X(DAMAGE_DEEP, "brackets without end")                                                         \
    X(DAMAGE_NULLS, "null where figures were")                                                     \
    X(DAMAGE_NUMBERS, "numbers that no market has")                                                \
    X(DAMAGE_TYPES, "texts where numbers were, numbers where texts were")                          \
    X(DAMAGE_NO_UTF8, "names that are no UTF-8")                                                   \
    X(DAMAGE_TWICE, "keys that stand twice")

enum body_damage {
#define X(code, name) code,
    BODY_DAMAGE_LIST(X)
#undef X
        BODY_SOUND /* nothing is wrong */
};

const char *body_damage_name(enum body_damage damage);

struct body_writer;

/* For about so many tokens. NULL: out of memory. */
struct body_writer *body_writer_create(uint32_t tokens);
void body_writer_destroy(struct body_writer *writer);

/* The answer of this lane's endpoint with these pairs. Valid until the next call; as many readable
 * bytes follow it as the parser wants (ANSWER_PADDING). `prng` is drawn from for damage alone. */
const char *body_write(struct body_writer *writer, enum lane_kind lane, const struct pair *pairs,
                       size_t count, enum body_damage damage, struct prng *prng, size_t *length);

/* What the daemon makes of it, as its feed does with what came over a connection. */
enum feed_outcome body_read(struct answer_parser *parser, const char *body, size_t length,
                            struct parsed_answer *out);

#endif
