/*
 * The words of a conclusion: its wire word, its summary, who must do what.
 */
#ifndef BDAT_PROBE_CONCLUSION_WORDS_H
#define BDAT_PROBE_CONCLUSION_WORDS_H

#include "probe/conclusion.h"

struct conclusion_words {
    const char *name;          /* the wire word */
    const char *summary;       /* one line */
    const char *const *advice; /* as in struct conclusion */
    int exit_status;           /* enum exit_status */
};

/* A row for each enum conclusion_kind. */
extern const struct conclusion_words conclusion_words[];

/* Nothing is wrong, but nothing was delivered either. */
extern const char *const advice_deliver[];

/* What to do when the server refused `code` (0: did not answer) to MAIL or to RCPT. */
const char *const *advice_after_refusal(bool sender, int code);

/* What to do when cases were left out: FINDING_UNREACHABLE or FINDING_UNFINISHED. */
const char *const *advice_for_left_out(enum finding finding);

#endif
