/*
 * The report: for people, for programs (JSON), or for test harnesses (TAP).
 */
#ifndef BDAT_PROBE_REPORT_H
#define BDAT_PROBE_REPORT_H

#include <stdio.h>

#include "probe/conclusion.h"

struct report {
    const struct options *options;
    const struct survey *survey;
    const struct case_result *results;
    size_t count;
    const struct conclusion *conclusion;
    const char *route; /* how the address was found: "mail exchanger of example.org", or "" */
};

/* For people, as the run goes on: what the server is, then each case, then the conclusion.
 * Lines are wrapped at 78 columns; no colours, so that the text can be forwarded as it is. */
void report_text_survey(FILE *stream, const struct report *report);
void report_text_case(FILE *stream, const struct options *options,
                      const struct case_result *result);
/* "and 7 more for the same reason"; sets *same to 0. Nothing if it is 0. */
void report_text_same(FILE *stream, unsigned *same);

void report_text_conclusion(FILE *stream, const struct report *report);

/* One JSON object. 0, or -1 when out of memory. */
int report_json(FILE *stream, const struct report *report);

/* TAP version 13: a line per case; warnings pass, with a comment. */
void report_tap(FILE *stream, const struct report *report);

/* When the survey was made: "2026-11-23T05:20:11Z". Returns buffer. */
const char *report_time(const struct survey *survey, char *buffer, size_t size);

/* The table of cases, for --list. */
void report_list(FILE *stream);

/* Writes a paragraph of advice, each line of it wrapped; items of a list hang by two. */
void report_paragraph(FILE *stream, const char *text);

/* Writes text as lines of at most 78 columns, each behind `indent` spaces; the first line
 * begins with `lead`, which is counted into its indent. */
void report_wrap(FILE *stream, const char *lead, unsigned indent, const char *text);

#endif
