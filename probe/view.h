/*
 * All results of a run, counted and sorted as the conclusion needs them. Pure.
 */
#ifndef BDAT_PROBE_VIEW_H
#define BDAT_PROBE_VIEW_H

#include "probe/case.h"

struct view {
    const struct survey *survey;
    const struct case_result *results;
    size_t count;
    bool delivered;          /* --deliver was given */
    unsigned passed, warned; /* all cases */
    unsigned slow;           /* BDAT cases that were answered late */
    unsigned good;           /* BDAT cases that passed or have a warning */
    unsigned taken;          /* those among them that had a chunk taken */
    unsigned left_out;       /* cases that the server turned away, or for which time ran out */
    unsigned no_envelope;    /* BDAT cases skipped for want of a sender or recipient */
    const struct case_result *data, *data_large, *large; /* NULL: not selected */
    const struct case_result *worst;                     /* the first failure of a BDAT case */
    const struct case_result *first_left_out;
};

/* `count` results at `results`; both and the survey must outlive the view. */
void view_make(struct view *view, const struct survey *survey, const struct case_result *results,
               size_t count, bool delivered);

/* The result of a case, or NULL. */
const struct case_result *view_find(const struct view *view, const char *name);

/* The BDAT case that sends the same message as the case `name` does by DATA, or NULL. */
const struct case_result *view_same_by_bdat(const struct view *view, const char *name);

/* The first BDAT case that failed with this finding, or NULL. */
const struct case_result *view_failed_with(const struct view *view, enum finding finding);

/* True for the cases that use DATA. */
bool result_is_data(const struct case_result *result);

/* `result` may be NULL: a case that was not selected neither passed nor failed. */
bool result_failed(const struct case_result *result);
bool result_passed(const struct case_result *result); /* with or without a warning */

/* True for a case that was not run, or not to its end, though the server could be asked. */
bool result_left_out(const struct case_result *result);

/* True if a message or its reply did not get through: dropped, stalled, refused, garbage. */
bool result_is_hard(const struct case_result *result);

#endif
