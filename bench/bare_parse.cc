/* See bare_parse.h. */
#include "bench/bare_parse.h"

#include <string_view>

#define SIMDJSON_EXCEPTIONS 0
#include <simdjson.h>

namespace ondemand = simdjson::ondemand;

struct bare_parser {
    ondemand::parser simdjson;
};

namespace
{

void get_text(simdjson::simdjson_result<ondemand::value> value, struct bare_text &out)
{
    std::string_view text;
    if (value.get_string().get(text) == simdjson::SUCCESS)
        out = {text.data(), text.size()};
}

void get_number(simdjson::simdjson_result<ondemand::value> value, double &out)
{
    if (value.get_double().get(out) != simdjson::SUCCESS)
        out = 0;
}

void get_count(simdjson::simdjson_result<ondemand::value> value, int64_t &out)
{
    if (value.get_int64().get(out) != simdjson::SUCCESS)
        out = 0;
}

void read_base(ondemand::object object, struct bare_pair &out)
{
    get_text(object["address"], out.mint);
    get_text(object["name"], out.name);
    get_text(object["symbol"], out.symbol);
}

void read_quote(ondemand::object object, struct bare_pair &out)
{
    get_text(object["address"], out.quote);
    get_text(object["symbol"], out.quote_symbol);
}

void read_window(ondemand::object txns, const char *window, int64_t &buys, int64_t &sells)
{
    ondemand::object object;
    if (txns[window].get_object().get(object) != simdjson::SUCCESS)
        return;
    get_count(object["buys"], buys);
    get_count(object["sells"], sells);
}

/* Keys in the order in which they stand in the answers, so that no search starts over. */
void read_pair(ondemand::object pair, struct bare_pair &out)
{
    ondemand::object object;
    get_text(pair["chainId"], out.chain);
    get_text(pair["dexId"], out.dex);
    get_text(pair["pairAddress"], out.pool);
    if (pair["baseToken"].get_object().get(object) == simdjson::SUCCESS)
        read_base(object, out);
    if (pair["quoteToken"].get_object().get(object) == simdjson::SUCCESS)
        read_quote(object, out);
    if (pair["priceUsd"].get_double_in_string().get(out.price_usd) != simdjson::SUCCESS)
        out.price_usd = 0;
    if (pair["txns"].get_object().get(object) == simdjson::SUCCESS) {
        read_window(object, "m5", out.buys_m5, out.sells_m5);
        read_window(object, "h1", out.buys_h1, out.sells_h1);
    }
    if (pair["volume"].get_object().get(object) == simdjson::SUCCESS) {
        get_number(object["h24"], out.volume_h24_usd);
        get_number(object["h1"], out.volume_h1_usd);
        get_number(object["m5"], out.volume_m5_usd);
    }
    if (pair["priceChange"].get_object().get(object) == simdjson::SUCCESS) {
        get_number(object["m5"], out.change_m5_percent);
        get_number(object["h1"], out.change_h1_percent);
    }
    if (pair["liquidity"].get_object().get(object) == simdjson::SUCCESS)
        get_number(object["usd"], out.liquidity_usd);
    get_number(pair["marketCap"], out.market_cap_usd);
    get_count(pair["pairCreatedAt"], out.created_at_ms);
}

int read_array(ondemand::array array, struct bare_pair out[BARE_PAIRS_MAX])
{
    int count = 0;
    for (auto item : array) {
        ondemand::object pair;
        if (count == BARE_PAIRS_MAX || item.get_object().get(pair) != simdjson::SUCCESS)
            return -1;
        out[count] = {};
        read_pair(pair, out[count++]);
    }
    return count;
}

} // namespace

extern "C" struct bare_parser *bare_parser_create(void)
{
    return new (std::nothrow) bare_parser;
}

extern "C" int bare_parse(struct bare_parser *parser, const char *body, size_t length,
                          struct bare_pair out[BARE_PAIRS_MAX])
{
    simdjson::padded_string_view padded(body, length, length + BARE_PADDING);
    ondemand::document document;
    ondemand::array array;
    if (parser->simdjson.iterate(padded).get(document) != simdjson::SUCCESS)
        return -1;
    bool is_array = length > 0 && body[0] == '[';
    simdjson::error_code error =
        is_array ? document.get_array().get(array) : document["pairs"].get_array().get(array);
    return error == simdjson::SUCCESS ? read_array(array, out) : -1;
}
