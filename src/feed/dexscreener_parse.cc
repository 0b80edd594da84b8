/* The one C++ file: simdjson's on-demand parser behind the C interface of dexscreener_parse.h. */
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <endian.h>
#include <memory>
#include <new>
#include <string_view>

#define SIMDJSON_EXCEPTIONS 0
#include <simdjson.h>

extern "C" {
#include "base/text.h"
#include "feed/dexscreener_parse.h"
#include "feed/json_scalar.h"
}

static_assert(ANSWER_PADDING >= simdjson::SIMDJSON_PADDING, "simdjson reads past the end");

namespace
{

namespace ondemand = simdjson::ondemand;
using simdjson::error_code;

/* Scratch memory is a multiple of the answer's size: what a huge one took is given back. */
constexpr size_t SCRATCH_KEEP_BYTES = 1 << 20;

/* Raw bytes of a key that are searched for an escape; the longest known key, each letter escaped,
 * is shorter, and the search ends within it or in the padding. */
constexpr size_t KEY_MAX = 80;

/* Bytes of input that are enough for a text of `size` bytes: text_copy() at most halves them. */
constexpr size_t TEXT_INPUT_FACTOR = 4;

constexpr double QUIET_LIQUIDITY_USD = 10000;
constexpr int64_t BUSY_TRANSACTIONS = 200;

/* ---- what stands in a pair, a row a field ----
 *
 * In the order in which they stand in the answers, with those that are not read, so that each is
 * found where it is expected. */

enum field_kind { UNREAD, CHAIN, POOL, BASE, QUOTE, TEXT, FIGURE, CHANGE, COUNT, MOMENT, OBJECT };
enum field_weight { NEEDED, HARMLESS }; /* does a wrong one refuse the pair */

/* A key with the quote behind it, as the first bytes of 16; the others are masked out. */
struct key_words {
    uint64_t bytes[2], mask[2];
};

constexpr key_words words_of(std::string_view name)
{
    key_words words = {};
    for (size_t i = 0; i <= name.size(); i++) {
        uint64_t byte = i < name.size() ? (unsigned char)name[i] : '"';
        words.bytes[i / 8] |= byte << 8 * (i % 8);
        words.mask[i / 8] |= UINT64_C(0xff) << 8 * (i % 8);
    }
    return words;
}

struct field;

struct field_list {
    const field *rows;
    size_t count;
};

struct field {
    std::string_view name;
    field_kind kind;
    field_weight weight;
    size_t offset; /* within struct pair */
    size_t size;
    field_list children;
    key_words key = words_of(name);
};

#define MEMBER(member) offsetof(struct pair, member), sizeof(((struct pair *)nullptr)->member)
constexpr field unread(std::string_view name)
{
    return {name, UNREAD, HARMLESS, 0, 0, {}};
}

template <size_t count> constexpr field_list list(const field (&rows)[count])
{
    return {rows, count};
}

constexpr field base_fields[] = {
    {"address", BASE, NEEDED, MEMBER(base), {}},
    {"name", TEXT, HARMLESS, MEMBER(base_name), {}},
    {"symbol", TEXT, HARMLESS, MEMBER(base_symbol), {}},
};
constexpr field quote_fields[] = {
    {"address", QUOTE, HARMLESS, MEMBER(quote), {}},
    unread("name"),
    {"symbol", TEXT, NEEDED, MEMBER(quote_symbol), {}},
};
constexpr field txns_m5_fields[] = {
    {"buys", COUNT, NEEDED, MEMBER(buys_m5), {}},
    {"sells", COUNT, NEEDED, MEMBER(sells_m5), {}},
};
constexpr field txns_h1_fields[] = {
    {"buys", COUNT, NEEDED, MEMBER(buys_h1), {}},
    {"sells", COUNT, NEEDED, MEMBER(sells_h1), {}},
};
constexpr field txns_fields[] = {
    {"m5", OBJECT, NEEDED, 0, 0, list(txns_m5_fields)},
    {"h1", OBJECT, NEEDED, 0, 0, list(txns_h1_fields)},
    unread("h6"),
    unread("h24"),
};
constexpr field volume_fields[] = {
    {"h24", FIGURE, NEEDED, MEMBER(volume_h24_usd), {}},
    unread("h6"),
    {"h1", FIGURE, NEEDED, MEMBER(volume_h1_usd), {}},
    {"m5", FIGURE, NEEDED, MEMBER(volume_m5_usd), {}},
};
constexpr field change_fields[] = {
    {"m5", CHANGE, NEEDED, MEMBER(change_m5_percent), {}},
    {"h1", CHANGE, NEEDED, MEMBER(change_h1_percent), {}},
    unread("h6"),
    unread("h24"),
    {"m15", CHANGE, NEEDED, MEMBER(change_m15_percent), {}},
};
constexpr field liquidity_fields[] = {
    {"usd", FIGURE, NEEDED, MEMBER(liquidity_usd), {}},
    unread("base"),
    unread("quote"),
};
constexpr field pair_fields[] = {
    {"chainId", CHAIN, NEEDED, 0, 0, {}},
    {"dexId", TEXT, NEEDED, MEMBER(dex), {}},
    unread("url"),
    {"pairAddress", POOL, NEEDED, MEMBER(pool), {}},
    {"baseToken", OBJECT, NEEDED, 0, 0, list(base_fields)},
    {"quoteToken", OBJECT, NEEDED, 0, 0, list(quote_fields)},
    unread("priceNative"),
    {"priceUsd", FIGURE, NEEDED, MEMBER(price_usd), {}},
    {"txns", OBJECT, NEEDED, 0, 0, list(txns_fields)},
    {"volume", OBJECT, NEEDED, 0, 0, list(volume_fields)},
    {"priceChange", OBJECT, NEEDED, 0, 0, list(change_fields)},
    {"liquidity", OBJECT, NEEDED, 0, 0, list(liquidity_fields)},
    unread("fdv"),
    {"marketCap", FIGURE, HARMLESS, MEMBER(market_cap_usd), {}},
    {"pairCreatedAt", MOMENT, HARMLESS, MEMBER(created_at_ms), {}},
    unread("info"),
};

/* ---- tokens of JSON ---- */

enum token_kind { TOKEN_NULL, TOKEN_NUMBER, TOKEN_STRING, TOKEN_OTHER, TOKEN_DAMAGED };

struct token {
    token_kind kind;
    std::string_view text; /* of strings what stands between the quotes, still escaped */
};

bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

std::string_view trim_end(std::string_view text)
{
    while (!text.empty() && is_space(text.back()))
        text.remove_suffix(1);
    return text;
}

/* Looks at a value without taking it: simdjson skips it when the next one is asked for. */
error_code peek(ondemand::value &value, token &out)
{
    std::string_view raw;
    raw = trim_end(value.raw_json_token());
    out = {TOKEN_DAMAGED, raw};
    if (raw.empty())
        return simdjson::TAPE_ERROR;
    if (raw[0] == '"' && raw.size() >= 2 && raw.back() == '"')
        out = {TOKEN_STRING, raw.substr(1, raw.size() - 2)};
    else if (raw[0] == '-' || (raw[0] >= '0' && raw[0] <= '9'))
        out.kind = TOKEN_NUMBER;
    else if (raw == "null")
        out.kind = TOKEN_NULL;
    else if (raw == "true" || raw == "false" || raw[0] == '{' || raw[0] == '[')
        out.kind = TOKEN_OTHER;
    return out.kind == TOKEN_DAMAGED ? simdjson::TAPE_ERROR : simdjson::SUCCESS;
}

/* ---- one pair ---- */

/* Base58 takes longer than the rest of a field; quote tokens, and in answers about one token its
 * own address too, come again and again. */
struct address_memo {
    char text[ADDRESS_TEXT_MAX];
    size_t length = 0;
    struct address address;
};

struct reader {
    std::string_view chain;
    address_memo base_memo, quote_memo;
    struct parsed_answer *out = nullptr;

