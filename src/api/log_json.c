/* See log_json.h. */
#include "api/log_json.h"

#include "api/token_json.h"
#include "page/status_page.h"
#include <ctype.h>

#define LEVEL_SIZE 16

static void json_level(struct json *json, enum log_level level)
{
    char text[LEVEL_SIZE] = "";
    const char *name = log_level_name(level);
    for (size_t i = 0; name[i] != '\0' && i < sizeof text - 1; i++)
        text[i] = (char)toupper((unsigned char)name[i]);
    json_put_string(json, "level", text);
}

void json_log_line(struct json *json, const struct log_line *line)
{
    json_object_open(json, NULL);
    json_instant(json, "ts", line->at);
    json_level(json, line->level);
    json_put_string(json, "logger", line->logger);
    json_put_string(json, "process", process_name((enum page_process_id)line->writer));
    json_put_members(json, line->text, line->length);
    json_object_close(json);
}
