#include "base/option_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum err complain(enum option_id id, const char *problem, char why[OPTION_MESSAGE_SIZE])
{
    snprintf(why, OPTION_MESSAGE_SIZE, "%s %s", option_row(id)->name, problem);
    return ERR_INVALID;
}

/* Who transfers it takes it apart; here it is only made sure that it is meant as one. */
static bool is_http_url(const char *url)
{
    size_t scheme = strncasecmp(url, "http://", 7) == 0    ? 7
                    : strncasecmp(url, "https://", 8) == 0 ? 8
                                                           : 0;
    return scheme > 0 && strcspn(url + scheme, "/?#") > 0 && strpbrk(url, " \\\"<>^`{|}") == NULL;
}

static enum err check_url(enum option_id id, const char *url, char why[OPTION_MESSAGE_SIZE])
{
    if (url[0] == '\0' || is_http_url(url))
        return OK;
    return complain(id, "must be a URL: http://HOST/… or https://HOST/…", why);
}

static enum err check_telegram(const struct options *options, char why[OPTION_MESSAGE_SIZE])
{
    bool has_token = options->alert_telegram_token[0] != '\0';
    bool has_chat = options->alert_telegram_chat[0] != '\0';
    if (has_token && !has_chat)
        return complain(OPTION_ID_alert_telegram_chat,
                        "is missing: alert_telegram_token needs a chat to write to", why);
    if (has_chat && !has_token)
        return complain(OPTION_ID_alert_telegram_token,
                        "is missing: alert_telegram_chat needs a bot that writes", why);
    /* It becomes part of a path. */
    if (strspn(options->alert_telegram_token,
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
               "0123456789:_-") != strlen(options->alert_telegram_token))
        return complain(OPTION_ID_alert_telegram_token,
                        "is no token of a bot: those are like 123456:ABC-DEF1234", why);
    return check_url(OPTION_ID_alert_telegram_url, options->alert_telegram_url, why);
}

enum err option_rules_alerts(const struct options *options, char why[OPTION_MESSAGE_SIZE])
{
    enum err err = check_url(OPTION_ID_alert_webhook_url, options->alert_webhook_url, why);
    if (err == OK)
        err = check_url(OPTION_ID_alert_alertmanager_url, options->alert_alertmanager_url, why);
    if (err == OK && options->alert_webhook_token[0] != '\0' &&
        options->alert_webhook_url[0] == '\0')
        err =
            complain(OPTION_ID_alert_webhook_url, "is missing: alert_webhook_token is for it", why);
    if (err == OK)
        err = check_telegram(options, why);
    if (err == OK && options->alert_command[0] != '\0' && options->alert_command[0] != '/')
        err = complain(OPTION_ID_alert_command, "must be a whole path: it begins with /", why);
    return err;
}

enum err option_rules_export(const struct options *options, char why[OPTION_MESSAGE_SIZE])
{
    const char *mode = options->export_mode;
    char *end;
    unsigned long bits = strtoul(mode, &end, 8);
    if (strspn(mode, "01234567") == strlen(mode) && *end == '\0' && bits <= 0777 &&
        (bits & 0600) == 0600)
        return OK;
    return complain(OPTION_ID_export_mode,
                    "must be octal, as 0644, and let its owner read and write", why);
}
