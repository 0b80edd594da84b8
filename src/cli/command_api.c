#include "cli/command.h"
#include "page/inherited.h"
#include "page/status_page.h"
#include "base/clock.h"
#include <sys/socket.h>
#include <poll.h>
int command_api(int argc, char *argv[])
{
    (void)argc, (void)argv;
    char why[512];
    struct status_page *page = status_page_attach(FD_PAGE, PAGE_READ_WRITE, why);
    clock_share(&page->clock);
    struct report r = {.kind = REPORT_READY};
    send(FD_LINK, &r, sizeof r, 0);
    for (;;) {
        page_beat(page, BEAT_API_HTTP, clock_now(), duration_us(0));
        struct pollfd p = {.fd = FD_LINK, .events = POLLIN};
        if (poll(&p, 1, 100) == 1)
            return 0;
    }
}