    /* of the pair at hand */
    struct pair *pair = nullptr;
    pair_issue issue = PAIR_ISSUE_COUNT;
    uint32_t ignored_fields = 0;
    bool is_other_chain = false;
    bool has_pool = false;
    bool has_base = false;

    bool anything_like_a_pair = false;
};

void refuse(reader &r, pair_issue issue)
{
    if (r.issue == PAIR_ISSUE_COUNT)
        r.issue = issue;
}

void complain(reader &r, const field &field, pair_issue issue)
{
    if (field.weight == NEEDED)
        refuse(r, issue);
    else
        r.ignored_fields++;
}

template <typename T> T &member(reader &r, const field &field)
{
    return *reinterpret_cast<T *>(reinterpret_cast<char *>(r.pair) + field.offset);
}

error_code read_text(reader &r, const field &field, const token &token)
{
    char unescaped[JSON_UNESCAPED_MAX];
    std::string_view text = token.text;
    if (token.kind != TOKEN_STRING && token.kind != TOKEN_NUMBER) {
        complain(r, field, PAIR_WRONG_TYPE);
        return simdjson::SUCCESS;
    }
    if (memchr(text.data(), '\\', text.size()) != nullptr) {
        size_t length;
        if (!json_text_unescape(text.data(), text.size(), unescaped, &length))
            return simdjson::STRING_ERROR;
        text = std::string_view(unescaped, length);
    }
    text_copy(&member<char>(r, field), field.size, text.data(),
              std::min(text.size(), field.size * TEXT_INPUT_FACTOR));
    return simdjson::SUCCESS;
}

bool parse_address(address_memo *memo, std::string_view text, struct address *out)
{
    if (memo != nullptr && !text.empty() && text == std::string_view(memo->text, memo->length)) {
        *out = memo->address;
        return true;
    }
    if (!address_parse(text.data(), text.size(), out))
        return false;
    if (memo != nullptr && text.size() <= sizeof(memo->text)) {
        memcpy(memo->text, text.data(), text.size());
        memo->length = text.size();
        memo->address = *out;
    }
    return true;
}

void read_address(reader &r, const field &field, const token &token)
{
    address_memo *memo = field.kind == BASE    ? &r.base_memo
                         : field.kind == QUOTE ? &r.quote_memo
                                               : nullptr;
    if (token.kind != TOKEN_STRING)
        return complain(r, field, PAIR_WRONG_TYPE);
    if (!parse_address(memo, token.text, &member<struct address>(r, field)))
        return complain(r, field, PAIR_NO_ADDRESS);
    r.has_pool = r.has_pool || field.kind == POOL;
    r.has_base = r.has_base || field.kind == BASE;
}

void read_chain(reader &r, const field &field, const token &token)
{
    if (token.kind != TOKEN_STRING)
        return complain(r, field, PAIR_WRONG_TYPE);
    r.is_other_chain = token.text != r.chain;
}

void store_number(reader &r, const field &field, double value)
{
    if (field.kind == COUNT || field.kind == MOMENT)
        member<int64_t>(r, field) = (int64_t)value;
    else
        member<double>(r, field) = value;
}

/* False when the field is done with: refused, or ignored. */
bool accept_number(reader &r, const field &field, double value)
{
    bool is_whole = field.kind == COUNT || field.kind == MOMENT;
    if (std::fabs(value) > (is_whole ? (double)COUNT_MAX : FIGURE_MAX)) {
        refuse(r, PAIR_NOT_FINITE);
        return false;
    }
    if (value < 0 && field.kind != CHANGE) {
        complain(r, field, PAIR_NEGATIVE);
        return false;
    }
    if (is_whole && (double)(int64_t)value != value) {
        complain(r, field, PAIR_WRONG_TYPE);
        return false;
    }
    return true;
}

error_code read_figure(reader &r, const field &field, const token &token)
{
    double value = 0;
    json_number verdict = JSON_NUMBER_NONE;
    if (token.kind == TOKEN_NUMBER || token.kind == TOKEN_STRING)
        verdict = json_number_read(token.text.data(), token.text.size(), &value);
    if (verdict != JSON_NUMBER_OK && verdict != JSON_NUMBER_TOO_LARGE && token.kind == TOKEN_NUMBER)
        return simdjson::NUMBER_ERROR;
    if (verdict == JSON_NUMBER_TOO_LARGE || verdict == JSON_NUMBER_WORD)
        refuse(r, PAIR_NOT_FINITE);
    else if (verdict == JSON_NUMBER_NONE)
        complain(r, field, PAIR_WRONG_TYPE);
    else if (accept_number(r, field, value))
        store_number(r, field, value);
    return simdjson::SUCCESS;
}

error_code read_object(reader &r, const field_list &fields, ondemand::object object);

error_code read_field(reader &r, const field &field, ondemand::value &value)
{
    token token;
    r.anything_like_a_pair |= field.kind == POOL || field.children.rows == base_fields;
    if (r.is_other_chain)
        return simdjson::SUCCESS;
    SIMDJSON_TRY(peek(value, token));
    if (token.kind == TOKEN_NULL)
        return simdjson::SUCCESS;
    switch (field.kind) {
    case CHAIN:
        read_chain(r, field, token);
        return simdjson::SUCCESS;
    case POOL:
    case BASE:
    case QUOTE:
        read_address(r, field, token);
        return simdjson::SUCCESS;
    case TEXT:
        return read_text(r, field, token);
    case FIGURE:
    case CHANGE:
    case COUNT:
    case MOMENT:
        return read_figure(r, field, token);
    case UNREAD: /* read_object() leaves it out */
    case OBJECT:
        break;
    }
    if (token.text[0] != '{' || token.kind != TOKEN_OTHER) {
        complain(r, field, PAIR_WRONG_TYPE);
        return simdjson::SUCCESS;
    }
    ondemand::object object;
    SIMDJSON_TRY(value.get_object().get(object));
    return read_object(r, field.children, object);
}

bool has_escape(const char *raw)
{
    size_t i = 0;
    while (i < KEY_MAX && raw[i] != '"' && raw[i] != '\\')
        i++;
    return i < KEY_MAX && raw[i] == '\\';
}

uint64_t load_word(const char *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof(word));
    return le64toh(word);
}

