#include "config.h"

#include "milter/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

#define BACKLOG 1024
#define PASSED_MAX 16

/* What the service manager passed; written once, before threads, by listener_take_passed(). */
static struct passed {
    char name[32];
    int fd;
} passed[PASSED_MAX];
static int passed_count;

int listener_take_passed(void)
{
#ifdef HAVE_LIBSYSTEMD
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < count; i++) {
        if (i < PASSED_MAX) {
            snprintf(passed[i].name, sizeof(passed[i].name), "%s", names[i]);
            passed[i].fd = SD_LISTEN_FDS_START + i;
            passed_count++;
        }
        free(names[i]);
    }
    free(names);
#endif
    return passed_count;
}

static int fail(char *error, size_t size, const char *what, const char *path)
{
    snprintf(error, size, "%s %s: %s", what, path, strerror(errno));
    return -1;
}

static int find_passed(const char *name)
{
    for (int i = 0; i < passed_count; i++) {
        if (strcmp(passed[i].name, name) != 0)
            continue;
        fcntl(passed[i].fd, F_SETFL, fcntl(passed[i].fd, F_GETFL) | O_NONBLOCK);
        return passed[i].fd;
    }
    return -1;
}

static bool set_address(struct sockaddr_un *address, const char *path)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address->sun_path))
        return false;
    strcpy(address->sun_path, path);
    return true;
}

/* True if somebody accepts connections at the path. */
static bool is_served(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool served = fd >= 0 &&
                  (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
                   errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return served;
}

static int make_folder(const char *path, mode_t mode, const char *group)
{
    char copy[sizeof(((struct sockaddr_un *)0)->sun_path) + 16];
    snprintf(copy, sizeof(copy), "%s", path);
    const char *folder = dirname(copy);
    if (mkdir(folder, 0750) != 0)
        return errno == EEXIST ? 0 : -1;
    (void)mode;
    const struct group *entry = group[0] != '\0' ? getgrnam(group) : NULL;
    if (entry != NULL && chown(folder, (uid_t)-1, entry->gr_gid) != 0)
        return -1;
    return 0;
}

/* Owner and mode, by path: a socket's descriptor has a mode of its own. */
static int set_access(const struct listener_options *options, const char *path, char *error,
                      size_t size)
{
    if (options->group[0] != '\0') {
        errno = 0;
        const struct group *entry = getgrnam(options->group);
        if (entry == NULL) {
            snprintf(error, size, "socket_group \"%s\": there is no such group", options->group);
            return -1;
        }
        if (chown(path, (uid_t)-1, entry->gr_gid) != 0)
            return fail(error, size, "cannot set the group of", path);
    }
    if (chmod(path, options->mode) != 0)
        return fail(error, size, "cannot set the mode of", path);
    return 0;
}

static int bind_at(const struct listener_options *options, int fd, char *error, size_t size)
{
    struct sockaddr_un address, fresh;
    char name[sizeof(address.sun_path) + 8];
    snprintf(name, sizeof(name), "%s.new", options->path);
    if (!set_address(&address, options->path) || !set_address(&fresh, name)) {
        snprintf(error, size, "%s: the path is too long for a Unix socket", options->path);
        return -1;
    }
    if (is_served(&address)) {
        snprintf(error, size, "%s: another daemon answers there", options->path);
        return -1;
    }
    if (make_folder(options->path, options->mode, options->group) != 0)
        return fail(error, size, "cannot make the folder of", options->path);
    unlink(name);
    if (bind(fd, (struct sockaddr *)&fresh, sizeof(fresh)) != 0)
        return fail(error, size, "cannot bind", options->path);
    if (set_access(options, name, error, size) != 0) {
        unlink(name);
        return -1;
    }
    if (listen(fd, BACKLOG) != 0 || rename(name, options->path) != 0) {
        unlink(name);
        return fail(error, size, "cannot listen at", options->path);
    }
    return 0;
}

int listener_open(const struct listener_options *options, char *error, size_t error_size)
{
    int fd = find_passed(options->name);
    if (fd >= 0)
        return fd;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(error, error_size, "cannot make a socket for", options->path);
    if (bind_at(options, fd, error, error_size) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

struct listener_place listener_find_place(const struct listener_options *options)
{
    struct stat status;
    if (stat(options->path, &status) != 0)
        return (struct listener_place){.known = false};
    return (struct listener_place){true, status.st_dev, status.st_ino, status.st_mtim};
}

bool listener_is_in_place(const struct listener_options *options,
                          const struct listener_place *place)
{
    struct stat status;
    if (!place->known)
        return true;
    if (stat(options->path, &status) != 0)
        return errno != ENOENT && errno != ENOTDIR;
    return status.st_dev == place->device && status.st_ino == place->inode &&
           status.st_mtim.tv_sec == place->made.tv_sec &&
           status.st_mtim.tv_nsec == place->made.tv_nsec;
}

void listener_remove(const struct listener_options *options, int fd,
                     const struct listener_place *place)
{
    if (find_passed(options->name) != fd && place->known && listener_is_in_place(options, place))
        unlink(options->path);
}

void listener_check_folder(const struct listener_options *options, struct log *log)
{
    char copy[sizeof(((struct sockaddr_un *)0)->sun_path) + 16];
    struct stat status;
    snprintf(copy, sizeof(copy), "%s", options->path);
    const char *folder = dirname(copy);
    if (stat(folder, &status) != 0)
        return;
    if ((status.st_mode & S_IWOTH) != 0 && (status.st_mode & S_ISVTX) == 0)
        log_write(log, LOG_LEVEL_WARNING,
                  "%s: everybody can write to this folder and replace the %s socket; chmod o-w it",
                  folder, options->name);
    if (options->mode & S_IRWXO)
        log_write(log, LOG_LEVEL_WARNING,
                  "%s: socket_mode lets everybody on this machine talk to the %s service",
                  options->path, options->name);
}
