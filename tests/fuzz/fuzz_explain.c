/*
 * What `moonwatch explain` reads: a recorded answer, however it is wrapped, and an earlier
 * explanation. The first byte says which of the two the bytes are, and what is wrong with the rest
 * of the command line.
 */
#include "fuzz.h"

#include "cli/command.h"

#define MINT "BzqYzBGydDrwjnYVtWfupr8GFoSxpCQdTkjRppBKpump"
#define ANSWER                                                                                     \
    "[{\"chainId\":\"solana\",\"dexId\":\"raydium\",\"pairAddress\":"                              \
    "\"GoXKAKmBmUkQjSc5oq1qVsvYXgXdRLfK23FccKBvpump\",\"baseToken\":{\"address\":\"" MINT "\"}}]"

int command_explain(int argc, char *argv[]);

void fuzz_begin(void) {}

void fuzz_one(const uint8_t *data, size_t size)
{
    static const char *const statuses[] = {"monitoring", "active", "archived", "else"};
    struct input input = {data, size};
    char given[FUZZ_PATH_SIZE], fixed[FUZZ_PATH_SIZE], status[16];
    uint8_t how = input_u8(&input);
    int given_fd = fuzz_file(input.at, input.left, given);
    int fixed_fd = fuzz_file(ANSWER, sizeof ANSWER - 1, fixed);
    snprintf(status, sizeof status, "%s", statuses[how >> 1 & 3]);
    bool is_answer = (how & 1) == 0;
    char mint[sizeof MINT] = MINT;
    if ((how & 0x18) == 0x08)
        mint[3] = '0';
    if ((how & 0x18) == 0x10)
        snprintf(given, sizeof given, "/nowhere");
    if ((how & 0x18) == 0x18)
        snprintf(given, sizeof given, "/");
    char *argv[] = {(char[]){"explain"},
                    (char[]){"--mint"},
                    mint,
                    (char[]){"--status"},
                    status,
                    (char[]){"--pairs"},
                    is_answer ? given : fixed,
                    (char[]){"--previous"},
                    given,
                    NULL};
    (void)command_explain(is_answer ? 7 : 9, argv);
    close(given_fd);
    close(fixed_fd);
}
