/* The token that a request's path names. */
#ifndef MOONWATCH_API_TOKEN_FIND_H
#define MOONWATCH_API_TOKEN_FIND_H

#include "api/request.h"

/* A consistent copy and, where `pools` is not NULL, its pools. TOKEN_NONE after having answered
 * 404, or 503 where it may be among the tokens that have not come yet or was being written when the
 * engine died. */
token_id token_find(struct request *request, struct token *token, struct pool pools[POOLS_MAX]);

#endif
