/* Answers: JSON documents, errors as {"detail": "…"}, and the headers that every answer carries. */
#ifndef MOONWATCH_API_ANSWER_H
#define MOONWATCH_API_ANSWER_H

#include "api/request.h"

struct json; /* base/json.h */

#define DETAIL_SIZE 640 /* bytes of a refusal's sentence */

/* Takes over the response's reference. */
void answer(struct request *request, unsigned status, struct MHD_Response *response);

/* The response stays the caller's, to be served many times. */
void answer_kept(struct request *request, unsigned status, struct MHD_Response *response);

/* Forgets an answer that is not sent yet, if there is one. */
void answer_drop(struct request *request);

/* Takes over the text of `json`, which is empty afterwards. Out of memory answers 503. */
void answer_json(struct request *request, unsigned status, struct json *json);

/* `text` is copied. */
void answer_text(struct request *request, unsigned status, const char *content_type,
                 const char *text, size_t length);

/* {"detail": …} with a status from 400 up. */
__attribute__((format(printf, 3, 4))) void refuse(struct request *request, unsigned status,
                                                  const char *format, ...);

/* A response of malloc'ed or static memory with the headers of an API answer. NULL: no memory. */
struct MHD_Response *response_make(const char *text, size_t length, const char *content_type,
                                   enum MHD_ResponseMemoryMode mode);

/* The headers against sniffing, framing and leaking; every response has them. */
void response_protect(struct MHD_Response *response, const char *content_security_policy);

#define POLICY_API "default-src 'none'; frame-ancestors 'none'"
#define POLICY_PAGE                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "   \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

#define CONTENT_JSON "application/json"

#endif
