#include "config.h"

#include "ctl/plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/file.h"
#include "ctl/text.h"
#include "ctl/undo.h"

static const struct {
    const char *name, *set_flag, *unset_flag;
} files[PLAN_FILE_COUNT] = {
    [PLAN_MAIN] = {"main.cf", "-e", "-X"},
    [PLAN_MASTER] = {"master.cf", "-P", "-PX"},
};

static struct change *add(struct plan *plan, const struct change *change)
{
    plan->changes = text_resize(plan->changes, plan->count + 1, sizeof(*plan->changes));
    plan->changes[plan->count] = *change;
    return &plan->changes[plan->count++];
}

struct change *plan_main(struct plan *plan, const struct postfix *postfix, const char *parameter,
                         char *after, const char *why)
{
    bool is_set = postfix_is_set(postfix, parameter);
    return add(plan, &(struct change){
                         .file = PLAN_MAIN,
                         .parameter = text_copy(parameter),
                         .before = is_set ? postfix_get(postfix, parameter, false) : NULL,
                         .after = after,
                         .why = why,
                     });
}

struct change *plan_service(struct plan *plan, const struct postfix *postfix,
                            const struct postfix_service *service, const char *parameter,
                            char *after, const char *why)
{
    return add(plan, &(struct change){
                         .file = PLAN_MASTER,
                         .parameter = postfix_service_parameter(service, parameter),
                         .before = postfix_get_override(postfix, service, parameter),
                         .after = after,
                         .why = why,
                     });
}

void plan_take_out_of_main(struct plan *plan, const struct site *site, const struct hook *hook,
                           const json_t *record, const char *why)
{
    struct span part;
    char *raw = postfix_get(&site->postfix, hook->parameter, false);
    char *expanded = postfix_get(&site->postfix, hook->parameter, true);
    if (hook_find(hook, site->postfix.queue_dir, raw, &part)) {
        char *after = value_remove(raw, part);
        const json_t *known = undo_recall(record, hook->parameter);
        if (*after == '\0' && !json_is_string(json_object_get(known, "before"))) {
            free(after);
            after = NULL;
        }
        plan_main(plan, &site->postfix, hook->parameter, after, why)->takes_out = true;
    } else if (hook_find(hook, site->postfix.queue_dir, expanded, &part)) {
        ctl_complain("%s has its part of bdat-milter from another parameter (%s); take it out "
                     "there by hand",
                     hook->parameter, raw);
    }
    free(expanded);
    free(raw);
}

/* What a service has left of its own without ours, as postconf -P takes it. NULL if nothing of its
 * own is left: attach has set it, or it is what main.cf says. */
static char *left_of_service(const struct site *site, const struct hook *hook, const char *own,
                             const json_t *known)
{
    const char *queue_dir = site->postfix.queue_dir;
    char *raw = postfix_get(&site->postfix, hook->parameter, false);
    char *main_value = hook_take_out(hook, queue_dir, raw);
    char *after = hook_take_out(hook, queue_dir, own);
    bool was_set = json_is_string(json_object_get(known, "before"));
    if (!was_set &&
        (value_same_items(after, main_value) || strcmp(own, json_get_text(known, "after")) == 0)) {
        free(after);
        after = NULL;
    }
    free(main_value);
    free(raw);
    return after;
}

void plan_take_out_of_service(struct plan *plan, const struct site *site,
                              const struct postfix_service *service, const struct hook *hook,
                              const json_t *record, const char *why)
{
    struct span part;
    char *own = postfix_get_override(&site->postfix, service, hook->parameter);
    if (own != NULL && hook_find(hook, site->postfix.queue_dir, own, &part)) {
        char *name = postfix_service_parameter(service, hook->parameter);
        char *after = left_of_service(site, hook, own, undo_recall(record, name));
        char *compact = after == NULL ? NULL : value_compact(after);
        if (after != NULL && compact == NULL)
            ctl_complain("%s has white space in its braces, which postconf -P cannot write; take "
                         "the part of bdat-milter out by hand",
                         name);
        else
            plan_service(plan, &site->postfix, service, hook->parameter, compact, why)->takes_out =
                true;
        free(after);
        free(name);
    }
    free(own);
}

void plan_postscreen_back(struct plan *plan, const struct site *site, const json_t *record)
{
    const json_t *known = undo_recall(record, POSTSCREEN_MAPS);
    if (known == NULL)
        return;
    char *now = postfix_get(&site->postfix, POSTSCREEN_MAPS, false);
    const json_t *before = json_object_get(known, "before");
    if (strcmp(now, json_get_text(known, "after")) == 0)
        plan_main(plan, &site->postfix, POSTSCREEN_MAPS,
                  json_is_string(before) ? text_copy(json_string_value(before)) : NULL, NULL)
            ->takes_out = true;
    free(now);
}

bool plan_touches(const struct plan *plan, enum plan_file file)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->changes[i].file == file)
            return true;
    return false;
}

