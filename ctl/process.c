#include "config.h"

#include "ctl/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/text.h"

#define ADMINISTRATOR_PATH "/usr/local/sbin:/usr/sbin:/sbin"

/* In the child: never returns. */
static void become(const char *const argv[], int out, int err)
{
    const char *path = getenv("PATH");
    char *longer = text_format("%s:%s", path == NULL ? "/usr/bin:/bin" : path, ADMINISTRATOR_PATH);
    setenv("PATH", longer, 1);
    int in = open("/dev/null", O_RDONLY);
    if (in >= 0 && dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(err, 2) >= 0)
        execvp(argv[0], (char *const *)argv);
    dprintf(err, "%s: %s", argv[0], strerror(errno));
    _exit(127);
}

/* The whole of a memory file without its last line end; the descriptor is closed. */
static char *take_text(int fd)
{
    struct stat status;
    size_t length = fstat(fd, &status) == 0 ? (size_t)status.st_size : 0;
    char *text = text_resize(NULL, length + 1, 1);
    ssize_t got = pread(fd, text, length, 0);
    length = got > 0 ? (size_t)got : 0;
    if (length > 0 && text[length - 1] == '\n')
        length--;
    text[length] = '\0';
    close(fd);
    return text;
}

struct process_result process_run(const char *const argv[])
{
    struct process_result result = {.status = 127};
    int out = memfd_create("stdout", MFD_CLOEXEC), err = memfd_create("stderr", MFD_CLOEXEC);
    int status = 0;
    pid_t pid = out < 0 || err < 0 ? -1 : fork();
    if (pid == 0)
        become(argv, out, err);
    if (pid > 0) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
        result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    result.out = out < 0 ? text_copy("") : take_text(out);
    result.err = err < 0 ? text_copy("no memory for a file") : take_text(err);
    return result;
}

void process_free(struct process_result *result)
{
    free(result->out);
    free(result->err);
    *result = (struct process_result){0};
}
