#include "base/err.h"

#include <stddef.h>

static const char *const texts[] = {
#define X(code, text) [code] = text,
    ERR_LIST(X)
#undef X
};

const char *err_text(enum err err)
{
    size_t index = (size_t)err;
    return index < sizeof texts / sizeof texts[0] ? texts[index] : "unknown error";
}
