/* What of a status page an input can change (patches.h). */
#ifndef MOONWATCH_TESTS_FUZZ_PAGE_AREAS_H
#define MOONWATCH_TESTS_FUZZ_PAGE_AREAS_H

#include "page/status_page.h"
#include "patches.h"

#define AREA(member)                                                                               \
    {                                                                                              \
        offsetof(struct status_page, member), sizeof(((struct status_page *)0)->member)            \
    }

/* The bytes that an input can reach: of the long rings, their beginnings. */
static const struct area page_area_list[] = {
    AREA(magic),
    AREA(layout),
    AREA(size),
    AREA(clock),
    AREA(processes),
    AREA(beats),
    AREA(counters),
    AREA(gauges),
    AREA(histograms),
    AREA(groups),
    AREA(lanes),
    AREA(jobs),
    AREA(load),
    AREA(vitals),
    AREA(health),
    AREA(sinks),
    AREA(text_turn),
    AREA(texts[0].store_message),
    AREA(texts[0].alerts),
    AREA(texts[0].options),
    AREA(hands),
    AREA(crashes),
    AREA(suspects),
    AREA(flight.next),
    AREA(flight.records[2]),
    AREA(flight.records[1]),
    AREA(changes.next),
    AREA(log.next),
    AREA(texts[1].alerts),
    AREA(log.records[1]),
    AREA(pair_issues),
    AREA(source_counts),
    AREA(newest_snapshot),
    AREA(incident),
    AREA(cluster),
};

static const struct areas page_areas = {page_area_list,
                                        sizeof page_area_list / sizeof page_area_list[0]};

#endif
