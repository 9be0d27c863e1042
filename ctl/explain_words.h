/*
 * The plain words behind verdicts, evidence and actions: written for a stranger who has never
 * heard of BDAT and has to decide what to do about one message.
 */
#ifndef BDAT_CTL_EXPLAIN_WORDS_H
#define BDAT_CTL_EXPLAIN_WORDS_H

#include <stddef.h>

struct verdict_words {
    const char *verdict; /* the wire word */
    const char *why;     /* what happened, and how that was seen */
    const char *client;  /* what the client's administrator can do */
};

/* The words of a verdict; NULL for a word that is not known (a newer daemon's). */
const struct verdict_words *explain_verdict(const char *verdict);

/* The words of a verdict where a piece of evidence tells more than the verdict does; NULL = it does
 * not. */
const struct verdict_words *explain_verdict_by(const char *verdict, const char *evidence);

/* One sentence for a word of evidence; NULL if it is not known. */
const char *explain_evidence(const char *evidence);

/* One sentence for what an action meant for the client; NULL if it is not known. */
const char *explain_action(const char *action);

#endif
