/* The dashboard's files (web/), embedded at build time, as ready-made responses. */
#ifndef MOONWATCH_API_WEB_H
#define MOONWATCH_API_WEB_H

#include <stddef.h>

/* What web/embed.sh generates from the files. */
struct web_file {
    const char *name;
    const unsigned char *bytes;
    size_t size;
};
const struct web_file *web_files(size_t *count);

struct web;
struct web *web_create(void);
void web_destroy(struct web *web);

#endif
