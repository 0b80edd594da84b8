/* Operational errors. Codes and texts come from one list, so they cannot drift apart. */
#ifndef MOONWATCH_BASE_ERR_H
#define MOONWATCH_BASE_ERR_H

#define ERR_LIST(X)                                                                                \
    X(OK, "ok")                                                                                    \
    X(ERR_NO_MEMORY, "out of memory")                                                              \
    X(ERR_INVALID, "invalid value")                                                                \
    X(ERR_NOT_FOUND, "not found")                                                                  \
    X(ERR_IO, "input/output error")                                                                \
    X(ERR_FULL, "no space left")                                                                   \
    X(ERR_BUSY, "locked by another process")                                                       \
    X(ERR_CORRUPT, "damaged data")                                                                 \
    X(ERR_VERSION, "made by a newer version")                                                      \
    X(ERR_TOO_LARGE, "over a limit")                                                               \
    X(ERR_TIMEOUT, "timed out")                                                                    \
    X(ERR_UNAVAILABLE, "not available now")                                                        \
    X(ERR_FENCED, "a newer engine has taken over")

enum err {
#define X(code, text) code,
    ERR_LIST(X)
#undef X
};

const char *err_text(enum err err);

#define MUST_CHECK __attribute__((warn_unused_result))

#endif
