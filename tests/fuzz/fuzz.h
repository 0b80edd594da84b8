/*
 * What fuzzers share. A fuzzer, fuzz_NAME.c, is two functions over bytes that a stranger chose: the
 * real code takes them, and what it says is asserted. It is built in two ways: with clang's
 * libFuzzer (tools/fuzz; https://llvm.org/docs/LibFuzzer.html), and everywhere with replay.c, which
 * runs the corpus through it, so that what was found once stays a test.
 *
 * Its first bytes may say how the others are to be taken; they are read with input_…(), which give
 * zeroes once the bytes are used up. Its words for libFuzzer are in NAME.dict, its inputs in
 * corpus/NAME.
 */
#ifndef MOONWATCH_TESTS_FUZZ_H
#define MOONWATCH_TESTS_FUZZ_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Once, before the first input. */
void fuzz_begin(void);
/* Must leave everything as it was: the next input is run by the same process. */
void fuzz_one(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at;
    size_t left;
};

/* At most `size` bytes; returns how many. */
static inline size_t input_take(struct input *input, void *out, size_t size)
{
    size_t taken = size < input->left ? size : input->left;
    if (taken > 0)
        memcpy(out, input->at, taken);
    input->at += taken;
    input->left -= taken;
    return taken;
}

static inline uint8_t input_u8(struct input *input)
{
    uint8_t value = 0;
    input_take(input, &value, sizeof value);
    return value;
}

static inline uint16_t input_u16(struct input *input)
{
    uint16_t value = 0;
    input_take(input, &value, sizeof value);
    return value;
}

static inline uint64_t input_u64(struct input *input)
{
    uint64_t value = 0;
    input_take(input, &value, sizeof value);
    return value;
}

/* Up to the next `end`, which is taken too, or all that is left; NUL-terminated, to be freed. */
static inline char *input_text(struct input *input, char end)
{
    const uint8_t *found = input->left > 0 ? memchr(input->at, end, input->left) : NULL;
    size_t length = found != NULL ? (size_t)(found - input->at) : input->left;
    char *text = malloc(length + 1);
    assert(text != NULL);
    input_take(input, text, length);
    text[length] = '\0';
    if (found != NULL)
        input_u8(input);
    return text;
}

/* A file with these bytes, for who takes a path. Closing it, which is the caller's, ends it. */
#define FUZZ_PATH_SIZE 32
static inline int fuzz_file(const void *bytes, size_t size, char path[FUZZ_PATH_SIZE])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    assert(fd >= 0 && (size == 0 || write(fd, bytes, size) == (ssize_t)size));
    lseek(fd, 0, SEEK_SET);
    snprintf(path, FUZZ_PATH_SIZE, "/proc/self/fd/%d", fd);
    return fd;
}

#endif
