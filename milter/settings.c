#include "milter/settings.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/options.h"
#include "milter/settings_loader.h"
#include "milter/settings_twice.h"

/* Longer keys are not known, and are cut where they are shown. */
#define KEY_SIZE 128

/* Where a value was set; line 0 = nowhere. */
struct mark {
    char *file;
    unsigned line;
};

/* A snapshot with what the dump needs. Each list has one place for each option. */
struct snapshot {
    struct settings settings; /* first, so that the one is found from the other */
    atomic_uint references;
    struct rules *rules;
    char **values;
    char **presets;
    struct mark *marks;
};

static struct snapshot *snapshot_of(const struct settings *settings)
{
    return (struct snapshot *)(uintptr_t)settings;
}

static size_t index_of(const struct option *option)
{
    return (size_t)(option - options);
}

/* -- complaints -------------------------------------------------------------------------- */

static void __attribute__((format(printf, 4, 0)))
write_error(struct loader *loader, const char *file, unsigned line, const char *format,
            va_list arguments)
{
    char text[SETTINGS_ERROR_SIZE];
    int used = snprintf(text, sizeof(text), "%s:%u: ", file, line);

    if (used >= 0 && (size_t)used < sizeof(text))
        vsnprintf(text + used, sizeof(text) - (size_t)used, format, arguments);
    log_printable(text, strlen(text), loader->error, loader->error_size);
}

static bool __attribute__((format(printf, 4, 5)))
refuse_at(struct loader *loader, const char *file, unsigned line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_error(loader, file, line, format, arguments);
    va_end(arguments);
    return false;
}

bool loader_refuse(struct loader *loader, const config_setting_t *setting, const char *format, ...)
{
    unsigned line;
    const char *file = source_origin(loader->source, config_setting_source_line(setting), &line);
    va_list arguments;

    va_start(arguments, format);
    write_error(loader, file, line, format, arguments);
    va_end(arguments);
    return false;
}

/* The full name of a setting: "limits.max_chunk", "rules.clients". */
static void write_key(const config_setting_t *setting, char key[KEY_SIZE])
{
    const config_setting_t *parent = config_setting_parent(setting);

    key[0] = '\0';
    if (parent != NULL)
        write_key(parent, key);
    const char *name = config_setting_name(setting);
    size_t used = strlen(key);
    if (name != NULL)
        snprintf(key + used, KEY_SIZE - used, "%s%s", used > 0 ? "." : "", name);
}

bool loader_refuse_pair(struct loader *loader, const char *name, const char *other, const char *why)
{
    const struct mark *marks = snapshot_of(loader->settings)->marks;
    const struct mark *mark = &marks[index_of(option_find(name))];

    if (mark->line == 0)
        mark = &marks[index_of(option_find(other))];
    return refuse_at(loader, mark->file, mark->line, "%s: %s", name, why);
}

bool loader_refuse_key(struct loader *loader, const config_setting_t *setting,
                       const struct suggestion *suggestion)
{
    const char *nearest = suggestion_nearest(suggestion);
    char key[KEY_SIZE];

    write_key(setting, key);
    if (nearest == NULL)
        return loader_refuse(loader, setting, "unknown key \"%s\"", key);
    return loader_refuse(loader, setting, "unknown key \"%s\", did you mean \"%s\"?", key, nearest);
}

bool loader_out_of_memory(struct loader *loader)
{
    snprintf(loader->error, loader->error_size, "out of memory");
    return false;
}

const char *loader_kind(const config_setting_t *setting)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_GROUP:
        return "a group";
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return "a number";
    case CONFIG_TYPE_FLOAT:
        return "a fraction";
    case CONFIG_TYPE_STRING:
        return "a text in quotes";
    case CONFIG_TYPE_BOOL:
        return config_setting_get_bool(setting) ? "true" : "false";
    case CONFIG_TYPE_ARRAY:
        return "an array";
    default:
        return "a list";
    }
}

/* -- reading ----------------------------------------------------------------------------- */

/* An option of another group whose last part is that name, if there is just one. */
static const char *option_elsewhere(const char *name)
{
    const char *found = NULL;

    for (size_t i = 0; i < option_count; i++) {
        const char *dot = strrchr(options[i].name, '.');
        if (strcmp(dot != NULL ? dot + 1 : options[i].name, name) != 0)
            continue;
        if (found != NULL)
            return NULL;
        found = options[i].name;
    }
    return found;
}

/* Refuses a key: a verdict that is not answered, a mistyped key, or one of another group. */
static bool refuse_key(struct loader *loader, const config_setting_t *setting, const char *key)
{
    struct suggestion suggestion = {.wanted = key};
    const char *name = config_setting_name(setting);

    if ((strncmp(key, "actions.", 8) == 0 || strncmp(key, "replies.", 8) == 0) &&
        verdict_from_name(name) != VERDICT_NONE)
        return loader_refuse(loader, setting, "%s: nothing can be answered to this verdict", key);
    for (size_t i = 0; i < option_count; i++)
        suggestion_consider(&suggestion, options[i].name);
    for (size_t i = 0; i < option_group_count; i++)
        suggestion_consider(&suggestion, option_groups[i]);
    const char *elsewhere = option_elsewhere(name);
    if (suggestion_nearest(&suggestion) == NULL && elsewhere != NULL)
        suggestion = (struct suggestion){.wanted = elsewhere, .best = elsewhere};
    return loader_refuse_key(loader, setting, &suggestion);
}