/* Keys come in the same order nearly always, so the search begins where the last one ended. `raw`
 * is followed by at least as many readable bytes as the padding has. */
size_t find_raw_field(const field_list &fields, const char *raw, size_t guess)
{
    uint64_t low = load_word(raw), high = load_word(raw + 8);
    for (size_t tried = 0, i = guess; tried < fields.count; tried++, i++) {
        i = i < fields.count ? i : 0;
        const key_words &key = fields.rows[i].key;
        if ((((low ^ key.bytes[0]) & key.mask[0]) | ((high ^ key.bytes[1]) & key.mask[1])) == 0)
            return i;
    }
    return fields.count;
}

error_code find_field(const field_list &fields, ondemand::field &field, size_t guess, size_t &found)
{
    const char *raw = field.key().raw();
    found = find_raw_field(fields, raw, guess);
    if (found < fields.count || !has_escape(raw))
        return simdjson::SUCCESS;
    std::string_view key;
    SIMDJSON_TRY(field.unescaped_key().get(key));
    for (size_t i = 0; i < fields.count; i++)
        if (fields.rows[i].name == key)
            found = i;
    return simdjson::SUCCESS;
}

error_code read_object(reader &r, const field_list &fields, ondemand::object object)
{
    uint32_t seen = 0;
    size_t i, guess = 0;
    for (auto item : object) {
        SIMDJSON_TRY(item.error());
        ondemand::field &&field = std::move(item).value_unsafe();
        SIMDJSON_TRY(find_field(fields, field, guess, i));
        if (i == fields.count)
            continue;
        guess = i + 1;
        if (fields.rows[i].kind == UNREAD)
            continue;
        if (seen & 1u << i) {
            r.out->issues[PAIR_DUPLICATE_KEY]++;
            continue;
        }
        seen |= 1u << i;
        SIMDJSON_TRY(read_field(r, fields.rows[i], field.value()));
    }
    return simdjson::SUCCESS;
}

