/*
 * What attach and detach are to change of main.cf and master.cf: planned, shown as postconf(1)
 * commands, written by them.
 */
#ifndef BDAT_CTL_PLAN_H
#define BDAT_CTL_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "ctl/site.h"

enum plan_file { PLAN_MAIN, PLAN_MASTER, PLAN_FILE_COUNT };

/* One parameter: NULL before = not set, NULL after = to be unset. */
struct change {
    enum plan_file file;
    char *parameter; /* of main.cf, or "SERVICE/TYPE/PARAMETER" of master.cf */
    char *before, *after;
    const char *why; /* one line for the administrator, or NULL */
    bool takes_out;  /* undoes what an earlier attach has set */
};

struct plan {
    struct change *changes;
    size_t count;
    bool exact[PLAN_FILE_COUNT]; /* the file is to be put back as a whole */
    char *keywords;              /* suppression.keywords to be written, or NULL */
    json_t *notes;               /* what plan_note() has said; NULL = nothing */
};

/* Adds a parameter of main.cf; `after` is taken over, `before` is read from main.cf. */
struct change *plan_main(struct plan *plan, const struct postfix *postfix, const char *parameter,
                         char *after, const char *why);

/* The same for a parameter of one service in master.cf. */
struct change *plan_service(struct plan *plan, const struct postfix *postfix,
                            const struct postfix_service *service, const char *parameter,
                            char *after, const char *why);

/* Plans to take our part of a hook out of main.cf, or of a service in master.cf; `record` says
 * what stood there before (ctl/undo.h). Nothing is planned where ours is not. */
void plan_take_out_of_main(struct plan *plan, const struct site *site, const struct hook *hook,
                           const json_t *record, const char *why);
void plan_take_out_of_service(struct plan *plan, const struct site *site,
                              const struct postfix_service *service, const struct hook *hook,
                              const json_t *record, const char *why);

/* Plans to give postscreen(8) back what an attach in main.cf has set for it. */
void plan_postscreen_back(struct plan *plan, const struct site *site, const json_t *record);

/* True if a change concerns that file. */
bool plan_touches(const struct plan *plan, enum plan_file file);

/* The file's path; the caller frees. */
char *plan_path(const struct postfix *postfix, enum plan_file file);

/* True if the file is as attach left it and attach has set all that is to be changed: then its
 * copy undoes just that. */
bool plan_is_exact(const struct plan *plan, const struct postfix *postfix, enum plan_file file,
                   const json_t *record);

/* Writes the commands to standard output, each with its reason unless `only_commands`. */
void plan_print(const struct plan *plan, const struct postfix *postfix, bool only_commands);

/* The changes for --json: an array of {file, parameter, before, after, command}; before is null
 * where nothing stood, after where nothing will. The caller decrefs. */
json_t *plan_changes(const struct plan *plan, const struct postfix *postfix);

/* Says "note: …" on standard error, and keeps it for plan_end(). */
void plan_note(struct plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says how it has ended: `text`, or for --json the object {ok, written, changes, keywords, notes}.
 * `written`: the changes have been made. */
void plan_end(const struct plan *plan, const struct ctl *ctl, const struct postfix *postfix,
              bool written, const char *text);

/* Runs them for one file. What was a symbolic link stays one. 0, or -1 after saying what is wrong.
 */
int plan_write(const struct plan *plan, const struct postfix *postfix, enum plan_file file)
    __attribute__((warn_unused_result));

void plan_free(struct plan *plan);

#endif
