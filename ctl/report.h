/*
 * The findings of bdatctl check, line by line, each with what mends it.
 */
#ifndef BDAT_CTL_REPORT_H
#define BDAT_CTL_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "ctl/daemon.h"

enum level { LEVEL_OK, LEVEL_NOTE, LEVEL_WARN, LEVEL_FAIL };

struct report {
    const struct ctl *ctl;
    json_t *findings; /* for --json */
    unsigned failed, warned;
};

void report_begin(struct report *report, const struct ctl *ctl);

/* Adds a finding and, unless --json, writes it. `mend` is what to do, or NULL. Both are freed. */
void report_add(struct report *report, enum level level, char *what, char *mend);

/* The same for texts that are not to be freed. */
void report_say(struct report *report, enum level level, const char *what, const char *mend);

/* Writes the sum; EXIT_NO if anything failed. */
enum exit_code report_end(struct report *report);

#endif
