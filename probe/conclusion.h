/*
 * What all cases together mean: one conclusion, and who must change what.
 *
 * Pure: results in, words out.
 */
#ifndef BDAT_PROBE_CONCLUSION_H
#define BDAT_PROBE_CONCLUSION_H

#include "probe/case.h"

enum conclusion_kind {
    CONCLUSION_WORKS,         /* no failure */
    CONCLUSION_WORKS_SLOWLY,  /* no failure, but BDAT is slow */
    CONCLUSION_NOT_OFFERED,   /* no CHUNKING: nothing to go wrong */
    CONCLUSION_BDAT_DROPPED,  /* the connection is closed at BDAT, DATA works */
    CONCLUSION_BDAT_STALLS,   /* BDAT is never answered, DATA works */
    CONCLUSION_BDAT_REFUSED,  /* CHUNKING is offered, but BDAT is refused */
    CONCLUSION_MISCOUNTS,     /* octets are not counted as declared */
    CONCLUSION_RUNS_PAYLOAD,  /* octets of refused chunks are run as commands */
    CONCLUSION_ANSWERS_TWICE, /* more replies than commands */
    CONCLUSION_NOT_SMTP,      /* garbage for replies */
    CONCLUSION_LARGE_CHUNKS,  /* small chunks pass, large ones do not; DATA carries as much */
    CONCLUSION_PATH,          /* large messages fail by DATA as well */
    CONCLUSION_SERVER,        /* small messages fail by DATA as well */
    CONCLUSION_DATA,          /* small messages fail by DATA, and not by BDAT */
    CONCLUSION_DATA_LARGE,    /* large messages fail by DATA, and not by BDAT */
    CONCLUSION_BINARY,        /* only binary messages fail */
    CONCLUSION_PARTLY,        /* some cases failed */
    CONCLUSION_SELECTION,     /* nothing failed, but no case that was run shows that BDAT works */
    CONCLUSION_INCOMPLETE,    /* nothing failed, but cases could not be run that should have been */
    CONCLUSION_NO_SESSION,    /* no SMTP session could be opened */
    CONCLUSION_COUNT
};

struct conclusion {
    enum conclusion_kind kind;
    const char *summary;       /* one line; static storage */
    char explanation[2400];    /* a paragraph */
    const char *const *advice; /* paragraphs, NULL behind the last; a paragraph may have lines,
                                  those that begin with "- " are a list; static storage */
    int exit_status;           /* enum exit_status */
};

/* Draws the conclusion from `count` results. `delivered` says whether --deliver was given. */
void conclusion_draw(struct conclusion *conclusion, const struct survey *survey,
                     const struct case_result *results, size_t count, bool delivered);

/* The wire word: "bdat_dropped". Static storage. */
const char *conclusion_name(enum conclusion_kind kind);

#endif
