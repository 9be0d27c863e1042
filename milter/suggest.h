/*
 * "Did you mean …": the nearest known word to a mistyped one. Pure.
 */
#ifndef BDAT_SUGGEST_H
#define BDAT_SUGGEST_H

/* Words longer than this are compared by their beginning. */
#define SUGGEST_WORD_MAX 63

/* How many letters must be changed, added, dropped or swapped with their neighbour to make one
 * word of the other (optimal string alignment). Case counts for nothing, '-' is '_'. */
unsigned suggest_distance(const char *a, const char *b);

/* A search: set `wanted`, consider each known word, then ask for the nearest. */
struct suggestion {
    const char *wanted;
    const char *best;
    unsigned distance; /* of `best`, meaningless while that is NULL */
};

/* Looks at one known word, which must live as long as the search. */
void suggestion_consider(struct suggestion *suggestion, const char *known);

/* The nearest word so far, the first of equals; NULL when nothing comes near enough to be meant:
 * of 2 letters one may differ, of 5 two, of 8 three and so on. */
const char *suggestion_nearest(const struct suggestion *suggestion);

#endif
