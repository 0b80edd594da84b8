/* See mark.h. */
#include "base/mark.h"

#include <string.h>

uint8_t marks_reached[MARK_COUNT];

static const struct {
    const char *name, *sentence;
} marks[MARK_COUNT] = {
#define X(code, sentence) [MARK_##code] = {#code, sentence},
#include "base/marks.def"
#undef X
};

const char *mark_name(enum mark mark)
{
    return (unsigned)mark < MARK_COUNT ? marks[mark].name : "unknown";
}

const char *mark_sentence(enum mark mark)
{
    return (unsigned)mark < MARK_COUNT ? marks[mark].sentence : "unknown";
}

void marks_forget(void)
{
    memset(marks_reached, 0, sizeof marks_reached);
}
