/* See log_record.h. */
#include "store/log_record.h"

#include "base/text.h"
#include <endian.h>
#include <string.h>

#define LENGTH_SIZE 2
#define HEAD_SIZE   5 /* id and status */

static uint8_t *put_text(uint8_t *at, const char *text, size_t size)
{
    size_t length = strnlen(text, size - 1);
    *at++ = (uint8_t)length;
    return (uint8_t *)memcpy(at, text, length) + length;
}

size_t log_record_encode(const struct store_token *token, uint8_t out[LOG_RECORD_MAX])
{
    uint32_t id = htole32(token->id);
    uint8_t *at = out + LENGTH_SIZE;
    at = (uint8_t *)memcpy(at, &id, sizeof id) + sizeof id;
    *at++ = token->token.status;
    at = put_text(at, token->token.name, sizeof token->token.name);
    at = put_text(at, token->token.symbol, sizeof token->token.symbol);
    at += state_encode(&token->token, token->primary_dex, at);
    uint16_t length = htole16((uint16_t)(at - out - LENGTH_SIZE));
    memcpy(out, &length, sizeof length);
    return (size_t)(at - out);
}

struct log_walk log_walk_begin(const void *bytes, size_t length, int64_t first, int64_t last)
{
    bool can_be = bytes != NULL && first >= 1 && last >= first && (uint64_t)(last - first) < length;
    if (!can_be)
        return (struct log_walk){0};
    return (struct log_walk){bytes, (const uint8_t *)bytes + length, first, last};
}

bool log_walk_next(struct log_walk *walk, struct log_record *out)
{
    uint16_t length;
    if (walk->next > walk->last || walk->end - walk->at < LENGTH_SIZE)
        return false;
    memcpy(&length, walk->at, sizeof length);
    length = le16toh(length);
    if (walk->end - walk->at - LENGTH_SIZE < length)
        return false;
    *out = (struct log_record){
        .position = walk->next++, .bytes = walk->at + LENGTH_SIZE, .length = length};
    walk->at += LENGTH_SIZE + length;
    return true;
}

bool log_walk_is_whole(const struct log_walk *walk)
{
    return walk->at == walk->end && walk->next - 1 == walk->last;
}

token_id log_record_token(const struct log_record *record)
{
    uint32_t id;
    if (record->length < HEAD_SIZE)
        return TOKEN_NONE;
    memcpy(&id, record->bytes, sizeof id);
    return le32toh(id);
}

/* False when it does not end before `end`, or is over `size` − 1 bytes. */
static bool get_text(const uint8_t **at, const uint8_t *end, char *out, size_t size)
{
    if (*at == end || end - *at - 1 < **at || **at >= size)
        return false;
    size_t length = *(*at)++;
    text_copy(out, size, (const char *)*at, length);
    *at += length;
    return true;
}

const char *log_record_decode(const struct log_record *record, struct store_token *out)
{
    const uint8_t *at = record->bytes + HEAD_SIZE, *end = record->bytes + record->length;
    out->id = log_record_token(record);
    if (out->id == TOKEN_NONE)
        return "no id of a token";
    out->token.status = at[-1];
    if (out->token.status >= TOKEN_STATUS_COUNT)
        return "an unknown status";
    if (!get_text(&at, end, out->token.name, sizeof out->token.name))
        return "a name that is too long";
    if (!get_text(&at, end, out->token.symbol, sizeof out->token.symbol))
        return "a symbol that is too long";
    return state_decode(at, (size_t)(end - at), &out->token, out->primary_dex);
}