const struct pair EMPTY_PAIR = [] {
    struct pair pair = {};
    for (double *figure :
         {&pair.price_usd, &pair.liquidity_usd, &pair.market_cap_usd, &pair.volume_m5_usd,
          &pair.volume_h1_usd, &pair.volume_h24_usd, &pair.change_m5_percent,
          &pair.change_m15_percent, &pair.change_h1_percent})
        *figure = NAN;
    return pair;
}();

void begin_pair(reader &r, struct pair *pair)
{
    r.pair = pair;
    *pair = EMPTY_PAIR;
    r.issue = PAIR_ISSUE_COUNT;
    r.ignored_fields = 0;
    r.is_other_chain = r.has_pool = r.has_base = false;
}

bool is_duplicate(const reader &r)
{
    for (size_t i = 0; i < r.out->pair_count; i++)
        if (r.out->pairs[i].pool.bytes[0] == r.pair->pool.bytes[0] &&
            address_equal(&r.out->pairs[i].pool, &r.pair->pool))
            return true;
    return false;
}

pair_issue judge_pair(const reader &r)
{
    if (r.is_other_chain)
        return PAIR_OTHER_CHAIN;
    if (r.issue != PAIR_ISSUE_COUNT)
        return r.issue;
    if (!r.has_pool || !r.has_base)
        return PAIR_NO_ADDRESS;
    if (is_duplicate(r))
        return PAIR_DUPLICATE;
    return r.out->pair_count == ANSWER_PAIRS_MAX ? PAIR_OVER_LIMIT : PAIR_ISSUE_COUNT;
}

