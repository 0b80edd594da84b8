/* Bodies as the upstream writes them, for the tests of the parser and of the client. */
#ifndef MOONWATCH_TESTS_SAMPLE_ANSWERS_H
#define MOONWATCH_TESTS_SAMPLE_ANSWERS_H

#define SAMPLE_POOL_1 "9x4rNZcVnQ3HkPZyBpDEXzQmjuTA5oNvt8kWfVYc2sLd"
#define SAMPLE_POOL_2 "B7kVnZcVnQ3HkPZyBpDEXzQmjuTA5oNvt8kWfVYc2sLd"
#define SAMPLE_POOL_3 "CcTVnZcVnQ3HkPZyBpDEXzQmjuTA5oNvt8kWfVYc2sLd"
#define SAMPLE_MINT   "7sWmA2cXpQ3HkPZyBpDEXzQmjuTA5oNvt8kWfVYcpump"
#define SAMPLE_WSOL   "So11111111111111111111111111111111111111112"

/* A pair with everything in it. */
#define SAMPLE_PAIR_FULL                                                                           \
    "{\"chainId\":\"solana\",\"dexId\":\"raydium\","                                               \
    "\"url\":\"https://dexscreener.com/solana/9x4rnzcvnq3hkpzybpdexzqmjuta5onvt8kwfvyc2sld\","     \
    "\"pairAddress\":\"" SAMPLE_POOL_1 "\",\"labels\":[\"CLMM\"],"                                 \
    "\"baseToken\":{\"address\":\"" SAMPLE_MINT "\",\"name\":\"Moon Watcher\","                    \
    "\"symbol\":\"WATCH\"},"                                                                       \
    "\"quoteToken\":{\"address\":\"" SAMPLE_WSOL "\",\"name\":\"Wrapped SOL\","                    \
    "\"symbol\":\"SOL\"},"                                                                         \
    "\"priceNative\":\"0.00007517\",\"priceUsd\":\"0.007797\","                                    \
    "\"txns\":{\"m5\":{\"buys\":3,\"sells\":2},\"h1\":{\"buys\":23,\"sells\":18},"                 \
    "\"h6\":{\"buys\":323,\"sells\":283},\"h24\":{\"buys\":1332,\"sells\":1239}},"                 \
    "\"volume\":{\"h24\":12059.92,\"h6\":2635.06,\"h1\":152.95,\"m5\":11},"                        \
    "\"priceChange\":{\"m5\":-0.2,\"h1\":-0.35,\"h6\":1.04,\"h24\":3.53},"                         \
    "\"liquidity\":{\"usd\":52339.84,\"base\":5763677,\"quote\":71.3146},"                         \
    "\"fdv\":693121197,\"marketCap\":490162871,\"pairCreatedAt\":1734440396000,"                   \
    "\"info\":{\"imageUrl\":\"https://cdn.example/9d51?width=800&quality=90\","                    \
    "\"websites\":[{\"url\":\"https://www.example.com\",\"label\":\"Website\"}],"                  \
    "\"socials\":[{\"url\":\"https://x.example/watch\",\"type\":\"twitter\"}]}}"

/* A bonding curve, minutes old: no liquidity, no info. */
#define SAMPLE_PAIR_FRESH                                                                          \
    "{\"chainId\":\"solana\",\"dexId\":\"pumpfun\",\"pairAddress\":\"" SAMPLE_POOL_2 "\","         \
    "\"baseToken\":{\"address\":\"" SAMPLE_MINT "\",\"name\":\"ascend\","                          \
    "\"symbol\":\"ASCEND\"},"                                                                      \
    "\"quoteToken\":{\"address\":\"" SAMPLE_WSOL "\",\"name\":\"Wrapped SOL\","                    \
    "\"symbol\":\"SOL\"},"                                                                         \
    "\"priceNative\":\"0.0000001464\",\"priceUsd\":\"0.00001084\","                                \
    "\"txns\":{\"m5\":{\"buys\":268,\"sells\":172},\"h1\":{\"buys\":268,\"sells\":172}},"          \
    "\"volume\":{\"h24\":14780.31,\"h6\":14780.31,\"h1\":14780.31,\"m5\":14780.31},"               \
    "\"priceChange\":{\"m5\":390,\"h1\":390,\"h6\":390,\"h24\":390},"                              \
    "\"fdv\":10846.34,\"marketCap\":10846.34,\"pairCreatedAt\":1785786812000}"

/* What the upstream leaves out of a pool that nobody trades. */
#define SAMPLE_PAIR_SPARSE                                                                         \
    "{\"chainId\":\"solana\",\"dexId\":\"meteora\",\"pairAddress\":\"" SAMPLE_POOL_3 "\","         \
    "\"labels\":[\"DYN2\"],\"baseToken\":{\"address\":\"" SAMPLE_MINT "\","                        \
    "\"name\":\"CHURN HOUSE\",\"symbol\":\"CHURNHOUSE\"},"                                         \
    "\"quoteToken\":{\"address\":\"" SAMPLE_WSOL "\",\"name\":\"W\",\"symbol\":\"WIZARD\"},"       \
    "\"priceNative\":\"0.04263\",\"txns\":{\"m5\":{\"buys\":0,\"sells\":0},"                       \
    "\"h1\":{\"buys\":0,\"sells\":0},\"h6\":{\"buys\":0,\"sells\":0},"                             \
    "\"h24\":{\"buys\":4,\"sells\":6}},\"volume\":{\"h24\":0,\"h6\":0,\"h1\":0,\"m5\":0},"         \
    "\"priceChange\":{}}"

#define SAMPLE_ARRAY "[" SAMPLE_PAIR_FULL "," SAMPLE_PAIR_FRESH "," SAMPLE_PAIR_SPARSE "]"
#define SAMPLE_PAIRS "{\"schemaVersion\":\"1.0.0\",\"pairs\":" SAMPLE_ARRAY "}"
#define SAMPLE_BOTH                                                                                \
    "{\"schemaVersion\":\"1.0.0\",\"pairs\":[" SAMPLE_PAIR_FULL "],\"pair\":" SAMPLE_PAIR_FULL "}"

#endif
