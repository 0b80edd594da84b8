/* The dashboard: GET /, /app/ and /app/{file}. A file's ETag is a hash of its bytes. */
#include "api/answer.h"
#include "api/handlers.h"
#include "api/web.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ETAG_SIZE 24

struct web_entry {
    const struct web_file *file;
    struct MHD_Response *response;
    struct MHD_Response *unchanged; /* 304 */
    char etag[ETAG_SIZE];
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

/* FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/): tells versions apart, nothing more. */
static void etag_make(const struct web_file *file, char out[ETAG_SIZE])
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < file->size; i++)
        hash = (hash ^ file->bytes[i]) * 0x100000001b3ULL;
    snprintf(out, ETAG_SIZE, "\"%016llx\"", (unsigned long long)hash);
}

static struct MHD_Response *file_response(const struct web_entry *entry, size_t size)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        size, (void *)(uintptr_t)entry->file->bytes, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return NULL;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            content_type_of(entry->file->name));
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, entry->etag);
    response_protect(response, POLICY_PAGE);
    return response;
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
        etag_make(entry->file, entry->etag);
        entry->response = file_response(entry, entry->file->size);
        entry->unchanged = file_response(entry, 0);
        if (entry->response == NULL || entry->unchanged == NULL) {
            web_destroy(web);
            return NULL;
        }
    }
    return web;
}

void web_destroy(struct web *web)
{
    for (size_t i = 0; web != NULL && i < web->count; i++) {
        if (web->entries[i].response != NULL)
            MHD_destroy_response(web->entries[i].response);
        if (web->entries[i].unchanged != NULL)
            MHD_destroy_response(web->entries[i].unchanged);
    }
    free(web);
}

static void answer_file(struct request *request, const char *name)
{
    struct web *web = request->api->web;
    for (size_t i = 0; i < web->count; i++) {
        struct web_entry *entry = &web->entries[i];
        if (strcmp(entry->file->name, name) != 0)
            continue;
        const char *known = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                        MHD_HTTP_HEADER_IF_NONE_MATCH);
        bool is_known = known != NULL && strstr(known, entry->etag) != NULL;
        answer_kept(request, is_known ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK,
                    is_known ? entry->unchanged : entry->response);
        return;
    }
    refuse(request, MHD_HTTP_NOT_FOUND, "no such resource");
}

void handle_page(struct request *request)
{
    answer_file(request, "index.html");
}

void handle_page_file(struct request *request)
{
    answer_file(request, request->argument);
}
