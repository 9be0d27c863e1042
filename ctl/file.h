/*
 * Whole files: read, compared by digest, replaced in one step.
 */
#ifndef BDAT_CTL_FILE_H
#define BDAT_CTL_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* The whole file, with a NUL behind it; NULL with errno set. The caller frees. */
char *file_read(const char *path, size_t *length);

/* SHA-256 of the file in hexadecimal digits; false if it cannot be read. */
#define FILE_DIGEST_SIZE 65
bool file_digest(const char *path, char digest[FILE_DIGEST_SIZE]);

/* Replaces `path` in one step, so that a reader sees the old or the new text whole; mode and owner
 * are those of `like`, or 0600 of the caller's when there is no such file. Where `path` is a
 * symbolic link, what it points to is replaced. 0, or -1 with errno. */
int file_replace(const char *path, const char *like, const char *text, size_t length)
    __attribute__((warn_unused_result));

/* A symbolic link, kept while another program, as postconf(1), may put a file in its place. */
struct file_link {
    char *text;   /* what the link says; NULL = there was no link to a file */
    char *target; /* the file it leads to */
};

/* Notes whether `path` is a symbolic link to a file. */
struct file_link file_link_note(const char *path);

/* Makes it a link again: the file that stands there now goes to the link's target. Frees what was
 * noted. 0, also if there is nothing to do, or -1 with errno: `path` is whole in any case. */
int file_link_restore(const char *path, struct file_link *link) __attribute__((warn_unused_result));

#endif
