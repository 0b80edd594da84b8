/* What the page says of load, for readers: a sample that is old is as good as none. */
#ifndef MOONWATCH_PAGE_LOAD_VIEW_H
#define MOONWATCH_PAGE_LOAD_VIEW_H

#include "core/load.h"
#include "page/status_page.h"

#define LOAD_OLD_AFTER_S 5.0 /* it is taken every second */
#define LOAD_WHY_SIZE    320

/* Seconds since the engine last looked; NaN: it never did. */
double load_age_s(const struct status_page *page, instant now);
bool load_is_known(const struct status_page *page, instant now);

/* NaN: unknown. */
double load_reading(const struct status_page *page, unsigned reading, instant now);
double load_signal_percent(const struct status_page *page, enum load_signal_id signal, instant now);
/* As the engine last had it; what is beyond the levels, in a damaged page, counts as the last. */
enum load_level load_signal_level(const struct status_page *page, enum load_signal_id signal);
enum load_level load_level_now(const struct status_page *page);
bool load_keeps_up(const struct status_page *page);    /* the engine, with its work */
double load_scale_now(const struct status_page *page); /* NaN: unknown */
enum load_level load_deferral_now(const struct status_page *page);
bool load_feature_is_off(const struct status_page *page, enum load_feature feature);
unsigned load_features_off(const struct status_page *page); /* how many */

/* Who waits because of load: "nobody", "low", "all_but_high". */
const char *load_deferral_name(enum load_level deferral);

/* A sentence for a person: what is busy, and what that means for the work. */
void load_why(const struct status_page *page, instant now, char out[LOAD_WHY_SIZE]);

#endif