/* Notes where an option was set. */
static bool set_mark(struct loader *loader, const config_setting_t *setting,
                     const struct option *option)
{
    struct mark *mark = &snapshot_of(loader->settings)->marks[index_of(option)];
    const char *file =
        source_origin(loader->source, config_setting_source_line(setting), &mark->line);

    mark->file = strdup(file);
    return mark->file != NULL || loader_out_of_memory(loader);
}

static int set_value(const config_setting_t *setting, const struct option *option,
                     struct settings *settings, char *why, size_t size)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_STRING:
        return option_set_text(option, settings, config_setting_get_string(setting), why, size);
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return option_set_number(option, settings, config_setting_get_int64(setting), why, size);
    case CONFIG_TYPE_BOOL:
        return option_set_boolean(option, settings, config_setting_get_bool(setting) != 0, why,
                                  size);
    default:
        snprintf(why, size, "must be %s, not %s", option_type_wanted(option), loader_kind(setting));
        return -1;
    }
}

static bool load_option(struct loader *loader, const config_setting_t *setting,
                        const struct option *option)
{
    char why[SETTINGS_ERROR_SIZE];

    if (!set_mark(loader, setting, option))
        return false;
    if (option->type == OPTION_LIST) {
        loader->rules = setting;
        return config_setting_is_list(setting) ||
               loader_refuse(loader, setting, "%s: must be %s, not %s", option->name,
                             option_type_wanted(option), loader_kind(setting));
    }
    if (set_value(setting, option, loader->settings, why, sizeof(why)) != 0)
        return loader_refuse(loader, setting, "%s: %s", option->name, why);
    return true;
}

/* Reads a group, the root or one within; groups within groups within there are none. */
static bool load_group(struct loader *loader, const config_setting_t *group, const char *prefix)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        const struct option *option;
        char key[KEY_SIZE];
        snprintf(key, sizeof(key), "%s%s%s", prefix, prefix[0] != '\0' ? "." : "",
                 config_setting_name(setting));
        if ((option = option_find(key)) != NULL) {
            if (!load_option(loader, setting, option))
                return false;
        } else if (prefix[0] != '\0' || !option_group_exists(key)) {
            return refuse_key(loader, setting, key);
        } else if (!config_setting_is_group(setting)) {
            return loader_refuse(loader, setting, "%s: must be a group { ... }, not %s", key,
                                 loader_kind(setting));
        } else if (!load_group(loader, setting, key)) {
            return false;
        }
    }
    return true;
}

static bool load_rules(struct loader *loader)
{
    struct snapshot *snapshot = snapshot_of(loader->settings);
    size_t index = index_of(option_find("rules"));

    if (loader->rules == NULL)
        return true;
    free(snapshot->values[index]);
    snapshot->rules = settings_rules_load(loader, loader->rules, &snapshot->values[index]);
    snapshot->settings.rules = snapshot->rules;
    return snapshot->rules != NULL;
}

/* -- the snapshot ------------------------------------------------------------------------ */

static void free_texts(char **texts)
{
    for (size_t i = 0; texts != NULL && i < option_count; i++)
        free(texts[i]);
    free(texts);
}

static void snapshot_free(struct snapshot *snapshot)
{
    option_free_strings(&snapshot->settings);
    rules_free(&snapshot->rules);
    free_texts(snapshot->values);
    free_texts(snapshot->presets);
    for (size_t i = 0; snapshot->marks != NULL && i < option_count; i++)
        free(snapshot->marks[i].file);
    free(snapshot->marks);
    free(snapshot);
}

/* Writes the values as they are now. */
static bool write_texts(const struct settings *settings, char **texts)
{
    for (size_t i = 0; i < option_count; i++) {
        if (options[i].type == OPTION_LIST)
            texts[i] = strdup(option_preset(&options[i]));
        else
            texts[i] = option_format(&options[i], settings);
        if (texts[i] == NULL)
            return false;
    }
    return true;
}

/* A snapshot with the defaults and one reference; NULL when memory is short. */
static struct snapshot *snapshot_new(void)
{
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    char why[256];
    bool fine;

    if (snapshot == NULL)
        return NULL;
    atomic_init(&snapshot->references, 1);
    snapshot->values = calloc(option_count, sizeof(*snapshot->values));
    snapshot->presets = calloc(option_count, sizeof(*snapshot->presets));
    snapshot->marks = calloc(option_count, sizeof(*snapshot->marks));
    fine = snapshot->values != NULL && snapshot->presets != NULL && snapshot->marks != NULL;
    for (int i = 0; i < VERDICT_COUNT; i++)
        snapshot->settings.actions[i] = verdict_default_action((enum verdict)i);
    for (size_t i = 0; fine && i < option_count; i++)
        fine = option_set_preset(&options[i], &snapshot->settings, why, sizeof(why)) == 0;
    if (fine && write_texts(&snapshot->settings, snapshot->presets))
        return snapshot;
    snapshot_free(snapshot);
    return NULL;
}

