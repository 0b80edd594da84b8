/* Names: see names.h. */
#include "market/names.h"
#include "market/chance.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define STRANGE_SHARE 0.04

static const char *const firsts[] = {
    "Moon",  "Baby",  "Sad",    "Based", "Giga",  "Tiny",   "Lord",  "Neon",  "Turbo",  "Sleepy",
    "Angry", "Fat",   "Smol",   "Mega",  "Dark",  "Golden", "Space", "Wet",   "Lazy",   "Holy",
    "Rich",  "Quiet", "Frozen", "Wild",  "Cyber", "Retro",  "Lucky", "Salty", "Fluffy", "Grand"};
static const char *const seconds[] = {"Cat",    "Dog",      "Frog",  "Wizard",  "Pepper", "Banana",
                                      "Goblin", "Penguin",  "Whale", "Hamster", "Toast",  "Robot",
                                      "Cow",    "Otter",    "Ghost", "Potato",  "Shark",  "Panda",
                                      "Llama",  "Squirrel", "Duck",  "Snail",   "Raven",  "Bagel",
                                      "Yeti",   "Badger",   "Camel", "Lobster", "Mole",   "Turnip"};

static const struct {
    const char *name, *symbol;
} strange[] = {{"\xf0\x9f\x9a\x80\xf0\x9f\x8c\x95 Rocket", "\xf0\x9f\x9a\x80"},
               {"\xe7\x8c\xab\xe5\xb8\x81", "\xe7\x8c\xab"},
               {"\xe3\x81\x97\xe3\x81\xb0\xe3\x81\x84\xe3\x81\xac", "\xe3\x81\x97\xe3\x81\xb0"},
               {"<script>alert(1)</script>", "<b>XSS</b>"},
               {"\"Quoted\" \\ Coin", "\"Q\""},
               {"\xe2\x80\xaeniocdlrow\xe2\x80\xac", "\xe2\x80\xaeLTR"},
               {"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", "\xd7\xa9\xd7\x9c"},
               {"'; DROP TABLE tokens; --", "DROP"},
               {"=HYPERLINK(\"http://x\")", "=1+1"},
               {"Fartcoin ", "Fartcoin "},
               {"zero\xe2\x80\x8bwidth\xe2\x80\x8djoiner", "z\xe2\x80\x8bw"},
               {"tab\tand\nnewline", "T\tN"},
               {"An unreasonably long name of a coin, longer than any", "UNREASONABLYLONG"},
               {"\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7 Family",
                "FAM\xf0\x9f\x91\xa8"},
               {"", ""},
               {"%s%n{{7*7}}${x}", "%n"}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void two_words(uint64_t key, char *out, size_t size, const char *between)
{
    snprintf(out, size, "%s%s%s", firsts[chance_at(key, 201) % COUNT(firsts)], between,
             seconds[chance_at(key, 202) % COUNT(seconds)]);
}

void name_of_token(uint64_t key, char name[NAME_SIZE], char symbol[SYMBOL_SIZE])
{
    if (chance_unit(key, 200) < STRANGE_SHARE) {
        uint64_t which = chance_at(key, 203) % COUNT(strange);
        snprintf(name, NAME_SIZE, "%s", strange[which].name);
        snprintf(symbol, SYMBOL_SIZE, "%s", strange[which].symbol);
        return;
    }
    two_words(key, name, NAME_SIZE, " ");
    two_words(key, symbol, SYMBOL_SIZE, "");
    symbol[4 + chance_at(key, 204) % 6] = '\0';
    for (char *at = symbol; *at != '\0'; at++)
        *at = (char)toupper((unsigned char)*at);
}

const struct hostile_name *hostile_name_of(uint64_t key)
{
    static const struct hostile_name names[] = {
        {"<script>alert(1)</script>", "<script>alert(1)</script>", 0},
        {"\\\"><img src=x onerror=alert(1)>", "\\\"><img src=x onerror=alert(1)>", 0},
        {"=cmd|'/C calc'!A0", "=cmd|'/C calc'!A0", 0},
        {"+1+cmd|' /C calc'!A0", "-1+1", 0},
        {"@SUM(1+1)*cmd|' /C calc'!A0", "@SUM(1)", 0},
        {"\\t=1+1", "\\r=1+1", 0},
        {"\xe2\x80\xaemoc.live\xe2\x80\xac", "\xe2\x80\xaeLOS", 0},
        {"\xe2\x81\xa7\xe2\x80\xaegpj.exe", "\xe2\x80\x8f\xe2\x80\xad", 0},
        {"\xf0\x9f\x9a\x80", "\xf0\x9f\x9a\x80", 2560}, /* of 4 bytes each */
        {"\\ud83d", "\\udc00x\\ud800", 0},
        {"a\\u0000b", "\\u0000", 0},
        {"\\u001b[2J\\u001b]0;owned\\u0007", "\\u009b31m", 0},
        {"line\\r\\nSet-Cookie: a=b", "level=error", 0},
        {"</textarea>{{7*7}}${7*7}", "'--", 0},
        {"javascript:alert(1)", "../../etc", 0},
    };
    return &names[chance_at(key, 206) % COUNT(names)];
}

void handle_of_token(uint64_t key, char handle[HANDLE_SIZE])
{
    two_words(key, handle, HANDLE_SIZE - 4, "");
    for (char *at = handle; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    snprintf(handle + strlen(handle), 5, "%u", (unsigned)(chance_at(key, 205) % 1000));
}
