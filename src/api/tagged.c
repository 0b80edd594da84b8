/* See tagged.h. */
#include "api/tagged.h"

#include "api/answer.h"
#include "base/json.h"
#include <inttypes.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PACK_LEVEL 1 /* twice as large as the best, in a tenth of the time */

/* ---- what the request says ---- */

static const char *header_of(struct request *request, const char *name)
{
    const char *value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
    return value != NULL ? value : "";
}

/* "gzip" as an element of the list (RFC 9110, 12.5.3), and not with a weight of zero. */
static bool takes_gzip(const char *accepted)
{
    while (*accepted != '\0') {
        accepted += strspn(accepted, " \t,");
        size_t length = strcspn(accepted, ","), name = strcspn(accepted, " \t,;");
        if (name == 4 && strncasecmp(accepted, "gzip", 4) == 0) {
            char element[32] = "";
            snprintf(element, sizeof element, "%.*s", (int)length, accepted);
            const char *weight = strstr(element, "q=");
            return weight == NULL || strtod(weight + 2, NULL) > 0;
        }
        accepted += length;
    }
    return false;
}

enum packing packing_of(struct request *request)
{
    return takes_gzip(header_of(request, MHD_HTTP_HEADER_ACCEPT_ENCODING)) ? PACKING_GZIP
                                                                           : PACKING_NONE;
}

bool knows_tag(struct request *request, const char *etag)
{
    const char *known = header_of(request, MHD_HTTP_HEADER_IF_NONE_MATCH);
    return known[0] != '\0' && (strcmp(known, "*") == 0 || strstr(known, etag) != NULL);
}

/* ---- making one ---- */

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Folded multiplication (wyhash's idea, https://github.com/wangyi-fudan/wyhash) of words. */
static uint64_t hash_text(const char *text, size_t length)
{
    uint64_t hash = length ^ 0xa0761d6478bd642fULL;
    for (; length > 0;) {
        uint64_t word = 0;
        size_t taken = length < sizeof word ? length : sizeof word;
        memcpy(&word, text, taken);
        hash = fold(hash ^ word, 0xe7037ed1a0b428dbULL);
        text += taken;
        length -= taken;
    }
    return fold(hash, 0x8ebc6af09c88c6e3ULL);
}

/* NULL: it is not worth it, or there is no memory. */
static char *pack(const char *text, size_t length, size_t *packed_length)
{
    struct libdeflate_compressor *packer =
        length >= PACK_MIN && length <= PACK_MAX ? libdeflate_alloc_compressor(PACK_LEVEL) : NULL;
    char *packed = packer != NULL ? malloc(length) : NULL;
    *packed_length =
        packed != NULL ? libdeflate_gzip_compress(packer, text, length, packed, length) : 0;
    if (packer != NULL)
        libdeflate_free_compressor(packer);
    if (*packed_length > 0)
        return packed;
    free(packed);
    return NULL;
}

static void add_headers(struct MHD_Response *response, const char *etag, bool is_packed)
{
    MHD_del_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, etag);
    MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    if (is_packed)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
}

bool tagged_make(struct tagged *out, struct json *json, enum packing packing)
{
    *out = (struct tagged){0};
    if (json->failed || json->text == NULL) {
        json_finish(json);
        return false;
    }
    size_t length = json->length, packed_length = 0;
    uint64_t hash = hash_text(json->text, length);
    char *packed = packing == PACKING_GZIP ? pack(json->text, length, &packed_length) : NULL;
    bool is_packed = packed != NULL;
    out->whole = response_make(is_packed ? packed : json->text, is_packed ? packed_length : length,
                               CONTENT_JSON, MHD_RESPMEM_MUST_FREE);
    out->unchanged = response_make("", 0, CONTENT_JSON, MHD_RESPMEM_PERSISTENT);
    if (out->whole == NULL)
        free(packed);
    if (is_packed || out->whole == NULL)
        json_finish(json);
    *json = (struct json){0};
    if (out->whole == NULL || out->unchanged == NULL) {
        tagged_destroy(out);
        return false;
    }
    snprintf(out->etag, sizeof out->etag, "\"%016" PRIx64 "%s\"", hash, is_packed ? "-gzip" : "");
    add_headers(out->whole, out->etag, is_packed);
    add_headers(out->unchanged, out->etag, false);
    return true;
}

void tagged_destroy(struct tagged *tagged)
{
    if (tagged->whole != NULL)
        MHD_destroy_response(tagged->whole);
    if (tagged->unchanged != NULL)
        MHD_destroy_response(tagged->unchanged);
    *tagged = (struct tagged){0};
}

void answer_tagged(struct request *request, struct json *json)
{
    struct tagged tagged;
    if (!tagged_make(&tagged, json, packing_of(request))) {
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
        return;
    }
    bool is_known = knows_tag(request, tagged.etag);
    struct MHD_Response **chosen = is_known ? &tagged.unchanged : &tagged.whole;
    answer(request, is_known ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, *chosen);
    *chosen = NULL;
    tagged_destroy(&tagged);
}