bool is_nothing(double figure)
{
    return std::isnan(figure) || figure == 0;
}

void remark(struct parsed_answer *out, const struct pair &pair)
{
    int64_t tx_m5 = pair.buys_m5 + pair.sells_m5;
    int64_t tx_h1 = pair.buys_h1 + pair.sells_h1;
    out->issues[PAIR_NO_TRANSACTIONS] +=
        pair.liquidity_usd > QUIET_LIQUIDITY_USD && tx_m5 == 0 && tx_h1 == 0;
    out->issues[PAIR_NO_MOVE] +=
        (tx_m5 > BUSY_TRANSACTIONS && is_nothing(pair.change_m5_percent)) ||
        (tx_h1 > BUSY_TRANSACTIONS && is_nothing(pair.change_h1_percent));
    out->issues[PAIR_NO_VOLUME] += (tx_m5 > 0 && is_nothing(pair.volume_m5_usd)) ||
                                   (tx_h1 > 0 && is_nothing(pair.volume_h1_usd));
}

void finish_pair(reader &r)
{
    pair_issue issue = judge_pair(r);
    if (issue != PAIR_OTHER_CHAIN)
        r.out->issues[PAIR_FIELD_IGNORED] += r.ignored_fields;
    if (issue != PAIR_ISSUE_COUNT) {
        r.out->issues[issue]++;
        return;
    }
    remark(r.out, *r.pair);
    r.out->pair_count++;
}

error_code read_pair_object(reader &r, ondemand::object object)
{
    struct pair spare;
    bool is_full = r.out->pair_count == ANSWER_PAIRS_MAX;
    begin_pair(r, is_full ? &spare : &r.out->pairs[r.out->pair_count]);
    SIMDJSON_TRY(read_object(r, list(pair_fields), object));
    finish_pair(r);
    return simdjson::SUCCESS;
}

error_code read_pair(reader &r, ondemand::value &value)
{
    token token;
    SIMDJSON_TRY(peek(value, token));
    if (token.kind != TOKEN_OTHER || token.text[0] != '{') {
        r.out->issues[PAIR_WRONG_TYPE]++;
        return simdjson::SUCCESS;
    }
    ondemand::object object;
    SIMDJSON_TRY(value.get_object().get(object));
    return read_pair_object(r, object);
}

/* ---- the answer around the pairs ---- */

error_code read_array(reader &r, ondemand::array array, size_t &elements)
{
    for (auto item : array) {
        SIMDJSON_TRY(item.error());
        ondemand::value value = item.value_unsafe();
        SIMDJSON_TRY(read_pair(r, value));
        elements++;
    }
    return simdjson::SUCCESS;
}

void clear_answer(struct parsed_answer *out)
{
    out->pair_count = 0;
    memset(out->issues, 0, sizeof(out->issues));
}

/* What an object said about its shape. */
struct envelope {
    bool has_pairs = false; /* "pairs" as an array or null */
    bool has_array = false;
    bool has_pair = false;
    bool is_pair = false; /* is itself a pair */
    bool is_wrong = false;
    size_t elements = 0;
};

error_code read_pairs_field(reader &r, ondemand::value &value, envelope &found)
{
    token token;
    SIMDJSON_TRY(peek(value, token));
    found.has_pairs = true;
    if (token.kind == TOKEN_NULL)
        return simdjson::SUCCESS;
    if (token.kind != TOKEN_OTHER || token.text[0] != '[') {
        found.is_wrong = true;
        return simdjson::SUCCESS;
    }
    /* "pair" repeats what is in "pairs" where both are given. */
    clear_answer(r.out);
    found.has_array = true;
    ondemand::array array;
    SIMDJSON_TRY(value.get_array().get(array));
    return read_array(r, array, found.elements);
}

error_code read_pair_field(reader &r, ondemand::value &value, envelope &found)
{
    token token;
    SIMDJSON_TRY(peek(value, token));
    found.has_pair = true;
    if (token.kind == TOKEN_NULL || found.has_array)
        return simdjson::SUCCESS;
    found.elements++;
    return read_pair(r, value);
}

