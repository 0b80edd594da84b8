/*
 * Makes calls of the program fail. Linked into it with --wrap for each row of calls.def: a stub
 * in the place of the function asks decide(), and either goes on to the function, with everything
 * as it was, or returns its failure. A SITE is the address that the call returns to, from the start
 * of the image; a process has a role, the word it was started with (run, engine, api…).
 *
 *     TORTURE=FILE                            a struct shared: sites are noted there when they are
 *                                             first reached, and which failures took place
 *     TORTURE_FAIL=ROLE:SITE:once|always,…    these fail: at the first call of all processes, or at
 *                                             each
 *
 * decide() runs anywhere (between vfork and exec, in signal handlers, in any thread), so it makes
 * raw system calls only.
 */
#ifndef __x86_64__
#error "the stubs are written for x86-64"
#endif

#include "tests/torture/short_of_memory.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <uv.h>

#define SITES_MAX 16384

struct call {
    void *function;
    int64_t result;
    int64_t error;
    const char *name;
};

/* tools/torture makes the file, and reads it afterwards. */
#define RECORDS_MAX  8191
#define FAILURES_MAX 4

struct shared {
    _Atomic uint32_t fired[FAILURES_MAX], count;
    char unused[44];
    char records[RECORDS_MAX][64]; /* ROLE FUNCTION SITE */
};

extern const char __ehdr_start;
extern char **environ;

static _Atomic int state; /* 0: not set up, 1: is being, 2: it is */
static struct shared *shared;
static char role[32];
static struct failure {
    uint64_t site; /* 0: of another role, or none */
    bool is_always;
} failures[FAILURES_MAX];
static _Atomic uint32_t seen[SITES_MAX];

/* ---- without the C library ---- */

static long raw(long number, long a, long b, long c, long d, long e)
{
    long result;
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = e;
    register long sixth __asm__("r9") = 0;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return result;
}

static int raw_open(const char *path, int flags)
{
    return (int)raw(SYS_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC, 0, 0);
}

