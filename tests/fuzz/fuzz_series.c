/*
 * What `moonwatch detect` and `forecast` read from standard input. The first byte says which of
 * them, and where the threshold of a forecast lies.
 */
#include "fuzz.h"

#include "cli/command.h"

int command_detect(int argc, char *argv[]);
int command_forecast(int argc, char *argv[]);

void fuzz_begin(void) {}

void fuzz_one(const uint8_t *data, size_t size)
{
    static const char *const thresholds[] = {"100", "0", "-1e300", "1e-9"};
    static const char *const sides[] = {"above", "below"};
    struct input input = {data, size};
    char path[FUZZ_PATH_SIZE], threshold[16], side[8];
    uint8_t how = input_u8(&input);
    int kept = dup(STDIN_FILENO);
    int fd = fuzz_file(input.at, input.left, path);
    dup2(fd, STDIN_FILENO);
    close(fd);
    snprintf(threshold, sizeof threshold, "%s", thresholds[how >> 2 & 3]);
    snprintf(side, sizeof side, "%s", sides[how >> 4 & 1]);
    char *detect[] = {(char[]){"detect"}, NULL};
    char *forecast[] = {
        (char[]){"forecast"}, (char[]){"--threshold"}, threshold, (char[]){"--side"}, side, NULL};
    if (how & 1)
        (void)command_detect(1, detect);
    else
        (void)command_forecast(how & 2 ? 5 : 3, forecast);
    dup2(kept >= 0 ? kept : fd, STDIN_FILENO);
    if (kept >= 0)
        close(kept);
}
