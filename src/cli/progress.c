#include "cli/progress.h"
#include "base/clock.h"
#include "cli/terminal.h"
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH_MAX 30

static double share_done(const struct progress_state *state)
{
    double share = state->total > 0 ? (double)state->done / (double)state->total : 0;
    return share < 1 ? share : 1;
}

size_t progress_text(const struct progress_state *state, const char *unit, duration elapsed,
                     char out[160])
{
    double seconds = duration_to_s(elapsed);
    double rate = seconds > 0 ? (double)state->count / seconds : 0;
    double share = share_done(state);
    int length = 0;
    if (state->total > 0)
        length = snprintf(out, 160, "%3.0f %%, ", share * 100);
    length += snprintf(out + length, 160 - (size_t)length, "%" PRIu64 " %.20s, %.0f/s",
                       state->count, unit, rate);
    if (share > 0) {
        uint64_t left = (uint64_t)(seconds * (1 - share) / share + 0.5);
        length += snprintf(out + length, 160 - (size_t)length, ", %" PRIu64 ":%02" PRIu64 " left",
                           left / 60, left % 60);
    }
    if (state->note[0] && length < 100)
        length += snprintf(out + length, 160 - (size_t)length, "; %.50s", state->note);
    return (size_t)length;
}

void progress_begin(struct progress *progress, FILE *out, const char *verb, const char *unit)
{
    *progress = (struct progress){
        .out = out,
        .verb = verb,
        .unit = unit,
        .is_terminal = isatty(fileno(out)) != 0,
        .began = clock_now(),
    };
    progress->shown = progress->began;
}

static void draw_bar(struct progress *progress, const struct progress_state *state,
                     const char *text)
{
    char bar[BAR_WIDTH_MAX + 3] = "";
    int room = terminal_width(progress->out) - (int)strlen(text) - 4;
    int width = room < BAR_WIDTH_MAX ? room : BAR_WIDTH_MAX;
    if (state->total > 0 && width > 5) {
        int full = (int)(share_done(state) * width);
        bar[0] = '[';
        memset(bar + 1, '=', (size_t)full);
        memset(bar + 1 + full, ' ', (size_t)(width - full));
        bar[width + 1] = ']';
        bar[width + 2] = '\0';
    }
    fprintf(progress->out, "\r\x1b[K%s %.*s", bar, terminal_width(progress->out) - 2, text);
    fflush(progress->out);
    progress->is_drawn = true;
}

void progress_update(struct progress *progress, const struct progress_state *state, instant now)
{
    int64_t pause_ms = progress->is_terminal ? PROGRESS_BAR_MS : PROGRESS_PLAIN_MS;
    char text[160];
    if (duration_to_ms(instant_diff(now, progress->shown)) < pause_ms)
        return;
    progress->shown = now;
    progress_text(state, progress->unit, instant_diff(now, progress->began), text);
    if (progress->is_terminal)
        draw_bar(progress, state, text);
    else
        fprintf(progress->out, "%s: %s\n", progress->verb, text);
}

void progress_clear(struct progress *progress)
{
    if (progress->is_drawn) {
        fputs("\r\x1b[K", progress->out);
        fflush(progress->out);
        progress->is_drawn = false;
    }
}
