/*
 * Answers that clients may keep and ask about: with an ETag of their content and, for who takes it
 * and where it is worth it, compressed. Asked with If-None-Match for what is still so, the answer
 * is 304 without a body.
 */
#ifndef MOONWATCH_API_TAGGED_H
#define MOONWATCH_API_TAGGED_H

#include "api/request.h"

struct json; /* base/json.h */

#define ETAG_SIZE 32
/* Shorter texts cost more to compress than to send; longer ones would keep others waiting. */
#define PACK_MIN 2048
#define PACK_MAX (512 << 10)

struct tagged {
    struct MHD_Response *whole, *unchanged; /* 200, 304 */
    char etag[ETAG_SIZE];
};

enum packing { PACKING_NONE, PACKING_GZIP };

/* What the request's Accept-Encoding allows. */
enum packing packing_of(struct request *request);

/* Whether its If-None-Match names this tag (RFC 9110, 13.1.2). */
bool knows_tag(struct request *request, const char *etag);

/* Takes over the text of `json`, which is empty afterwards. False: no memory; nothing was made. */
bool tagged_make(struct tagged *out, struct json *json, enum packing packing);
void tagged_destroy(struct tagged *tagged);

/* Answers with the text of `json`, which is empty afterwards, as it is asked for. */
void answer_tagged(struct request *request, struct json *json);

#endif
