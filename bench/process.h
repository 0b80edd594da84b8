/* Processes and files of the benchmarks. Whatever is started here dies with the driver. */
#ifndef MOONWATCH_BENCH_PROCESS_H
#define MOONWATCH_BENCH_PROCESS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* Once, in the driver: orphans of what it starts become its own, and are reaped as they die. */
void process_adopt_orphans(void);

/* A child that is about to become something: in a session of its own, in `folder`, its output
 * going to a file `log` there. Returns 0 in the child, −1 when there is none. */
pid_t process_fork(const char *folder);
/* process_fork() and execvp(). */
pid_t process_run(const char *folder, const char *const argv[]);
/* Kills a child and awaits its death. */
void process_kill(pid_t pid);

/* Kills whatever children there still are, orphans included; returns how many. A benchmark that
 * leaves some would slow down the next. */
int process_kill_all(void);

/* Is this program of ours where the build puts it? False with a sentence that names it. */
bool process_has_built(const char *path);

/* A port of this machine that is free now; 0: none. */
unsigned process_free_port(void);

/* Is it on the PATH? */
bool process_has_program(const char *name);

void sleep_ms(double ms);

/* FOLDER/NAME, in static storage, used in turn, eight at once. */
const char *path_in(const char *folder, const char *name);
/* False with a sentence on stderr. */
bool make_folder(const char *path);
bool remove_folder(const char *path);
bool write_text(const char *path, mode_t mode, const char *text);

#endif
