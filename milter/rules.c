#include "milter/rules.h"

#include <stdlib.h>

#include "milter/network_tree.h"

struct rules {
    struct network_tree *tree; /* its values are indices into answers */
    struct rule_match *answers;
    size_t count;
    size_t room;
};

/* Takes over the answers to questions that are still open. */
static void answer_open_questions(struct rule_match *match, const struct rule_match *answers)
{
    if (!match->has_chunking && answers->has_chunking) {
        match->has_chunking = true;
        match->chunking = answers->chunking;
    }
    for (int i = 0; i < VERDICT_COUNT; i++) {
        if (match->has_action[i] || !answers->has_action[i])
            continue;
        match->has_action[i] = true;
        match->actions[i] = answers->actions[i];
    }
}

struct rules *rules_new(void)
{
    struct rules *rules = calloc(1, sizeof(*rules));

    if (rules != NULL && (rules->tree = network_tree_new()) == NULL) {
        free(rules);
        return NULL;
    }
    return rules;
}

static bool make_room(struct rules *rules)
{
    if (rules->count < rules->room)
        return true;
    size_t room = rules->room * 2 + 8;
    struct rule_match *answers = realloc(rules->answers, room * sizeof(*answers));
    if (answers == NULL)
        return false;
    rules->answers = answers;
    rules->room = room;
    return true;
}

bool rules_add(struct rules *rules, const struct network *network, const struct rule_match *answers)
{
    size_t present;

    if (!make_room(rules))
        return false;
    switch (network_tree_insert(rules->tree, network, rules->count, &present)) {
    case NETWORK_TREE_INSERTED:
        rules->answers[rules->count++] = *answers;
        return true;
    case NETWORK_TREE_PRESENT:
        answer_open_questions(&rules->answers[present], answers);
        return true;
    case NETWORK_TREE_NO_MEMORY:
        break;
    }
    return false;
}

struct asking {
    const struct rules *rules;
    struct rule_match match;
};

/* Networks come longest prefix first. */
static bool ask(void *context, const struct network_match *network)
{
    struct asking *asking = context;

    answer_open_questions(&asking->match, &asking->rules->answers[network->value]);
    return true;
}

struct rule_match rules_match(const struct rules *rules, const struct address *client)
{
    struct asking asking = {.rules = rules, .match = {.chunking = CHUNKING_ADAPTIVE}};

    if (rules != NULL)
        network_tree_visit(rules->tree, client, ask, &asking);
    return asking.match;
}

void rules_free(struct rules **rules)
{
    if (*rules == NULL)
        return;
    network_tree_free(&(*rules)->tree);
    free((*rules)->answers);
    free(*rules);
    *rules = NULL;
}
