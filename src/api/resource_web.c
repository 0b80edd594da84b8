/*
 * The dashboard: GET /, /app/ and its pages, which are one file, and the files that it asks for.
 * Each file has a response a form, and one that says that the form a client has is still good.
 */
#include "api/answer.h"
#include "api/handlers.h"
#include "api/tagged.h"
#include "api/web.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASSETS        "assets/"
#define CACHE_FOREVER "public, max-age=31536000, immutable" /* a change has another name */

enum form { FORM_PLAIN, FORM_PACKED, FORM_COUNT };

struct web_response {
    struct MHD_Response *whole, *unchanged; /* 200, 304; NULL: the file has no such form */
    char etag[ETAG_SIZE];
};

struct web_entry {
    const struct web_file *file;
    struct web_response forms[FORM_COUNT];
};

struct web {
    size_t count;
    struct web_entry entries[];
};

static const struct {
    const char *suffix, *type;
} content_types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".woff2", "font/woff2"},
};

static const char *content_type_of(const char *name)
{
    const char *suffix = strrchr(name, '.');
    for (size_t i = 0; suffix != NULL && i < sizeof content_types / sizeof content_types[0]; i++) {
        if (strcmp(suffix, content_types[i].suffix) == 0)
            return content_types[i].type;
    }
    return "application/octet-stream";
}

static bool is_asset(const char *name)
{
    return strncmp(name, ASSETS, sizeof ASSETS - 1) == 0;
}

static struct MHD_Response *response_of(const struct web_entry *entry, enum form form,
                                        const struct web_bytes *bytes)
{
    const struct web_file *file = entry->file;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        bytes->size, (void *)(uintptr_t)bytes->bytes, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return NULL;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type_of(file->name));
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
                            is_asset(file->name) ? CACHE_FOREVER : "no-cache");
    MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, entry->forms[form].etag);
    MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    if (form == FORM_PACKED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    response_protect(response, POLICY_PAGE);
    return response;
}

static bool form_make(struct web_entry *entry, enum form form, const struct web_bytes *bytes)
{
    static const struct web_bytes nothing = {(const unsigned char *)"", 0};
    struct web_response *made = &entry->forms[form];
    if (bytes->bytes == NULL)
        return true;
    snprintf(made->etag, ETAG_SIZE, "\"%s%s\"", entry->file->hash,
             form == FORM_PACKED ? "-gzip" : "");
    made->whole = response_of(entry, form, bytes);
    made->unchanged = response_of(entry, form, &nothing);
    return made->whole != NULL && made->unchanged != NULL;
}

struct web *web_create(void)
{
    size_t count;
    const struct web_file *files = web_files(&count);
    struct web *web = calloc(1, sizeof *web + count * sizeof web->entries[0]);
    if (web == NULL)
        return NULL;
    web->count = count;
    for (size_t i = 0; i < count; i++) {
        struct web_entry *entry = &web->entries[i];
        entry->file = &files[i];
        if (!form_make(entry, FORM_PLAIN, &files[i].plain) ||
            !form_make(entry, FORM_PACKED, &files[i].packed)) {
            web_destroy(web);
            return NULL;
        }
    }
    return web;
}

void web_destroy(struct web *web)
{
    for (size_t i = 0; web != NULL && i < web->count * FORM_COUNT; i++) {
        struct web_response *made = &web->entries[i / FORM_COUNT].forms[i % FORM_COUNT];
        if (made->whole != NULL)
            MHD_destroy_response(made->whole);
        if (made->unchanged != NULL)
            MHD_destroy_response(made->unchanged);
    }
    free(web);
}

static void answer_file(struct request *request, const char *name)
{
    struct web *web = request->api->web;
    for (size_t i = 0; i < web->count; i++) {
        const struct web_entry *entry = &web->entries[i];
        if (strcmp(entry->file->name, name) != 0)
            continue;
        bool is_packed =
            entry->forms[FORM_PACKED].whole != NULL && packing_of(request) == PACKING_GZIP;
        const struct web_response *form = &entry->forms[is_packed ? FORM_PACKED : FORM_PLAIN];
        bool is_known = knows_tag(request, form->etag);
        answer_kept(request, is_known ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK,
                    is_known ? form->unchanged : form->whole);
        return;
    }
    refuse(request, MHD_HTTP_NOT_FOUND, "no such resource");
}

void handle_page(struct request *request)
{
    answer_file(request, "index.html");
}

void handle_page_asset(struct request *request)
{
    char name[sizeof ASSETS + PATH_ARGUMENT_SIZE];
    snprintf(name, sizeof name, ASSETS "%s", request->argument);
    answer_file(request, name);
}

/* The page finds out itself which of its pages /app/health is; what has a suffix is a file. */
void handle_page_part(struct request *request)
{
    answer_file(request, strchr(request->argument, '.') != NULL ? request->argument : "index.html");
}
