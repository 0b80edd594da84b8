#include "base/heap.h"

#include <malloc.h>

void heap_set_up(void)
{
    /* Refused where the C library is another one: then it does as it does. */
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_OWN_MAPPING);
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
}
