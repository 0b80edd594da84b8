/* The side of who reads: names for frames. See crash.h. */
#include "page/crash.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#define PROGRAM_NAME      "moonwatch"
#define FUNCTION_NAME_MAX 100 /* of C++'s endless ones; the offset behind it says the same */

struct search {
    const char *name; /* "": the program */
    uintptr_t base;
    bool is_found;
};

static int look_at(struct dl_phdr_info *info, size_t size, void *context)
{
    struct search *search = context;
    const char *slash = strrchr(info->dlpi_name, '/');
    (void)size;
    if (strncmp(slash != NULL ? slash + 1 : info->dlpi_name, search->name, CRASH_MODULE_SIZE - 1) !=
        0)
        return 0;
    search->base = info->dlpi_addr;
    search->is_found = true;
    return 1;
}

static bool find_module(const char *name, uintptr_t *base)
{
    struct search search = {.name = name};
    dl_iterate_phdr(look_at, &search);
    *base = search.base;
    return search.is_found;
}

static size_t fit(int length, size_t size)
{
    return (size_t)length < size ? (size_t)length : size - 1;
}

static size_t describe(const struct crash_frame *frame, const char *module, char *out, size_t size)
{
    Dl_info info;
    uintptr_t base;
    const char *shown = module[0] != '\0' ? module : PROGRAM_NAME;
    uint64_t offset = frame->address;
    /* A call may be the last instruction of its function: it goes on in the next one. */
    if (!find_module(module, &base) ||
        dladdr((void *)(base + offset - (frame->is_return != 0)), &info) == 0 ||
        info.dli_sname == NULL)
        return fit(snprintf(out, size, "%s+0x%" PRIx64, shown, offset), size);
    return fit(snprintf(out, size, "%.*s+0x%" PRIx64 " (%s+0x%" PRIx64 ")", FUNCTION_NAME_MAX,
                        info.dli_sname, base + offset - (uint64_t)(uintptr_t)info.dli_saddr, shown,
                        offset),
               size);
}

size_t crash_describe_frame(const struct crash_report *report, uint32_t index, char *out,
                            size_t size)
{
    const struct crash_frame *frame = &report->frames[index];
    char module[CRASH_MODULE_SIZE];
    if (frame->module < 0 || frame->module >= CRASH_MODULES_MAX)
        return fit(snprintf(out, size, "0x%" PRIx64, frame->address), size);
    snprintf(module, sizeof module, "%.*s", CRASH_MODULE_SIZE - 1, report->modules[frame->module]);
    return describe(frame, module, out, size);
}