error_code read_envelope(reader &r, ondemand::object object, envelope &found)
{
    for (auto item : object) {
        SIMDJSON_TRY(item.error());
        ondemand::field &&field = std::move(item).value_unsafe();
        std::string_view key;
        SIMDJSON_TRY(field.unescaped_key().get(key));
        if (key == "pairs" && !found.has_pairs)
            SIMDJSON_TRY(read_pairs_field(r, field.value(), found))
        else if (key == "pair" && !found.has_pair)
            SIMDJSON_TRY(read_pair_field(r, field.value(), found))
        else if (key == "pairs" || key == "pair")
            r.out->issues[PAIR_DUPLICATE_KEY]++;
        found.is_pair = found.is_pair || key == "pairAddress" || key == "baseToken";
    }
    return simdjson::SUCCESS;
}

error_code read_object_answer(reader &r, ondemand::document &document, envelope &found)
{
    ondemand::object object;
    SIMDJSON_TRY(document.get_object().get(object));
    SIMDJSON_TRY(read_envelope(r, object, found));
    if (found.has_pairs || found.has_pair || !found.is_pair)
        return simdjson::SUCCESS;
    found.elements = 1;
    document.rewind();
    SIMDJSON_TRY(document.get_object().get(object));
    return read_pair_object(r, object);
}

feed_outcome read_answer(reader &r, ondemand::document &document, char first)
{
    envelope found;
    error_code error;
    if (first == '[') {
        ondemand::array array;
        found.has_pairs = true;
        error = document.get_array().get(array);
        if (!error)
            error = read_array(r, array, found.elements);
    } else {
        error = read_object_answer(r, document, found);
    }
    bool is_at_end = document.current_location().error() == simdjson::OUT_OF_BOUNDS;
    if (error || !is_at_end)
        return FEED_MALFORMED;
    bool has_shape = found.has_pairs || found.has_pair || found.is_pair;
    if (found.is_wrong || !has_shape || (found.elements > 0 && !r.anything_like_a_pair))
        return FEED_WRONG_SHAPE;
    return FEED_OK;
}

/* Whole documents that are JSON, but neither an object nor an array. */
bool is_scalar(std::string_view text)
{
    return text == "null" || text == "true" || text == "false" ||
           (text.size() >= 2 && text.front() == '"' && text.back() == '"');
}

} // namespace

struct answer_parser {
    std::unique_ptr<ondemand::parser> simdjson;
    reader state;
};

static feed_outcome parse_document(struct answer_parser *parser, std::string_view body)
{
    size_t start = body.find_first_not_of(" \t\r\n");
    if (start == std::string_view::npos)
        return FEED_MALFORMED;
    if (body[start] != '{' && body[start] != '[')
        return is_scalar(trim_end(body.substr(start))) ? FEED_WRONG_SHAPE : FEED_NOT_JSON;

    simdjson::padded_string_view padded(body.data(), body.size(), body.size() + ANSWER_PADDING);
    ondemand::document document;
    if (parser->simdjson->iterate(padded).get(document))
        return FEED_MALFORMED;
    return read_answer(parser->state, document, body[start]);
}

extern "C" struct answer_parser *answer_parser_create(void)
{
    std::unique_ptr<answer_parser> parser(new (std::nothrow) answer_parser);
    if (!parser)
        return nullptr;
    parser->simdjson.reset(new (std::nothrow) ondemand::parser);
    return parser->simdjson ? parser.release() : nullptr;
}

extern "C" void answer_parser_destroy(struct answer_parser *parser)
{
    delete parser;
}

extern "C" enum feed_outcome answer_parse(struct answer_parser *parser, const char *body,
                                          size_t length, const char *chain,
                                          struct parsed_answer *out)
{
    clear_answer(out);
    parser->state.chain = chain;
    parser->state.out = out;
    parser->state.anything_like_a_pair = false;
    feed_outcome outcome = parse_document(parser, std::string_view(body, length));
    if (outcome == FEED_MALFORMED || outcome == FEED_NOT_JSON)
        clear_answer(out);
    if (outcome == FEED_WRONG_SHAPE)
        out->pair_count = 0;
    if (parser->simdjson->capacity() > SCRATCH_KEEP_BYTES) {
        ondemand::parser *fresh = new (std::nothrow) ondemand::parser;
        if (fresh != nullptr)
            parser->simdjson.reset(fresh);
    }
    return outcome;
}
