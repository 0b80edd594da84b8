/* See load_json.h. */
#include "api/load_json.h"

#include "api/page_view.h"
#include "api/token_json.h"
#include "page/load_view.h"

static void json_state(struct json *json, const struct status_page *page)
{
    json_put_string(json, "level", load_level_name(load_level_now(page)));
    json_instant(json, "since", (instant){(int64_t)page_word(&page->load.level_since_us)});
    json_put_double(json, "scale", load_scale_now(page));
    json_put_string(json, "deferral", load_deferral_name(load_deferral_now(page)));
    json_put_bool(json, "keeps_up", load_keeps_up(page));
}

static void json_unknown(struct json *json)
{
    static const char *const keys[] = {"level", "since", "scale", "deferral", "keeps_up"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        json_put_null(json, keys[i]);
}

void json_load(struct json *json, const struct status_page *page, instant now)
{
    char why[LOAD_WHY_SIZE];
    load_why(page, now, why);
    json_object_open(json, "load");
    if (load_is_known(page, now))
        json_state(json, page);
    else
        json_unknown(json);
    json_put_string(json, "why", why);
    json_instant(json, "sampled_at", (instant){(int64_t)page_word(&page->load.sampled_at_us)});
    json_object_close(json);
}
