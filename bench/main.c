/* The driver: bench [--quick] [--minutes N] [--out FILE] [--moonwatch PROGRAM] [NAME…]. */
#include "bench/bench.h"
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
    snprintf(bench->moonwatch, PATH_MAX, "%s", path_in(folder, "../moonwatch"));
    snprintf(bench->market, PATH_MAX, "%s", path_in(folder, "../moonwatch-market"));
    snprintf(bench->folder, PATH_MAX, "%s", path_in(folder, "run"));
}

/* Seconds in which something had to wait for a CPU, ever (pressure stall information); NaN: the
 * kernel does not say. */
static double cpu_wait_s(void)
{
    unsigned long long us = 0;
    FILE *file = fopen("/proc/pressure/cpu", "r");
    bool is_known = file != NULL && fscanf(file, "some %*s %*s %*s total=%llu", &us) == 1;
    if (file != NULL)
        fclose(file);
    return is_known ? (double)us / 1e6 : NAN;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* How much a figure is worth: on a busy machine times are the machine's. */
static void tell_pressure(double took_s, double waited_s)
{
    printf("(%.0f s", took_s);
    if (!isnan(waited_s))
        printf("; in %.0f %% of it something waited for a CPU", 100 * waited_s / took_s);
    puts(")");
    fflush(stdout);
}

static void run(struct bench *bench, const struct benchmark *benchmark)
{
    size_t first = bench->report.count;
    remove_folder(bench->folder);
    if (!make_folder(bench->folder))
        exit(1);
    printf("\n%s: %s\n", benchmark->name, benchmark->sentence);
    fflush(stdout);
    double began_s = now_s(), waited_s = cpu_wait_s();
    benchmark->run(bench);
    double took_s = now_s() - began_s;
    waited_s = cpu_wait_s() - waited_s;
    report_print(&bench->report, first);
    tell_pressure(took_s, waited_s);
    remove_folder(bench->folder);
}

int main(int argc, char *argv[])
{
    /* Static: it is large, and there is one. */
    static struct bench bench = {.minutes = DEFAULT_MINUTES};
    struct wishes wishes = {0};
    find_programs(&bench);
    parse(argc, argv, &bench, &wishes);
    signal(SIGPIPE, SIG_IGN);
    process_adopt_orphans();
    for (size_t i = 0; i < BENCHMARKS; i++)
        if (is_wanted(&benchmarks[i], &wishes))
            run(&bench, &benchmarks[i]);
    if (wishes.out == NULL || report_write(&bench.report, wishes.out))
        return 0;
    fprintf(stderr, "bench: cannot write %s\n", wishes.out);
    return 1;
}