static void map_shared(const char *path)
{
    int fd = raw_open(path, O_RDWR);
    if (fd < 0)
        return;
    long at = raw(SYS_mmap, 0, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    raw(SYS_close, fd, 0, 0, 0, 0);
    if (at > 0)
        shared = (struct shared *)at;
}

static const char *environment(const char *name)
{
    size_t length = strlen(name);
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}

/* The second word of the command line. */
static void find_role(void)
{
    char line[512];
    int fd = raw_open("/proc/self/cmdline", O_RDONLY);
    long length = fd < 0 ? 0 : raw(SYS_read, fd, (long)line, sizeof line - 1, 0, 0);
    if (fd >= 0)
        raw(SYS_close, fd, 0, 0, 0, 0);
    line[length > 0 ? length : 0] = '\0';
    size_t first = strlen(line) + 1;
    for (size_t i = 0; (long)(first + i) < length && line[first + i] != '\0' && i < 31; i++)
        role[i] = line[first + i];
}

static uint64_t hexadecimal(const char *text)
{
    uint64_t value = 0;
    for (; *text != '\0' && *text != ':'; text++)
        value = value * 16 + (uint64_t)(*text <= '9' ? *text - '0' : *text - 'a' + 10);
    return value;
}

static void set_up(void)
{
    const char *where = environment("TORTURE"), *what = environment("TORTURE_FAIL");
    find_role();
    if (where != NULL)
        map_shared(where);
    for (size_t i = 0; what != NULL && i < FAILURES_MAX; i++) {
        size_t length = strcspn(what, ":");
        if (what[length] == ':' && strncmp(what, role, length) == 0 && role[length] == '\0') {
            failures[i].site = hexadecimal(what + length + 1);
            what = strchr(what + length + 1, ':');
            failures[i].is_always = what != NULL && strncmp(what, ":always", 7) == 0;
        }
        what = what == NULL ? NULL : strchr(what, ',');
        what = what == NULL ? NULL : what + 1;
    }
}

static void note(const struct call *call, uint64_t site)
{
    uint32_t index = atomic_fetch_add(&shared->count, 1);
    if (index >= RECORDS_MAX)
        return;
    char *line = shared->records[index];
    size_t length = 0;
    for (const char *at = role; *at != '\0'; at++)
        line[length++] = *at;
    line[length++] = ' ';
    for (const char *at = call->name; *at != '\0' && length < 54; at++)
        line[length++] = *at;
    line[length++] = ' ';
    for (int shift = 28; shift >= 0; shift -= 4)
        line[length++] = "0123456789abcdef"[site >> shift & 15];
}

static bool is_news(uint64_t site)
{
    uint32_t entry = (uint32_t)site;
    for (uint32_t at = entry * 2654435761U;; at++) {
        uint32_t found = atomic_load(&seen[at % SITES_MAX]);
        if (found == entry)
            return false;
        if (found == 0 && atomic_compare_exchange_strong(&seen[at % SITES_MAX], &found, entry))
            return true;
        if (found == entry)
            return false;
    }
}

static bool fires(uint64_t site)
{
    for (size_t i = 0; i < FAILURES_MAX; i++)
        if (failures[i].site == site)
            return atomic_exchange(&shared->fired[i], 1) == 0 || failures[i].is_always;
    return false;
}

int torture_decide(const struct call *call, uintptr_t address);

/* 1: it is to fail. */
__attribute__((used, no_sanitize("address", "undefined", "thread"))) int
torture_decide(const struct call *call, uintptr_t address)
{
    uint64_t site = address - (uintptr_t)&__ehdr_start;
    int before = 0, kept = errno;
    if (atomic_compare_exchange_strong(&state, &before, 1)) {
        set_up();
        atomic_store(&state, 2);
    }
    if (atomic_load(&state) != 2 || shared == NULL)
        return 0;
    if (is_news(site))
        note(call, site);
    if (!fires(site))
        return 0;
    errno = call->error != 0 ? (int)call->error : kept;
    return 1;
}

/* ---- the stubs ---- */

__asm__(".text\n"
        ".type torture_gate,@function\n"
        "torture_gate:\n" /* r11: the call */
        "  push %rbp\n"
        "  mov %rsp, %rbp\n"
        "  push %r11\n  push %rax\n  push %rdi\n  push %rsi\n"
        "  push %rdx\n  push %rcx\n  push %r8\n  push %r9\n"
        "  sub $128, %rsp\n"
        "  movups %xmm0, (%rsp)\n  movups %xmm1, 16(%rsp)\n"
        "  movups %xmm2, 32(%rsp)\n  movups %xmm3, 48(%rsp)\n"
        "  movups %xmm4, 64(%rsp)\n  movups %xmm5, 80(%rsp)\n"
        "  movups %xmm6, 96(%rsp)\n  movups %xmm7, 112(%rsp)\n"
        "  mov %r11, %rdi\n"
        "  mov 8(%rbp), %rsi\n"
        "  and $-16, %rsp\n"
        "  call torture_decide\n"
        "  lea -192(%rbp), %rsp\n"
        "  mov %eax, %r10d\n"
        "  movups (%rsp), %xmm0\n  movups 16(%rsp), %xmm1\n"
        "  movups 32(%rsp), %xmm2\n  movups 48(%rsp), %xmm3\n"
        "  movups 64(%rsp), %xmm4\n  movups 80(%rsp), %xmm5\n"
        "  movups 96(%rsp), %xmm6\n  movups 112(%rsp), %xmm7\n"
        "  add $128, %rsp\n"
        "  pop %r9\n  pop %r8\n  pop %rcx\n  pop %rdx\n"
        "  pop %rsi\n  pop %rdi\n  pop %rax\n  pop %r11\n"
        "  pop %rbp\n"
        "  test %r10d, %r10d\n"
        "  jnz 1f\n"
        "  jmp *(%r11)\n"
        "1: mov 8(%r11), %rax\n"
        "  ret\n");

#define CALL(name, wrong, number)                                                                  \
    extern char __real_##name;                                                                     \
    __attribute__((used)) static const struct call call_##name __asm__("torture_call_" #name) = {  \
        (void *)(uintptr_t)&__real_##name, (wrong), (number), #name};                              \
    __asm__(".globl __wrap_" #name "\n"                                                            \
            ".type __wrap_" #name ",@function\n"                                                   \
            "__wrap_" #name ":\n"                                                                  \
            "  lea torture_call_" #name "(%rip), %r11\n"                                           \
            "  jmp torture_gate\n");
#define CALL_ONCE CALL
#define CALL_OWN(name)
#include "calls.def"
#undef CALL
#undef CALL_ONCE
#undef CALL_OWN

/* ---- those that do something even when they fail ---- */

int __real_json_array_append_new(json_t *array, json_t *value);
int __wrap_json_array_append_new(json_t *array, json_t *value);
int __real_fclose(FILE *file);
int __wrap_fclose(FILE *file);
int __real_uv_spawn(uv_loop_t *loop, uv_process_t *process, const uv_process_options_t *options);
int __wrap_uv_spawn(uv_loop_t *loop, uv_process_t *process, const uv_process_options_t *options);

#define OWN(function) static const struct call own_##function = {.error = EIO, .name = #function}

int __wrap_json_array_append_new(json_t *array, json_t *value)
{
    OWN(json_array_append_new);
    if (torture_decide(&own_json_array_append_new, (uintptr_t)__builtin_return_address(0)) == 0)
        return __real_json_array_append_new(array, value);
    json_decref(value);
    return -1;
}

int __wrap_fclose(FILE *file)
{
    OWN(fclose);
    int wrong = torture_decide(&own_fclose, (uintptr_t)__builtin_return_address(0));
    int result = __real_fclose(file);
    return wrong != 0 ? EOF : result;
}

/* It begins the handle, which is to be closed, and finds no program. */
int __wrap_uv_spawn(uv_loop_t *loop, uv_process_t *process, const uv_process_options_t *options)
{
    OWN(uv_spawn);
    uv_process_options_t wrong = *options;
    if (torture_decide(&own_uv_spawn, (uintptr_t)__builtin_return_address(0)) == 0)
        return __real_uv_spawn(loop, process, options);
    wrong.file = "/nowhere/at/all";
    return __real_uv_spawn(loop, process, &wrong);
}

const unsigned char *__wrap_sqlite3_column_text(sqlite3_stmt *statement, int column)
{
    OWN(sqlite3_column_text);
    if (torture_decide(&own_sqlite3_column_text, (uintptr_t)__builtin_return_address(0)) == 0)
        return __real_sqlite3_column_text(statement, column);
    return fall_short_of_memory(statement);
}
