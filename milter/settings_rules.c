#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/options.h"
#include "milter/settings_loader.h"

/* One rule of the list, and its text as it grows. */
struct rule {
    struct rule_match answers;
    const config_setting_t *clients;
    bool says_something;
};

static bool load_chunking(struct loader *loader, const config_setting_t *setting, struct rule *rule)
{
    char why[512];

    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return loader_refuse(loader, setting, "rules.chunking: must be a word in quotes, not %s",
                             loader_kind(setting));
    int word = option_find_word(&option_chunking_words, config_setting_get_string(setting), why,
                                sizeof(why));
    if (word < 0)
        return loader_refuse(loader, setting, "rules.chunking: %s", why);
    rule->answers.has_chunking = true;
    rule->answers.chunking = (enum chunking)word;
    rule->says_something = true;
    return true;
}

/* Refuses a key of actions{} that is no verdict which can be answered. */
static bool refuse_verdict(struct loader *loader, const config_setting_t *setting)
{
    const char *name = config_setting_name(setting);
    struct suggestion suggestion = {.wanted = name};
    enum verdict verdict = verdict_from_name(name);

    if (verdict != VERDICT_NONE)
        return loader_refuse(loader, setting,
                             "rules.actions.%s: nothing can be answered to this verdict", name);
    for (int i = 0; i < VERDICT_COUNT; i++)
        if (verdict_is_answerable((enum verdict)i))
            suggestion_consider(&suggestion, verdict_name((enum verdict)i));
    return loader_refuse_key(loader, setting, &suggestion);
}

static bool load_action(struct loader *loader, const config_setting_t *setting, struct rule *rule)
{
    const char *name = config_setting_name(setting);
    enum verdict verdict = verdict_from_name(name);
    char why[512];

    if (verdict == VERDICT_NONE || !verdict_is_answerable(verdict))
        return refuse_verdict(loader, setting);
    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return loader_refuse(loader, setting, "rules.actions.%s: must be a word in quotes, not %s",
                             name, loader_kind(setting));
    int action = option_find_word(&option_action_words, config_setting_get_string(setting), why,
                                  sizeof(why));
    if (action < 0 ||
        !loader_check_reply(loader->settings, verdict, (enum action)action, why, sizeof(why)))
        return loader_refuse(loader, setting, "rules.actions.%s: %s", name, why);
    rule->answers.has_action[verdict] = true;
    rule->answers.actions[verdict] = (enum action)action;
    rule->says_something = true;
    return true;
}

static bool load_actions(struct loader *loader, const config_setting_t *group, struct rule *rule)
{
    if (!config_setting_is_group(group))
        return loader_refuse(loader, group, "rules.actions: must be a group { ... }, not %s",
                             loader_kind(group));
    for (int i = 0; i < config_setting_length(group); i++)
        if (!load_action(loader, config_setting_get_elem(group, (unsigned)i), rule))
            return false;
    return true;
}

static bool check_clients(struct loader *loader, const config_setting_t *clients, struct rule *rule)
{
    if (!config_setting_is_array(clients) && !config_setting_is_list(clients))
        return loader_refuse(loader, clients,
                             "rules.clients: must be a list of networks such as "
                             "[\"192.0.2.0/24\"], not %s",
                             loader_kind(clients));
    if (config_setting_length(clients) == 0)
        return loader_refuse(loader, clients, "rules.clients: names no network");
    rule->clients = clients;
    return true;
}

static bool load_rule_key(struct loader *loader, const config_setting_t *setting, struct rule *rule)
{
    static const char *const keys[] = {"clients", "chunking", "actions"};
    const char *name = config_setting_name(setting);
    struct suggestion suggestion = {.wanted = name};

    if (strcmp(name, "clients") == 0)
        return check_clients(loader, setting, rule);
    if (strcmp(name, "chunking") == 0)
        return load_chunking(loader, setting, rule);
    if (strcmp(name, "actions") == 0)
        return load_actions(loader, setting, rule);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        suggestion_consider(&suggestion, keys[i]);
    return loader_refuse_key(loader, setting, &suggestion);
}

/* Adds each network of the rule, and writes them. */
static bool add_clients(struct loader *loader, const struct rule *rule, struct rules *rules,
                        FILE *out)
{
    for (int i = 0; i < config_setting_length(rule->clients); i++) {
        const config_setting_t *client = config_setting_get_elem(rule->clients, (unsigned)i);
        struct network network;
        char why[256], text[NETWORK_TEXT_SIZE];
        if (config_setting_type(client) != CONFIG_TYPE_STRING)
            return loader_refuse(loader, client,
                                 "rules.clients: a network must be in quotes, not %s",
                                 loader_kind(client));
        if (network_parse(config_setting_get_string(client), &network, why, sizeof(why)) != 0)
            return loader_refuse(loader, client, "rules.clients: %s", why);
        if (!rules_add(rules, &network, &rule->answers))
            return loader_out_of_memory(loader);
        fprintf(out, "%s\"%s\"", i > 0 ? ", " : "", network_format(&network, text));
    }
    return true;
}

static void write_answers(const struct rule_match *answers, FILE *out)
{
    bool has_actions = false;

    if (answers->has_chunking)
        fprintf(out, " chunking = \"%s\";", option_chunking_words.name((int)answers->chunking));
    for (int i = 0; i < VERDICT_COUNT; i++) {
        if (!answers->has_action[i])
            continue;
        fprintf(out, "%s %s = \"%s\";", has_actions ? "" : " actions = {",
                verdict_name((enum verdict)i), action_name(answers->actions[i]));
        has_actions = true;
    }
    if (has_actions)
        fprintf(out, " };");
}

static bool load_rule(struct loader *loader, const config_setting_t *setting, struct rules *rules,
                      FILE *out)
{
    struct rule rule = {.clients = NULL};

    if (!config_setting_is_group(setting))
        return loader_refuse(loader, setting, "rules: a rule must be a group { ... }, not %s",
                             loader_kind(setting));
    for (int i = 0; i < config_setting_length(setting); i++)
        if (!load_rule_key(loader, config_setting_get_elem(setting, (unsigned)i), &rule))
            return false;
    if (rule.clients == NULL)
        return loader_refuse(loader, setting, "rules: a rule without clients");
    if (!rule.says_something)
        return loader_refuse(loader, setting, "rules: a rule with neither chunking nor actions");
    fprintf(out, " { clients = [");
    if (!add_clients(loader, &rule, rules, out))
        return false;
    fprintf(out, "];");
    write_answers(&rule.answers, out);
    fprintf(out, " }");
    return true;
}

static bool load_list(struct loader *loader, const config_setting_t *list, struct rules *rules,
                      FILE *out)
{
    fputc('(', out);
    for (int i = 0; i < config_setting_length(list); i++) {
        if (i > 0)
            fputc(',', out);
        if (!load_rule(loader, config_setting_get_elem(list, (unsigned)i), rules, out))
            return false;
    }
    fputs(" )", out);
    return true;
}

struct rules *settings_rules_load(struct loader *loader, const config_setting_t *list, char **text)
{
    struct rules *rules = rules_new();
    size_t size;
    FILE *out = open_memstream(text, &size);

    if (rules == NULL || out == NULL) {
        loader_out_of_memory(loader);
        goto fail;
    }
    if (!load_list(loader, list, rules, out))
        goto fail;
    if (fclose(out) == 0)
        return rules;
    out = NULL;
    loader_out_of_memory(loader);
    free(*text);
fail:
    if (out != NULL) {
        fclose(out);
        free(*text);
    }
    *text = NULL;
    rules_free(&rules);
    return NULL;
}
