/* The driver: bench [--quick] [--minutes N] [--out FILE] [--moonwatch PROGRAM] [NAME…]. */
#include "bench/bench.h"
#include "bench/plot.h"
#include "bench/process.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NAMES_MAX       16
#define DEFAULT_MINUTES 30
#define LOOK_MS         500

enum when { ALWAYS, ASKED_FOR };

struct benchmark {
    const char *name;
    enum when when;
    const char *sentence;
    void (*run)(struct bench *bench);
};

static const struct benchmark benchmarks[] = {
#define BENCHMARK(name, when, sentence) {#name, when, sentence, bench_##name},
#include "bench/benchmarks.def"
#undef BENCHMARK
};

#define BENCHMARKS (sizeof benchmarks / sizeof benchmarks[0])

struct wishes {
    const char *names[NAMES_MAX]; /* none: all that are not only ASKED_FOR */
    size_t count;
    const char *out;
};

static void usage(FILE *out)
{
    fputs("bench [--quick] [--minutes N] [--out FILE.json] [--moonwatch PROGRAM] [NAME…]\n", out);
    for (size_t i = 0; i < BENCHMARKS; i++)
        fprintf(out, "  %-10s %s%s\n", benchmarks[i].name, benchmarks[i].sentence,
                benchmarks[i].when == ASKED_FOR ? " (only when named)" : "");
}

static const struct benchmark *find(const char *name)
{
    for (size_t i = 0; i < BENCHMARKS; i++)
        if (strcmp(benchmarks[i].name, name) == 0)
            return &benchmarks[i];
    return NULL;
}

static void refuse(const char *word)
{
    fprintf(stderr, "bench: what is %s?\n", word);
    usage(stderr);
    exit(2);
}

static void parse(int argc, char *argv[], struct bench *bench, struct wishes *wishes)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            usage(stdout);
            exit(0);
        } else if (strcmp(argv[i], "--quick") == 0) {
            bench->pace = PACE_QUICK;
        } else if (strcmp(argv[i], "--minutes") == 0 && i + 1 < argc) {
            bench->minutes = strtod(argv[++i], NULL);
        } else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc) {
            wishes->out = argv[++i];
        } else if (strcmp(argv[i], "--moonwatch") == 0 && i + 1 < argc) {
            snprintf(bench->moonwatch, PATH_MAX, "%s", argv[++i]);
        } else if (find(argv[i]) != NULL && wishes->count < NAMES_MAX) {
            wishes->names[wishes->count++] = argv[i];
        } else {
            refuse(argv[i]);
        }
    }
}

static bool is_wanted(const struct benchmark *benchmark, const struct wishes *wishes)
{
    for (size_t i = 0; i < wishes->count; i++)
        if (strcmp(wishes->names[i], benchmark->name) == 0)
            return true;
    return wishes->count == 0 && benchmark->when == ALWAYS;
}

/* Programs lie where the build put them: beside us, and one folder up. */
static void find_programs(struct bench *bench)
{
    char folder[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", folder, sizeof folder - 1);
    folder[length < 0 ? 0 : length] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        *slash = '\0';
    snprintf(bench->worker, PATH_MAX, "%s", path_in(folder, "bench-worker"));
    snprintf(bench->bare, PATH_MAX, "%s", path_in(folder, "bench-bare"));
    snprintf(bench->moonwatch, PATH_MAX, "%s", path_in(folder, "../moonwatch"));
    snprintf(bench->market, PATH_MAX, "%s", path_in(folder, "../moonwatch-market"));
    snprintf(bench->folder, PATH_MAX, "%s", path_in(folder, "run"));
}

/* Beside the report, else here. */
static void find_pictures(struct bench *bench, const char *out)
{
    snprintf(bench->pictures, PATH_MAX, "%s", out == NULL ? "." : out);
    char *slash = strrchr(bench->pictures, '/');
    if (slash == NULL)
        snprintf(bench->pictures, PATH_MAX, ".");
    else
        *slash = '\0';
}

struct cpu_time {
    unsigned long long busy, idle; /* ticks of all CPUs */
};

/* The first line of /proc/stat: "cpu", then ticks of user, nice, system, idle, waiting for disks,
 * interrupts. What is nice is in nobody's way. */
static struct cpu_time read_cpu_time(void)
{
    enum { USER, NICE, SYSTEM, IDLE, WAITING, INTERRUPTS, KINDS };
    unsigned long long ticks[KINDS] = {0};
    char line[256] = "";
    FILE *file = fopen("/proc/stat", "r");
    if (file == NULL || fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    if (file != NULL)
        fclose(file);
    char *at = line + strcspn(line, " ");
    for (int i = 0; i < KINDS; i++)
        ticks[i] = strtoull(at, &at, 10);
    return (struct cpu_time){.busy = ticks[USER] + ticks[SYSTEM] + ticks[INTERRUPTS],
                             .idle = ticks[NICE] + ticks[IDLE] + ticks[WAITING]};
}

/* How much the figures are worth: what takes long on a busy machine may be the machine. */
static double others_busy_percent(void)
{
    struct cpu_time before = read_cpu_time();
    sleep_ms(LOOK_MS);
    struct cpu_time after = read_cpu_time();
    double busy = (double)(after.busy - before.busy), idle = (double)(after.idle - before.idle);
    return busy + idle > 0 ? 100 * busy / (busy + idle) : NAN;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run(struct bench *bench, const struct benchmark *benchmark)
{
    size_t first = bench->report.count;
    remove_folder(bench->folder);
    if (!make_folder(bench->folder))
        exit(1);
    printf("\n%s: %s\n", benchmark->name, benchmark->sentence);
    fflush(stdout);
    double busy_percent = others_busy_percent(), began_s = now_s();
    benchmark->run(bench);
    double took_s = now_s() - began_s;
    int left_over = process_kill_all();
    report_print(&bench->report, first);
    printf("(%.0f s; others kept the CPUs %.0f %% busy before it)\n", took_s, busy_percent);
    if (left_over > 0)
        printf("%d processes were left over, and are killed\n", left_over);
    fflush(stdout);
    remove_folder(bench->folder);
}

int main(int argc, char *argv[])
{
    /* Static: it is large, and there is one. */
    static struct bench bench = {.minutes = DEFAULT_MINUTES};
    struct wishes wishes = {0};
    find_programs(&bench);
    parse(argc, argv, &bench, &wishes);
    find_pictures(&bench, wishes.out);
    signal(SIGPIPE, SIG_IGN);
    process_adopt_orphans();
    for (size_t i = 0; i < BENCHMARKS; i++)
        if (is_wanted(&benchmarks[i], &wishes))
            run(&bench, &benchmarks[i]);
    if (wishes.out == NULL)
        return 0;
    if (!report_write(&bench.report, wishes.out)) {
        fprintf(stderr, "bench: cannot write %s\n", wishes.out);
        return 1;
    }
    plot_write(&bench.report, wishes.out);
    return 0;
}
