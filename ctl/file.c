#include "config.h"

#include "ctl/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/text.h"

char *file_read(const char *path, size_t *length)
{
    char *text = NULL;
    size_t room = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    for (*length = 0;;) {
        if (room - *length < 2) {
            room = room * 2 + 8192;
            text = text_resize(text, room, 1);
        }
        ssize_t got = read(fd, text + *length, room - *length - 1);
        if (got > 0) {
            *length += (size_t)got;
        } else if (got == 0) {
            text[*length] = '\0';
            break;
        } else if (errno != EINTR) {
            free(text);
            text = NULL;
            break;
        }
    }
    int reason = errno;
    close(fd);
    errno = reason;
    return text;
}

bool file_digest(const char *path, char digest[FILE_DIGEST_SIZE])
{
    unsigned char octets[EVP_MAX_MD_SIZE];
    unsigned count = 0;
    size_t length;
    char *text = file_read(path, &length);
    bool done = text != NULL && EVP_Digest(text, length, octets, &count, EVP_sha256(), NULL) == 1;
    free(text);
    for (unsigned i = 0; done && i < count && i * 2 + 2 < FILE_DIGEST_SIZE; i++)
        snprintf(digest + (size_t)i * 2, 3, "%02x", octets[i]);
    return done;
}

static int write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t wrote = write(fd, text, length);
        if (wrote < 0 && errno != EINTR)
            return -1;
        if (wrote > 0) {
            text += wrote;
            length -= (size_t)wrote;
        }
    }
    return fsync(fd);
}

/* Where the file that is to be written stands: behind a link, if `path` is one. The caller
 * frees. */
static char *follow(const char *path)
{
    char *target = realpath(path, NULL);
    return target != NULL ? target : text_copy(path);
}

int file_replace(const char *path, const char *like, const char *text, size_t length)
{
    struct stat status;
    char *target = follow(path);
    bool known = stat(like, &status) == 0;
    char *fresh = text_format("%s.XXXXXX", target);
    int fd = mkostemp(fresh, O_CLOEXEC);
    int failed = fd < 0 ? -1 : write_all(fd, text, length);
    if (failed == 0 && known)
        failed = fchown(fd, status.st_uid, status.st_gid) | fchmod(fd, status.st_mode & 07777);
    if (fd >= 0 && close(fd) != 0)
        failed = -1;
    if (failed == 0)
        failed = rename(fresh, target);
    int reason = errno;
    if (failed != 0 && fd >= 0)
        unlink(fresh);
    free(fresh);
    free(target);
    errno = reason;
    return failed;
}

struct file_link file_link_note(const char *path)
{
    char text[PATH_MAX];
    struct file_link link = {0};
    ssize_t length = readlink(path, text, sizeof(text) - 1);
    if (length <= 0)
        return link;
    text[length] = '\0';
    link.target = realpath(path, NULL);
    link.text = link.target == NULL ? NULL : text_copy(text);
    return link;
}

/* Puts a link in the place of the file at `path`, in one step. */
static int replace_by_link(const char *path, const char *text)
{
    char *fresh = text_format("%s.link-%ld", path, (long)getpid());
    int failed = symlink(text, fresh);
    if (failed == 0 && (failed = rename(fresh, path)) != 0) {
        int reason = errno;
        unlink(fresh);
        errno = reason;
    }
    free(fresh);
    return failed;
}

int file_link_restore(const char *path, struct file_link *link)
{
    struct stat status;
    size_t length;
    int failed = 0;
    if (link->text != NULL && lstat(path, &status) == 0 && S_ISREG(status.st_mode)) {
        char *text = file_read(path, &length);
        failed = text == NULL ? -1 : file_replace(link->target, link->target, text, length);
        if (failed == 0)
            failed = replace_by_link(path, link->text);
        free(text);
    }
    free(link->text);
    free(link->target);
    *link = (struct file_link){0};
    return failed;
}
