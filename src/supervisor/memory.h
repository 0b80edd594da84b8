#ifndef MOONWATCH_SUPERVISOR_MEMORY_H
#define MOONWATCH_SUPERVISOR_MEMORY_H
/* stub */
#include "base/options.h"
#include "base/time.h"
#include <sys/types.h>
struct memory_watch { int x; };
static inline void memory_watch_init(struct memory_watch *w, const struct options *o) { (void)w; (void)o; }
static inline uint64_t memory_resident(pid_t p) { (void)p; return 0; }
static inline bool memory_is_over(struct memory_watch *w, uint64_t r, instant now) { (void)w; (void)r; (void)now; return false; }
static inline bool memory_was_killed(struct memory_watch *w) { (void)w; return false; }
#endif
