/*
 * A PostgreSQL server of a test's own: Debian's, in a temporary folder, on a Unix socket in it. It
 * dies with the test. As root it runs as the user postgres, since it refuses to run as root.
 */
#ifndef MOONWATCH_TESTS_POSTGRES_SERVER_H
#define MOONWATCH_TESTS_POSTGRES_SERVER_H

#include "base/clock.h"
#include "store/postgres_link.h"
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SERVER_WAIT_S 60

struct postgres_server {
    char folder[64]; /* "" before the first start */
    char programs[128];
    char address[32]; /* of private networks that it listens on from the next start on; "": none */
    pid_t pid;        /* 0: it does not run */
    unsigned schemas;
};

/* In the child: nobody's rights but the server's. */
static inline void server_become_user(pid_t parent)
{
    const struct passwd *user = getuid() == 0 ? getpwnam("postgres") : NULL;
    if (user != NULL &&
        (setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (getppid() != parent)
        _exit(126);
}

static inline pid_t server_spawn(const struct postgres_server *server, const char *const argv[])
{
    char path[160], log[96];
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", server->programs); /* they call each other */
    snprintf(log, sizeof log, "%s/log", server->folder);
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    server_become_user(parent);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    if (chdir(server->folder) == 0 && setenv("PATH", path, 1) == 0)
        execvp(argv[0], (char *const *)argv);
    _exit(127);
}

static inline bool server_run(const struct postgres_server *server, const char *const argv[])
{
    int status;
    pid_t pid = server_spawn(server, argv);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* Of the database `postgres`, in the schema `schema`. */
static inline void server_url(const struct postgres_server *server, const char *schema,
                              const char *more, char *out, size_t size)
{
    snprintf(out, size,
             "postgresql:///postgres?host=%s&user=postgres&options=-csearch_path%%3D%s%s",
             server->folder, schema, more);
}

static inline bool server_answers(const struct postgres_server *server)
{
    static struct postgres_link link;
    char url[256];
    server_url(server, "public", "", url, sizeof url);
    bool answers =
        postgres_link_init(&link, url) == OK && postgres_link_connect(&link, "test") == OK;
    postgres_link_close(&link);
    return answers;
}

/* Also after server_kill(). False: it does not come up. It syncs nothing: what a server that was
 * killed wrote is in the machine's memory, and no machine dies here. */
static inline bool server_start(struct postgres_server *server)
{
    char listen[64];
    snprintf(listen, sizeof listen, "listen_addresses=%s", server->address);
    const char *const argv[] = {"postgres",
                                "-D",
                                "data",
                                "-k",
                                server->folder,
                                "-c",
                                listen,
                                "-c",
                                "max_connections=30",
                                "-c",
                                "shared_buffers=32MB",
                                "-c",
                                "fsync=off",
                                "-c",
                                "max_wal_size=512MB",
                                NULL};
    const struct timespec pause = {.tv_nsec = 20000000};
    instant give_up = instant_add(clock_now(), duration_s(SERVER_WAIT_S));
    server->pid = 0;
    while (instant_before(clock_now(), give_up)) {
        int status;
        if (server->pid == 0)
            server->pid = server_spawn(server, argv);
        if (server_answers(server))
            return true;
        /* After a kill the memory of the one before is in use for a moment. */
        if (waitpid(server->pid, &status, WNOHANG) == server->pid)
            server->pid = 0;
        nanosleep(&pause, NULL);
    }
    return false;
}

/* Whoever comes from a private network of the test's own. */
static inline bool server_let_in(const struct postgres_server *server)
{
    char path[96];
    snprintf(path, sizeof path, "%s/data/pg_hba.conf", server->folder);
    FILE *file = fopen(path, "a");
    if (file == NULL)
        return false;
    fputs("host all all 10.0.0.0/8 trust\n", file);
    return fclose(file) == 0;
}

static inline bool server_init(struct postgres_server *server)
{
    const char *const argv[] = {"initdb", "-D", "data", "-U",          "postgres",  "-A",
                                "trust",  "-E", "UTF8", "--no-locale", "--no-sync", NULL};
    glob_t found;
    const struct passwd *user = getpwnam("postgres");
    *server = (struct postgres_server){.folder = "/tmp/moonwatch-postgres-XXXXXX"};
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) != 0 || mkdtemp(server->folder) == NULL)
        return false;
    snprintf(server->programs, sizeof server->programs, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    if (getuid() == 0 && (user == NULL || chown(server->folder, user->pw_uid, user->pw_gid) != 0))
        return false;
    return chmod(server->folder, 0711) == 0 && server_run(server, argv) && server_let_in(server) &&
           server_start(server);
}

/* Whether the process works in the server's folder of data. */
static inline bool server_owns(const struct postgres_server *server, const char *pid)
{
    char path[64], folder[128], expected[128];
    snprintf(path, sizeof path, "/proc/%.16s/cwd", pid);
    snprintf(expected, sizeof expected, "%s/data", server->folder);
    ssize_t length = readlink(path, folder, sizeof folder - 1);
    folder[length > 0 ? length : 0] = '\0';
    return strcmp(folder, expected) == 0;
}

/* One that is told to end waits for its children itself; one that was killed leaves them behind,
 * and they may answer for a moment: as after a crash of the machine, none of them does. */
static inline void server_kill_children(const struct postgres_server *server)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    bool is_any = true;
    for (instant give_up = instant_add(clock_now(), duration_s(SERVER_WAIT_S));
         is_any && instant_before(clock_now(), give_up); nanosleep(&pause, NULL)) {
        const struct dirent *entry;
        DIR *processes = opendir("/proc");
        is_any = false;
        while (processes != NULL && (entry = readdir(processes)) != NULL) {
            if (!server_owns(server, entry->d_name))
                continue;
            is_any = true;
            kill((pid_t)strtol(entry->d_name, NULL, 10), SIGKILL);
        }
        if (processes != NULL)
            closedir(processes);
    }
}

static inline void server_kill(struct postgres_server *server, int signal_number)
{
    if (server->pid == 0)
        return;
    kill(server->pid, signal_number);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
    if (signal_number == SIGKILL)
        server_kill_children(server);
}

static inline void server_finish(struct postgres_server *server)
{
    char command[128];
    server_kill(server, SIGINT);
    if (*server->folder == '\0')
        return;
    snprintf(command, sizeof command, "rm -rf '%s'", server->folder);
    if (system(command) != 0)
        fprintf(stderr, "%s is left\n", server->folder);
}

/* A statement of the test's own. False: it failed; why is on stderr. */
static inline bool server_execute(const struct postgres_server *server, const char *schema,
                                  const char *sql)
{
    static struct postgres_link link;
    char url[256];
    server_url(server, schema, "", url, sizeof url);
    bool done = postgres_link_init(&link, url) == OK &&
                postgres_link_connect(&link, "test") == OK &&
                postgres_link_run(&link, sql, "try") == OK;
    if (!done)
        fprintf(stderr, "%s\n", link.message);
    postgres_link_close(&link);
    return done;
}

/* The first column of the first row, an integer; −1: it can't be read. */
static inline int64_t server_ask(const struct postgres_server *server, const char *schema,
                                 const char *sql)
{
    static struct postgres_link link;
    char url[256];
    int64_t value = -1;
    server_url(server, schema, "", url, sizeof url);
    if (postgres_link_init(&link, url) != OK || postgres_link_connect(&link, "test") != OK ||
        postgres_link_ask_integer(&link, sql, NULL, 0, &value) != OK)
        fprintf(stderr, "%s\n", link.message);
    postgres_link_close(&link);
    return value;
}

/* A schema that is empty. */
static inline bool server_add_schema(struct postgres_server *server, char out[32])
{
    char sql[64];
    snprintf(out, 32, "t%u", ++server->schemas);
    snprintf(sql, sizeof sql, "CREATE SCHEMA %s", out);
    return server_execute(server, "public", sql);
}

#endif
