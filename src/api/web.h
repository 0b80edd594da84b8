/*
 * The dashboard's files (web/), built and embedded by web/build.mjs, as ready-made responses:
 * plain, and gzip-compressed for who takes that.
 */
#ifndef MOONWATCH_API_WEB_H
#define MOONWATCH_API_WEB_H

#include <stddef.h>

struct web_bytes {
    const unsigned char *bytes; /* NULL: there is no such form */
    size_t size;
};

struct web_file {
    const char *name; /* "index.html", "assets/index-Cx1z.js": what is in assets/ never changes */
    const char *hash; /* of the plain form */
    struct web_bytes plain, packed;
};
const struct web_file *web_files(size_t *count);

struct web;
struct web *web_create(void);
void web_destroy(struct web *web);

#endif
