/*
 * Logs: one line an event. On a terminal logfmt (https://brandur.org/logfmt), elsewhere JSON
 * lines, unless `log_format` says otherwise. Nothing from strangers gets out unescaped.
 *
 *     log_warning("feed", "request refused; retrying in 4 s", LOG_STRING("cause", text),
 *                 LOG_INT("status", 429));
 *
 * Safe from any thread; a line is one write(2). Levels below the threshold cost one comparison.
 * Each line also goes into the ring that processes share (log_ring.h), where there is one. Fields
 * are not called as what every line has there: ts, level, logger, process, msg.
 */
#ifndef MOONWATCH_BASE_LOG_H
#define MOONWATCH_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_LEVEL_COUNT };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

enum log_field_type { LOG_FIELD_END, LOG_FIELD_STRING, LOG_FIELD_INT, LOG_FIELD_DOUBLE };

struct log_field {
    enum log_field_type type;
    const char *key;
    union {
        const char *string;
        int64_t integer;
        double number;
    } value;
};

/* clang-format off */
#define LOG_STRING(k, v) ((struct log_field){LOG_FIELD_STRING, (k), {.string = (v)}})
#define LOG_INT(k, v)    ((struct log_field){LOG_FIELD_INT, (k), {.integer = (int64_t)(v)}})
#define LOG_DOUBLE(k, v) ((struct log_field){LOG_FIELD_DOUBLE, (k), {.number = (v)}})
/* clang-format on */

void log_setup(enum log_level threshold, enum log_format format);

/* From now on lines also go into `ring`, as those of `writer`; it must stay where it is. NULL: no
 * more. */
struct log_ring;
void log_share(struct log_ring *ring, unsigned writer);

/* A text that no line may show: three stars stand in its place. Before there are threads; what is
 * shorter than six bytes is no secret, and could not be told from words. At most 24. */
#define LOG_SECRET_MIN 6
void log_hide(const char *secret);
bool log_level_parse(const char *text, enum log_level *out);
const char *log_level_name(enum log_level level);

/* `fields` ends with a LOG_FIELD_END. Use the macros below. */
void log_write(enum log_level level, const char *logger, const char *message,
               const struct log_field *fields);

#define LOG_AT(level, logger, message, ...)                                                        \
    log_write((level), (logger), (message),                                                        \
              (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){LOG_FIELD_END, NULL, {0}}})
#define log_debug(logger, message, ...)   LOG_AT(LOG_DEBUG, logger, message, __VA_ARGS__)
#define log_info(logger, message, ...)    LOG_AT(LOG_INFO, logger, message, __VA_ARGS__)
#define log_warning(logger, message, ...) LOG_AT(LOG_WARNING, logger, message, __VA_ARGS__)
#define log_error(logger, message, ...)   LOG_AT(LOG_ERROR, logger, message, __VA_ARGS__)

#endif
