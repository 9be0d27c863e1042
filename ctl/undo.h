/*
 * What attach changed, kept so that detach can undo exactly that.
 *
 * Beside each file that attach edits it leaves a copy of the file as it was,
 * FILE.before-bdat-milter, and in Postfix's configuration folder the record
 * bdat-milter.attached.json with a digest of each file as attach left it. While a digest still
 * fits, nobody has edited the file since, and the copy is put back octet for octet; otherwise
 * only our parts are taken out.
 */
#ifndef BDAT_CTL_UNDO_H
#define BDAT_CTL_UNDO_H

#include <jansson.h>
#include <stdbool.h>

/* Reads the record of a Postfix configuration folder; an empty object if there is none. */
json_t *undo_load(const char *config_dir);

/* Copies a file before it is edited, unless it is as an earlier attach left it: then the copy
 * of that time stays. 0, or -1 after saying what is wrong. */
int undo_keep(json_t *record, const char *path) __attribute__((warn_unused_result));

/* Notes the file's digest after it was edited. */
void undo_note(json_t *record, const char *path);

/* True if the file is still as attach left it and its copy is there. */
bool undo_is_exact(const json_t *record, const char *path);

/* Puts the copy back. 0, or -1 after saying what is wrong. */
int undo_restore(const char *path) __attribute__((warn_unused_result));

/* Remembers that `parameter` (of a service: SERVICE/TYPE/NAME) was set to `after` where `before`
 * stood (NULL = not set). */
void undo_remember(json_t *record, const char *parameter, const char *before, const char *after);

/* What is remembered of a parameter; NULL if nothing. */
const json_t *undo_recall(const json_t *record, const char *parameter);

/* Forgets a parameter that is as it was again; false if nothing was remembered of it. */
bool undo_drop(json_t *record, const char *parameter);

/* Says that the copy of a file is not to be put back: it holds parts of ours. */
void undo_spoil(json_t *record, const char *path);

/* Forgets a file that is as it was again, and removes its copy. */
void undo_drop_file(json_t *record, const char *path);

/* Writes the record; 0, or -1 after saying what is wrong. */
int undo_save(const json_t *record, const char *config_dir) __attribute__((warn_unused_result));

/* Removes the record and the copies it names. */
void undo_forget(const json_t *record, const char *config_dir);

#endif
