/* See incidents.h. */
#include "api/incidents.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME_SIZE 32
#define NUMBERS_START  128

/* ---- one file ---- */

static void file_name(uint64_t number, char out[FILE_NAME_SIZE])
{
    snprintf(out, FILE_NAME_SIZE, "%0*" PRIu64 ".json", INCIDENT_NUMBER_DIGITS, number);
}

/* 0: the name is no incident's. Only what we would write ourselves counts. */
static uint64_t number_of(const char *name)
{
    char written[FILE_NAME_SIZE];
    uint64_t number = strtoull(name, NULL, 10);
    file_name(number, written);
    return strcmp(name, written) == 0 ? number : 0;
}

/* The whole file, NUL-terminated, to be freed. */
static enum err read_all(int fd, size_t size, char **out)
{
    char *text = malloc(size + 1);
    size_t length = 0;
    if (text == NULL)
        return ERR_NO_MEMORY;
    while (length < size) {
        ssize_t got = read(fd, text + length, size - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    text[length] = '\0';
    *out = text;
    if (length == size)
        return OK;
    free(text);
    *out = NULL;
    return ERR_IO;
}

/* Neither a link out of the folder nor a pipe that never ends. */
static enum err read_file(int folder, uint64_t number, char **out, size_t *length)
{
    char name[FILE_NAME_SIZE];
    struct stat file;
    file_name(number, name);
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : errno == ELOOP ? ERR_CORRUPT : ERR_IO;
    enum err err = ERR_IO;
    if (fstat(fd, &file) == 0)
        err = S_ISREG(file.st_mode) && file.st_size <= INCIDENT_FILE_MAX ? OK : ERR_CORRUPT;
    if (err == OK)
        err = read_all(fd, (size_t)file.st_size, out);
    close(fd);
    *length = err == OK ? (size_t)file.st_size : 0;
    return err;
}

static bool is_object(const char *text, size_t length)
{
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    bool is_one = json_is_object(root);
    json_decref(root);
    return is_one;
}

static enum err put_from(struct json *json, const char *key, int folder, uint64_t number)
{
    char *text = NULL;
    size_t length;
    enum err err = read_file(folder, number, &text, &length);
    if (err == OK && !is_object(text, length))
        err = ERR_CORRUPT;
    if (err == OK)
        json_put_raw(json, key, text, length);
    free(text);
    return err;
}

static int open_folder(const char *folder)
{
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

enum err incident_put(struct json *json, const char *key, const char *folder, uint64_t number)
{
    int fd = open_folder(folder);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    enum err err = put_from(json, key, fd, number);
    close(fd);
    return err;
}

/* ---- the newest ---- */

struct numbers {
    uint64_t *items;
    size_t count, capacity;
};

static bool numbers_add(struct numbers *numbers, uint64_t number)
{
    if (numbers->count == numbers->capacity) {
        size_t capacity = numbers->capacity == 0 ? NUMBERS_START : numbers->capacity * 2;
        uint64_t *items = realloc(numbers->items, capacity * sizeof *items);
        if (items == NULL)
            return false;
        numbers->items = items;
        numbers->capacity = capacity;
    }
    numbers->items[numbers->count++] = number;
    return true;
}

static int compare_newest_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

static void numbers_read(struct numbers *numbers, DIR *folder)
{
    const struct dirent *entry;
    while (numbers->count < INCIDENTS_FOLDER_MAX && (entry = readdir(folder)) != NULL) {
        uint64_t number = number_of(entry->d_name);
        if (number != 0 && !numbers_add(numbers, number))
            break;
    }
    if (numbers->count > 0)
        qsort(numbers->items, numbers->count, sizeof numbers->items[0], compare_newest_first);
}

unsigned incidents_put_newest(struct json *json, const char *folder, unsigned limit)
{
    struct numbers numbers = {0};
    unsigned shown = 0, damaged = 0;
    int fd = open_folder(folder);
    DIR *names = fd < 0 ? NULL : fdopendir(fd);
    if (names == NULL) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    numbers_read(&numbers, names);
    for (size_t i = 0; i < numbers.count && shown < limit; i++) {
        if (json->length >= INCIDENTS_ANSWER_MAX)
            break;
        enum err err = put_from(json, NULL, dirfd(names), numbers.items[i]);
        shown += err == OK;
        damaged += err != OK && err != ERR_NOT_FOUND; /* the oldest go while we look */
    }
    free(numbers.items);
    closedir(names);
    return damaged;
}
