/*
 * What settings.c, settings_relations.c and settings_rules.c share while a configuration is
 * loaded.
 */
#ifndef BDAT_SETTINGS_LOADER_H
#define BDAT_SETTINGS_LOADER_H

#include <stdbool.h>
#include <stddef.h>

#include <libconfig.h>

#include "milter/settings.h"
#include "milter/settings_source.h"
#include "milter/suggest.h"

struct loader {
    config_t config;
    struct source *source;
    struct settings *settings;     /* being filled */
    const config_setting_t *rules; /* read last; NULL = none */
    char *error;
    size_t error_size;
};

/* Leaves "FILE:LINE: …" of the setting as the error, made printable; returns false. */
bool loader_refuse(struct loader *loader, const config_setting_t *setting, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Refuses option `name` for what it has to do with `other`, at the first of the two that the
 * file sets; one of them it does. Returns false. */
bool loader_refuse_pair(struct loader *loader, const char *name, const char *other,
                        const char *why);

/* Refuses an unknown key, with the nearest of those that the suggestion has considered. */
bool loader_refuse_key(struct loader *loader, const config_setting_t *setting,
                       const struct suggestion *suggestion);

bool loader_out_of_memory(struct loader *loader);

/* What a setting is, for "must be …, not …": "a number". Static storage. */
const char *loader_kind(const config_setting_t *setting);

/* Says in `error` why the action cannot be taken with the configured reply ("needs a 5yz reply,
 * but …") and returns false; true if it can. */
bool loader_check_reply(const struct settings *settings, enum verdict verdict, enum action action,
                        char *error, size_t error_size);

/* Refuses options that do not fit together (settings_relations.c); true when all do. */
bool settings_check_relations(struct loader *loader);

/* Reads the list `rules` (its kind is checked already) when all else is loaded. Returns the rules,
 * and their text as in the file in *text, both the caller's; NULL when something is wrong. */
struct rules *settings_rules_load(struct loader *loader, const config_setting_t *list, char **text);

#endif
