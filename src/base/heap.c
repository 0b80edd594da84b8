#include "base/heap.h"

#include "base/log.h"
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

void heap_set_up(void)
{
    /* Refused where the C library is another one: then it does as it does. */
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_OWN_MAPPING);
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
}

void heap_exhausted(const char *wanted_for)
{
    log_error("memory", "out of memory: ending, to be started afresh",
              LOG_STRING("wanted_for", wanted_for));
    _exit(EXIT_FAILURE); /* the others must not run on meanwhile */
}
