#include "config.h"

#include "ctl/access.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/text.h"

#define ENTER 1u
#define READ_WRITE 6u

bool access_load_user(const char *name, struct access_user *user)
{
    const struct passwd *entry = getpwnam(name);
    if (entry == NULL)
        return false;
    *user = (struct access_user){
        .uid = entry->pw_uid, .gid = entry->pw_gid, .group_count = ACCESS_GROUPS_MAX};
    snprintf(user->name, sizeof(user->name), "%s", name);
    if (getgrouplist(name, entry->pw_gid, user->groups, &user->group_count) < 0)
        user->group_count = ACCESS_GROUPS_MAX;
    return true;
}

unsigned access_bits(const struct access_user *user, uid_t owner, gid_t group, mode_t mode)
{
    if (user->uid == 0)
        return 7;
    if (user->uid == owner)
        return (mode >> 6) & 7;
    for (int i = 0; i < user->group_count; i++)
        if (user->groups[i] == group)
            return (mode >> 3) & 7;
    return mode & 7;
}

/* The least change that lets the user in: by the group if it is a member, else by the socket's
 * or folder's group becoming the user's. */
static char *how_to_mend(const struct access_user *user, const char *path,
                         const struct stat *status, unsigned wanted)
{
    const char *bits = wanted == ENTER ? "x" : "rw";
    if (user->uid == status->st_uid)
        return text_format("chmod u+%s %s", bits, path);
    for (int i = 0; i < user->group_count; i++)
        if (user->groups[i] == status->st_gid)
            return text_format("chmod g+%s %s", bits, path);
    if (wanted == ENTER)
        return text_format("chgrp %s %s && chmod g+x %s", user->name, path, path);
    return text_format("set socket_group = \"%s\" in bdat-milter.conf (or SocketGroup=%s in "
                       "bdat-milter.socket) and restart the daemon",
                       user->name, user->name);
}

static void describe(const struct access_user *user, const char *path, const struct stat *status,
                     unsigned wanted, struct access_obstacle *obstacle)
{
    const struct passwd *owner = getpwuid(status->st_uid);
    const struct group *group = getgrgid(status->st_gid);
    obstacle->what = text_format("%s may not be %s by user %s (mode %04o, owner %s:%s)", path,
                                 wanted == ENTER ? "entered" : "opened", user->name,
                                 (unsigned)status->st_mode & 07777, owner ? owner->pw_name : "?",
                                 group ? group->gr_name : "?");
    obstacle->mend = how_to_mend(user, path, status, wanted);
}

/* Checks one component; true if the user passes. */
static bool passes(const struct access_user *user, const char *path, bool is_last,
                   struct access_obstacle *obstacle)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        obstacle->hidden = errno == EACCES && geteuid() != 0;
        obstacle->what = text_format("%s: %s", path, strerror(errno));
        obstacle->mend = text_copy(is_last ? "systemctl start bdat-milter"
                                           : "create the folder, then systemctl restart "
                                             "bdat-milter");
        return false;
    }
    if (is_last && !S_ISSOCK(status.st_mode)) {
        obstacle->what = text_format("%s is no socket", path);
        obstacle->mend = text_format("rm %s && systemctl restart bdat-milter", path);
        return false;
    }
    unsigned wanted = is_last ? READ_WRITE : ENTER;
    if ((access_bits(user, status.st_uid, status.st_gid, status.st_mode) & wanted) == wanted)
        return true;
    describe(user, path, &status, wanted, obstacle);
    return false;
}

bool access_walk(const struct access_user *user, const char *start, const char *path,
                 struct access_obstacle *obstacle)
{
    char *walked = text_copy(path);
    size_t at = strlen(start);
    *obstacle = (struct access_obstacle){0};
    bool open = passes(user, at > 0 ? start : "/", false, obstacle);
    for (at += strspn(walked + at, "/"); open && walked[at] != '\0';
         at += strspn(walked + at, "/")) {
        at += strcspn(walked + at, "/");
        char after = walked[at];
        bool is_last = walked[at + strspn(walked + at, "/")] == '\0';
        walked[at] = '\0';
        open = passes(user, walked, is_last, obstacle);
        walked[at] = after;
    }
    free(walked);
    return open;
}

/* In the child: becomes the user as smtpd(8) does, connects, and exits with the errno. */
static void try_as_user(const struct access_user *user, const char *root, const char *folder,
                        const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool chrooted = strcmp(root, "/") != 0;
    if (fd < 0 || initgroups(user->name, user->gid) != 0 || setgid(user->gid) != 0 ||
        chdir(chrooted ? root : folder) != 0 || (chrooted && chroot(root) != 0) ||
        setuid(user->uid) != 0 ||
        connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
        _exit(errno == 0 || errno > 254 ? 255 : errno);
    _exit(0);
}

int access_try(const struct access_user *user, const char *root, const char *folder,
               const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int status = 0;
    if (geteuid() != 0)
        return -1;
    if (strlen(path) >= sizeof(address.sun_path))
        return ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    pid_t pid = fork();
    if (pid == 0)
        try_as_user(user, root, folder, &address);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}
