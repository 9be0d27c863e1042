/*
 * Exceptions for networks of clients: whether CHUNKING is offered, and the action on a verdict.
 *
 * A rule names networks and answers some questions; for each question on its own, the rule with
 * the longest matching prefix that answers it decides, among equals the first that was added.
 * Pure. Rules that are no longer changed may be read by any number of threads.
 */
#ifndef BDAT_RULES_H
#define BDAT_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "milter/network.h"
#include "milter/verdict.h"

/* Whether the ehlo table may offer CHUNKING: as suppression has it, never, or always. */
enum chunking { CHUNKING_ADAPTIVE, CHUNKING_NEVER, CHUNKING_ALWAYS };

/* What one rule says, and what all rules together say of one client. */
struct rule_match {
    bool has_chunking;
    enum chunking chunking; /* CHUNKING_ADAPTIVE where nothing is said */
    bool has_action[VERDICT_COUNT];
    enum action actions[VERDICT_COUNT];
};

struct rules;

/* No rules yet; NULL when memory is short. */
struct rules *rules_new(void);

/* Adds what a rule says of one of its networks. False when memory is short. */
bool rules_add(struct rules *rules, const struct network *network, const struct rule_match *answers)
    __attribute__((warn_unused_result));

/* What the rules say of this address; NULL as rules says nothing. */
struct rule_match rules_match(const struct rules *rules, const struct address *client);

/* Frees the rules and nulls the pointer; NULL is fine. */
void rules_free(struct rules **rules);

#endif
