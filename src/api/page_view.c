/* See page_view.h. */
#include "api/page_view.h"

#include "api/answer.h"
#include <math.h>

static void end_texts(struct page_texts *texts)
{
    texts->store_message[PAGE_TEXT_SIZE - 1] = '\0';
    texts->source_message[PAGE_TEXT_SIZE - 1] = '\0';
    texts->feed_message[PAGE_TEXT_SIZE - 1] = '\0';
}

bool page_view(struct request *request, struct page_texts *out)
{
    if (!page_read_texts(request->api->world.page, out)) {
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE,
               "the settings are being changed too fast to be read; try again");
        return false;
    }
    end_texts(out);
    return true;
}

double heartbeat_age_s(const struct status_page *page, instant now)
{
    double age = page_beat_age_s(page, BEAT_ENGINE_LOOP, now);
    return age < 0 ? NAN : age;
}
