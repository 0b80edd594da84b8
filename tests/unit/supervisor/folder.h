/* A folder of its own for each test, gone with it. */
#ifndef MOONWATCH_TESTS_FOLDER_H
#define MOONWATCH_TESTS_FOLDER_H

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct folder {
    char path[256];
};

static inline void folder_make(struct folder *folder)
{
    const char *temporary = getenv("TMPDIR");
    snprintf(folder->path, sizeof folder->path, "%s/moonwatch-test-XXXXXX",
             temporary != NULL ? temporary : "/tmp");
    if (mkdtemp(folder->path) == NULL)
        abort();
}

static inline int folder_remove_one(const char *path, const struct stat *file, int type,
                                    struct FTW *where)
{
    (void)file, (void)type, (void)where;
    return remove(path);
}

static inline void folder_remove(const struct folder *folder)
{
    nftw(folder->path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file in it; one at a time. */
static inline const char *folder_path(const struct folder *folder, const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder->path, name);
    return path;
}

static inline void folder_write(const struct folder *folder, const char *name, const char *text)
{
    FILE *file = fopen(folder_path(folder, name), "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        abort();
}

/* Its first bytes, terminated; "" when there is none. One at a time. */
static inline const char *folder_read(const struct folder *folder, const char *name)
{
    static char text[300000];
    FILE *file = fopen(folder_path(folder, name), "r");
    size_t length = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file != NULL)
        fclose(file);
    text[length] = '\0';
    return text;
}

#endif
