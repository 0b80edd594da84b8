/* Under coverage gcc puts a function of its own in the place of execv(), which writes the counts
 * and takes them for written from then on. After a vfork, they are the parent's: its would end
 * there. */
#include <sys/syscall.h>
#include <unistd.h>

int __gcov_execv(const char *path, char *const argv[]);

int __gcov_execv(const char *path, char *const argv[])
{
    return (int)syscall(SYS_execve, path, argv, environ);
}