#define DUPLICATE "duplicate setting name"

/* A key that is set twice, with its first place. False if it cannot be found. */
static bool refuse_twice(struct loader *loader)
{
    struct settings_twice found;
    unsigned first_line, line;
    if (strcmp(config_error_text(&loader->config), DUPLICATE) != 0 ||
        !settings_find_twice(source_text(loader->source), &found))
        return false;
    const char *first = source_origin(loader->source, found.first_line, &first_line);
    const char *file = source_origin(loader->source, found.line, &line);
    refuse_at(loader, file, line, "%s is set twice, first at %s:%u", found.key, first, first_line);
    return true;
}

/* libconfig's own complaints, in words that help. */
static const char *syntax_complaint(const config_t *config)
{
    const char *text = config_error_text(config);

    if (strcmp(text, "syntax error") == 0)
        return "syntax error here or in the line before";
    if (strcmp(text, DUPLICATE) == 0)
        return "a key is set twice";
    if (strcmp(text, "mismatched element type in array") == 0)
        return "the elements of an array [ ... ] must be of one type";
    return text;
}

static bool parse(struct loader *loader)
{
    if (config_read_string(&loader->config, source_text(loader->source)) == CONFIG_TRUE)
        return load_group(loader, config_root_setting(&loader->config), "");
    if (refuse_twice(loader))
        return false;
    unsigned line;
    const char *file =
        source_origin(loader->source, (unsigned)config_error_line(&loader->config), &line);
    return refuse_at(loader, file, line, "%s", syntax_complaint(&loader->config));
}

/* Fills the loader's settings from its source, which may be NULL. */
static bool fill(struct loader *loader)
{
    struct snapshot *snapshot = snapshot_of(loader->settings);

    if (loader->source != NULL && !(parse(loader) && settings_check_relations(loader)))
        return false;
    if (!write_texts(&snapshot->settings, snapshot->values))
        return loader_out_of_memory(loader);
    return load_rules(loader);
}

/* Makes a snapshot of the source, NULL for the defaults, and frees the source. */
static struct settings *load(struct source *source, char *error, size_t error_size)
{
    struct snapshot *snapshot = snapshot_new();
    struct loader loader = {.source = source, .error = error, .error_size = error_size};

    if (snapshot == NULL) {
        loader_out_of_memory(&loader);
        source_free(&source);
        return NULL;
    }
    loader.settings = &snapshot->settings;
    config_init(&loader.config);
    bool fine = fill(&loader);
    config_destroy(&loader.config);
    source_free(&source);
    if (fine)
        return &snapshot->settings;
    snapshot_free(snapshot);
    return NULL;
}

struct settings *settings_load(const char *path, char *error, size_t error_size)
{
    if (path == NULL)
        return load(NULL, error, error_size);
    struct source *source = source_read_file(path, error, error_size);
    return source != NULL ? load(source, error, error_size) : NULL;
}

struct settings *settings_load_text(const char *name, const char *text, size_t length, char *error,
                                    size_t error_size)
{
    struct source *source = source_read_text(name, text, length, error, error_size);
    return source != NULL ? load(source, error, error_size) : NULL;
}

const struct settings *settings_ref(const struct settings *settings)
{
    atomic_fetch_add_explicit(&snapshot_of(settings)->references, 1, memory_order_relaxed);
    return settings;
}

void settings_unref(const struct settings **settings)
{
    if (*settings == NULL)
        return;
    struct snapshot *snapshot = snapshot_of(*settings);
    *settings = NULL;
    if (atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) == 1)
        snapshot_free(snapshot);
}

/* -- questions --------------------------------------------------------------------------- */

struct rule_match settings_match_rules(const struct settings *settings,
                                       const struct address *client)
{
    return rules_match(settings->rules, client);
}

enum action settings_action(const struct settings *settings, const struct address *client,
                            enum verdict verdict)
{
    struct rule_match match = rules_match(settings->rules, client);

    return match.has_action[verdict] ? match.actions[verdict] : settings->actions[verdict];
}

const char *settings_next_restart(const struct settings *running, const struct settings *loaded,
                                  size_t *cursor)
{
    while (*cursor < option_count) {
        size_t i = (*cursor)++;
        if (!options[i].reloadable &&
            strcmp(snapshot_of(running)->values[i], snapshot_of(loaded)->values[i]) != 0)
            return options[i].name;
    }
    return NULL;
}

size_t settings_option_count(void)
{
    return option_count;
}

void settings_option_view(const struct settings *settings, size_t index, struct option_view *view)
{
    const struct snapshot *snapshot = snapshot_of(settings);
    const struct option *option = &options[index];

    *view = (struct option_view){
        .name = option->name,
        .type = option_type_name(option),
        .value = snapshot->values[index],
        .preset = snapshot->presets[index],
        .line = snapshot->marks[index].line,
        .file = snapshot->marks[index].file,
        .reloadable = option->reloadable,
        .help = option->help != NULL ? option->help : verdict_meaning(option->verdict),
    };
}
