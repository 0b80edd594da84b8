#include "base/library.h"
#include "base/log.h"
#include <dlfcn.h>

enum state { NOT_LOADED, LOADED, MISSING };

/* Its calls are looked up when they are first made, as the linker would have it. */
static enum state load(struct library *library)
{
    void *handle = dlopen(library->soname, RTLD_LAZY | RTLD_LOCAL);
    size_t found = 0;
    while (handle != NULL && found < library->count) {
        library->entries[found] = dlsym(handle, library->symbols[found]);
        if (library->entries[found] == NULL)
            break;
        found++;
    }
    if (found == library->count)
        return LOADED;
    log_error("library", "a shared library that is needed cannot be used; install its package",
              LOG_STRING("library", library->soname), LOG_STRING("package", library->package),
              LOG_STRING("cause", dlerror()));
    return MISSING;
}

void *library_entry(struct library *library, size_t number)
{
    int state = atomic_load_explicit(&library->state, memory_order_acquire);
    if (state == NOT_LOADED) {
        pthread_mutex_lock(&library->lock);
        state = atomic_load_explicit(&library->state, memory_order_relaxed);
        if (state == NOT_LOADED) {
            state = load(library);
            atomic_store_explicit(&library->state, state, memory_order_release);
        }
        pthread_mutex_unlock(&library->lock);
    }
    return state == LOADED ? library->entries[number] : NULL;
}