char *plan_path(const struct postfix *postfix, enum plan_file file)
{
    return text_format("%s/%s", postfix->config_dir, files[file].name);
}

bool plan_is_exact(const struct plan *plan, const struct postfix *postfix, enum plan_file file,
                   const json_t *record)
{
    char *path = plan_path(postfix, file);
    bool exact = plan_touches(plan, file) && undo_is_exact(record, path);
    free(path);
    for (size_t i = 0; i < plan->count && exact; i++)
        exact = plan->changes[i].file != file ||
                undo_recall(record, plan->changes[i].parameter) != NULL;
    return exact;
}

/* The word that postconf(1) takes: an assignment, or the name of what is to be unset. */
static char *make_word(const struct change *change)
{
    if (change->after == NULL)
        return text_copy(change->parameter);
    return change->file == PLAN_MAIN ? text_format("%s = %s", change->parameter, change->after)
                                     : text_format("%s=%s", change->parameter, change->after);
}

/* The command that makes the change, to be shown; the caller frees. */
static char *make_command(const struct postfix *postfix, const struct change *change)
{
    const char *flag =
        change->after == NULL ? files[change->file].unset_flag : files[change->file].set_flag;
    char *word = make_word(change), *line = postfix_command(postfix, flag, word);
    char *safe = text_safe(line, true);
    free(line);
    free(word);
    return safe;
}

static void print_command(const struct postfix *postfix, const struct change *change)
{
    char *line = make_command(postfix, change);
    puts(line);
    free(line);
}

void plan_print(const struct plan *plan, const struct postfix *postfix, bool only_commands)
{
    const char *said = NULL;
    for (size_t i = 0; i < plan->count; i++) {
        const char *why = plan->changes[i].why;
        if (!only_commands && why != NULL && why != said)
            printf("# %s\n", why);
        said = why;
        print_command(postfix, &plan->changes[i]);
    }
}

static json_t *text_or_null(const char *text)
{
    char *safe = text == NULL ? NULL : text_safe(text, false);
    json_t *value = safe == NULL ? json_null() : json_string(safe);
    free(safe);
    return value;
}

json_t *plan_changes(const struct plan *plan, const struct postfix *postfix)
{
    json_t *list = json_array();
    for (size_t i = 0; i < plan->count; i++) {
        const struct change *change = &plan->changes[i];
        char *path = plan_path(postfix, change->file), *command = make_command(postfix, change);
        json_array_append_new(list,
                              json_pack("{sssssososs}", "file", path, "parameter",
                                        change->parameter, "before", text_or_null(change->before),
                                        "after", text_or_null(change->after), "command", command));
        free(command);
        free(path);
    }
    return list;
}

void plan_note(struct plan *plan, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = text_vformat(format, arguments);
    va_end(arguments);
    ctl_complain("note: %s", text);
    char *safe = text_safe(text, true);
    if (plan->notes == NULL)
        plan->notes = json_array();
    json_array_append_new(plan->notes, json_string(safe));
    free(safe);
    free(text);
}

void plan_end(const struct plan *plan, const struct ctl *ctl, const struct postfix *postfix,
              bool written, const char *text)
{
    if (!ctl->json) {
        puts(text);
        return;
    }
    json_t *all =
        json_pack("{sbsbsoss*sO*}", "ok", true, "written", written, "changes",
                  plan_changes(plan, postfix), "keywords", plan->keywords, "notes", plan->notes);
    daemon_print_json(all);
    json_decref(all);
}

/* Those changes of a file that set something, or those that unset, by one command. */
static int write_some(const struct plan *plan, const struct postfix *postfix, enum plan_file file,
                      bool sets)
{
    size_t count = 0;
    char **words = text_resize(NULL, plan->count + 1, sizeof(*words));
    for (size_t i = 0; i < plan->count; i++) {
        const struct change *change = &plan->changes[i];
        if (change->file == file && (change->after != NULL) == sets)
            words[count++] = make_word(change);
    }
    const char *flag = sets ? files[file].set_flag : files[file].unset_flag;
    int failed = postfix_change(postfix, flag, (const char *const *)words, count);
    while (count > 0)
        free(words[--count]);
    free(words);
    return failed;
}

int plan_write(const struct plan *plan, const struct postfix *postfix, enum plan_file file)
{
    char *path = plan_path(postfix, file);
    struct file_link link = file_link_note(path);
    int failed = write_some(plan, postfix, file, true);
    if (failed == 0)
        failed = write_some(plan, postfix, file, false);
    if (file_link_restore(path, &link) != 0)
        ctl_complain("note: %s was a symbolic link, and is a file of its own now: %s", path,
                     strerror(errno));
    free(path);
    return failed;
}

void plan_free(struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        free(plan->changes[i].parameter);
        free(plan->changes[i].before);
        free(plan->changes[i].after);
    }
    free(plan->changes);
    free(plan->keywords);
    json_decref(plan->notes);
    *plan = (struct plan){0};
}
