/* attach, detach: Postfix's parameters set by postconf(1), and undone. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/actions.h"
#include "ctl/file.h"
#include "ctl/keywords.h"
#include "ctl/site.h"
#include "ctl/text.h"
#include "ctl/undo.h"

#define POSTSCREEN_MAPS "postscreen_discard_ehlo_keyword_address_maps"
#define SMTPD_MAPS "smtpd_discard_ehlo_keyword_address_maps"
#define GLOBAL_KEYWORDS "smtpd_discard_ehlo_keywords"
#define CHANGES_MAX (HOOK_COUNT + 1)

/* One parameter of main.cf: NULL before = not set, NULL after = to be unset. */
struct change {
    const char *parameter;
    char *before, *after;
    const char *why;
};

struct plan {
    struct change changes[CHANGES_MAX];
    size_t count;
    bool exact;     /* main.cf is to be put back as a whole */
    char *keywords; /* suppression.keywords to be written, or NULL */
};

/* What --print, --yes and the like ask for. */
struct manner {
    bool print, yes, force, no_reload;
};

static struct manner read_manner(const struct invocation *invocation)
{
    return (struct manner){.print = invocation_value(invocation, "print") != NULL,
                           .yes = invocation_value(invocation, "yes") != NULL,
                           .force = invocation_value(invocation, "force") != NULL,
                           .no_reload = invocation_value(invocation, "no-reload") != NULL};
}

static void free_plan(struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        free(plan->changes[i].before);
        free(plan->changes[i].after);
    }
    free(plan->keywords);
}

/* `after` is taken over; `before` is read from main.cf. */
static void add_change(struct plan *plan, const struct postfix *postfix, const char *parameter,
                       char *after, const char *why)
{
    bool is_set = postfix_is_set(postfix, parameter);
    plan->changes[plan->count++] = (struct change){
        .parameter = parameter,
        .before = is_set ? postfix_get(postfix, parameter, false) : NULL,
        .after = after,
        .why = why,
    };
}

/* Plans one hook. EXIT_NO when something else stands where ours must. */
static enum exit_code plan_hook(struct plan *plan, const struct site *site, const struct hook *hook)
{
    struct span part;
    const char *queue_dir = site->postfix.queue_dir;
    enum exit_code code = EXIT_DONE;
    char *raw = postfix_get(&site->postfix, hook->parameter, false);
    char *expanded = postfix_get(&site->postfix, hook->parameter, true);
    if (hook_find(hook, queue_dir, raw, &part) || hook_find(hook, queue_dir, expanded, &part)) {
        /* Already there. */
    } else if (hook->kind == HOOK_SINGLE && value_next(raw, 0, &part)) {
        ctl_complain("%s is set to \"%s\" already, and Postfix takes only one.\n"
                     "bdat-milter cannot work without it. If that filter is not needed any more, "
                     "remove it with:\n  postconf -X %s",
                     hook->parameter, raw, hook->parameter);
        code = EXIT_NO;
    } else {
        char *after = value_add(raw, hook->text, hook->in_front);
        add_change(plan, &site->postfix, hook->parameter, after, hook->why);
    }
    free(expanded);
    free(raw);
    return code;
}

/* postscreen(8) takes no mail, so it gains nothing from our map; but it dies of a table that
 * does not answer. It gets what it had before. */
static void plan_postscreen(struct plan *plan, const struct site *site)
{
    if (!postfix_uses_postscreen(&site->postfix) || postfix_is_set(&site->postfix, POSTSCREEN_MAPS))
        return;
    char *maps = postfix_get(&site->postfix, SMTPD_MAPS, false);
    struct span part;
    if (hook_find(&site->hooks[2], site->postfix.queue_dir, maps, &part)) {
        char *without = value_remove(maps, part);
        free(maps);
        maps = without;
    }
    add_change(plan, &site->postfix, POSTSCREEN_MAPS, maps,
               "as it was: postscreen takes no mail, and ends when a table does not answer");
}

static void plan_keywords(struct plan *plan, const struct site *site)
{
    char *global = postfix_get(&site->postfix, GLOBAL_KEYWORDS, true);
    plan->keywords = keywords_join(site->settings->suppression.keywords, global);
    free(global);
}

/* What stands in the way whatever the parameters hold. */
static enum exit_code check_possible(const struct site *site)
{
    if (!postfix_is_at_least(&site->postfix, 3, 4)) {
        ctl_complain("this Postfix is version %s; it knows CHUNKING only from 3.4 on, so there is "
                     "nothing to attach to",
                     site->postfix.version);
        return EXIT_NO;
    }
    for (size_t i = 0; i < HOOK_COUNT; i++) {
        if (site->hooks[i].path[0] != '/' || !postfix_has_chroot(&site->postfix))
            continue;
        ctl_complain("%s is not below %s, and smtpd runs chrooted there (master.cf), so it cannot "
                     "reach that socket.\nMove the sockets below %s/bdat-milter in %s.",
                     site->hooks[i].path, site->postfix.queue_dir, site->postfix.queue_dir,
                     site->conf_file);
        return EXIT_NO;
    }
    return EXIT_DONE;
}

static enum exit_code make_plan(struct plan *plan, const struct site *site)
{
    *plan = (struct plan){0};
    enum exit_code code = check_possible(site);
    for (size_t i = 0; i < HOOK_COUNT && code == EXIT_DONE; i++)
        code = plan_hook(plan, site, &site->hooks[i]);
    if (code == EXIT_DONE) {
        plan_postscreen(plan, site);
        plan_keywords(plan, site);
    }
    return code;
}

/* One postconf command as a shell would take it. */
static void print_command(const struct postfix *postfix, const struct change *change)
{
    char *assignment = change->after == NULL
                           ? text_copy(change->parameter)
                           : text_format("%s = %s", change->parameter, change->after);
    char *quoted = value_quote_for_shell(assignment);
    char *dir = postfix->asked_dir == NULL ? NULL : value_quote_for_shell(postfix->asked_dir);
    char *line = text_format("postconf %s%s%s%s %s", dir ? "-c " : "", dir ? dir : "",
                             dir ? " " : "", change->after == NULL ? "-X" : "-e", quoted);
    char *safe = text_safe(line, true);
    puts(safe);
    free(safe);
    free(line);
    free(dir);
    free(quoted);
    free(assignment);
}

static void print_plan(const struct plan *plan, const struct site *site, bool only_commands)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (!only_commands && plan->changes[i].why != NULL)
            printf("# %s\n", plan->changes[i].why);
        print_command(&site->postfix, &plan->changes[i]);
    }
    if (plan->keywords != NULL && !only_commands)
        printf("# %s: what main.cf discards for all clients stays discarded for those that lose "
               "CHUNKING\n#   suppression = { keywords = \"%s\"; };\n",
               site->conf_file, plan->keywords);
}

/* master.cf may set a parameter for one service alone; that is reported, never changed. */
static void report_overrides(const struct site *site)
{
    struct span part;
    for (size_t s = 0; s < site->postfix.service_count; s++) {
        const struct postfix_service *service = &site->postfix.services[s];
        for (size_t h = 0; h < HOOK_COUNT && postfix_is_smtpd(service); h++) {
            const struct hook *hook = &site->hooks[h];
            char *value = postfix_get_override(&site->postfix, service, hook->parameter);
            if (value != NULL && !hook_find(hook, site->postfix.queue_dir, value, &part)) {
                char *whole = value_add(value, hook->text, hook->in_front);
                char *line = text_format("%s/%s/%s=%s", service->name, service->type,
                                         hook->parameter, whole);
                char *quoted = value_quote_for_shell(line);
                ctl_complain("note: master.cf sets %s = %s for %s/%s, so that service is not "
                             "attached. If its mail should be watched too:\n  postconf -P %s",
                             hook->parameter, value, service->name, service->type, quoted);
                free(quoted);
                free(line);
                free(whole);
            }
            free(value);
        }
    }
}

/* Things that are allowed but that the administrator should know. */
static void report_global_chunking(const struct site *site)
{
    char *global = postfix_get(&site->postfix, GLOBAL_KEYWORDS, true);
    if (keywords_have(global, "chunking"))
        ctl_complain("note: " GLOBAL_KEYWORDS " = %s takes CHUNKING away from all clients, so "
                     "there is no BDAT to watch. Once bdat-milter is attached that is not needed: "
                     "only clients that cannot do it lose CHUNKING. Take the word \"chunking\" out "
                     "with postconf -e.",
                     global);
    free(global);
}

static bool confirm(const struct manner *manner, const char *question)
{
    char line[16];
    if (manner->yes)
        return true;
    printf("%s [y/N] ", question);
    fflush(stdout);
    if (fgets(line, sizeof(line), stdin) == NULL)
        line[0] = '\0';
    if (line[0] == 'y' || line[0] == 'Y')
        return true;
    ctl_complain("nothing was changed (answer y, or use --yes)");
    return false;
}

/* Writes the changes by one postconf -e and one postconf -X. */
static int write_changes(const struct plan *plan, const struct postfix *postfix)
{
    char *assignments[CHANGES_MAX] = {0};
    const char *names[CHANGES_MAX] = {0};
    size_t set = 0, unset = 0;
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->changes[i].after == NULL)
            names[unset++] = plan->changes[i].parameter;
        else
            assignments[set++] =
                text_format("%s = %s", plan->changes[i].parameter, plan->changes[i].after);
    }
    int failed = postfix_edit(postfix, (const char *const *)assignments, set);
    if (failed == 0)
        failed = postfix_forget(postfix, names, unset);
    while (set > 0)
        free(assignments[--set]);
    return failed;
}

/* A daemon that runs reads its file again; one that does not will at its start. */
static void reload_daemon(const struct ctl *ctl)
{
    json_t *answer = NULL;
    if (daemon_answers(ctl) && daemon_post(ctl, "/v1/reload", &answer) == EXIT_DONE)
        json_decref(answer);
}

/* Writes suppression.keywords, or says the line to write. */
static int write_keywords(const struct ctl *ctl, const struct site *site, const char *keywords,
                          json_t *record)
{
    size_t length = 0;
    char *text = site->conf_exists ? file_read(site->conf_file, &length) : text_copy("");
    char *edited = text == NULL ? NULL : keywords_edit(text, keywords);
    int failed = 0;
    if (edited == NULL || !site->conf_exists) {
        ctl_complain("please set this in %s by hand, then run bdatctl reload:\n"
                     "  suppression = { keywords = \"%s\"; };",
                     site->conf_file, keywords);
    } else if (undo_keep(record, site->conf_file) != 0 ||
               file_replace(site->conf_file, site->conf_file, edited, strlen(edited)) != 0) {
        ctl_complain("%s could not be written", site->conf_file);
        failed = -1;
    } else {
        undo_note(record, site->conf_file);
        reload_daemon(ctl);
    }
    free(edited);
    free(text);
    return failed;
}

static int reload_postfix(const struct site *site, const struct manner *manner)
{
    if (manner->no_reload || !postfix_is_running(&site->postfix))
        return 0;
    return postfix_reload(&site->postfix);
}

static int apply(const struct ctl *ctl, const struct site *site, const struct plan *plan)
{
    const char *dir = site->postfix.config_dir;
    char *main_cf = text_format("%s/main.cf", dir);
    json_t *record = undo_load(dir);
    int failed = 0;
    if (plan->keywords != NULL)
        failed = write_keywords(ctl, site, plan->keywords, record);
    if (failed == 0 && plan->count > 0) {
        failed = undo_keep(record, main_cf);
        if (failed == 0)
            failed = write_changes(plan, &site->postfix);
        for (size_t i = 0; i < plan->count && failed == 0; i++)
            undo_remember(record, plan->changes[i].parameter, plan->changes[i].before,
                          plan->changes[i].after);
        if (failed == 0)
            undo_note(record, main_cf);
    }
    if (failed == 0)
        failed = undo_save(record, dir);
    json_decref(record);
    free(main_cf);
    return failed;
}

static bool daemon_is_there(const struct site *site)
{
    const struct settings *settings = site->settings;
    const char *const sockets[] = {settings->milter_socket, settings->tables_socket,
                                   settings->policy_socket};
    for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
        if (site_listens(sockets[i]))
            continue;
        ctl_complain("nobody answers on %s. Attached like that, Postfix would answer all mail with "
                     "421 until the daemon runs.\nStart it first: systemctl start bdat-milter (or "
                     "use --force).",
                     sockets[i]);
        return false;
    }
    return true;
}

static enum exit_code attach(const struct ctl *ctl, const struct site *site,
                             const struct plan *plan, const struct manner *manner)
{
    if (manner->print) {
        print_plan(plan, site, true);
        return EXIT_DONE;
    }
    report_overrides(site);
    report_global_chunking(site);
    if (plan->count == 0 && plan->keywords == NULL) {
        puts("Postfix is attached already; nothing to do. bdatctl check says whether it works.");
        return EXIT_DONE;
    }
    if (!manner->force && !daemon_is_there(site))
        return EXIT_NO;
    print_plan(plan, site, false);
    if (!confirm(manner, "Set this?"))
        return EXIT_NO;
    if (apply(ctl, site, plan) != 0 || reload_postfix(site, manner) != 0)
        return EXIT_NO;
    puts("Postfix is attached. Now: bdatctl check");
    return EXIT_DONE;
}

enum exit_code run_attach(const struct ctl *ctl, const struct invocation *invocation)
{
    struct manner manner = read_manner(invocation);
    struct site site;
    struct plan plan;
    enum exit_code code = site_open(&site, invocation);
    if (code != EXIT_DONE)
        return code;
    code = make_plan(&plan, &site);
    if (code == EXIT_DONE)
        code = attach(ctl, &site, &plan, &manner);
    free_plan(&plan);
    site_close(&site);
    return code;
}

/* Plans to take our part out of one parameter. */
static void plan_removal(struct plan *plan, const struct site *site, const struct hook *hook,
                         const json_t *record)
{
    struct span part;
    char *raw = postfix_get(&site->postfix, hook->parameter, false);
    char *expanded = postfix_get(&site->postfix, hook->parameter, true);
    const json_t *known = undo_recall(record, hook->parameter);
    if (hook_find(hook, site->postfix.queue_dir, raw, &part)) {
        char *after = value_remove(raw, part);
        bool was_set = json_is_string(json_object_get(known, "before"));
        if (*after == '\0' && !was_set) {
            free(after);
            after = NULL;
        }
        add_change(plan, &site->postfix, hook->parameter, after, NULL);
    } else if (hook_find(hook, site->postfix.queue_dir, expanded, &part)) {
        ctl_complain("%s has its part of bdat-milter from another parameter (%s); take it out "
                     "there by hand",
                     hook->parameter, raw);
    }
    free(expanded);
    free(raw);
}

static void plan_postscreen_removal(struct plan *plan, const struct site *site,
                                    const json_t *record)
{
    const json_t *known = undo_recall(record, POSTSCREEN_MAPS);
    if (known == NULL)
        return;
    char *now = postfix_get(&site->postfix, POSTSCREEN_MAPS, false);
    const json_t *before = json_object_get(known, "before");
    if (strcmp(now, json_get_text(known, "after")) == 0)
        add_change(plan, &site->postfix, POSTSCREEN_MAPS,
                   json_is_string(before) ? text_copy(json_string_value(before)) : NULL, NULL);
    free(now);
}

static int undo_changes(const struct site *site, const struct plan *plan, const char *main_cf)
{
    return plan->exact ? undo_restore(main_cf) : write_changes(plan, &site->postfix);
}

/* suppression.keywords goes back only if nobody has edited the file; more words in it harm
 * nobody. */
static int undo_keywords(const struct ctl *ctl, const struct site *site, const json_t *record)
{
    if (json_object_get(json_object_get(record, "files"), site->conf_file) == NULL)
        return 0;
    if (!undo_is_exact(record, site->conf_file)) {
        ctl_complain("note: %s has been edited since; suppression.keywords stays as it is",
                     site->conf_file);
        return 0;
    }
    int failed = undo_restore(site->conf_file);
    if (failed == 0)
        reload_daemon(ctl);
    return failed;
}

static enum exit_code detach(const struct ctl *ctl, const struct site *site,
                             const struct plan *plan, const struct manner *manner,
                             const json_t *record)
{
    char *main_cf = text_format("%s/main.cf", site->postfix.config_dir);
    enum exit_code code = EXIT_DONE;
    if (manner->print) {
        print_plan(plan, site, true);
    } else if (plan->count == 0) {
        undo_forget(record, site->postfix.config_dir);
        puts("Postfix is not attached; nothing to do.");
    } else {
        if (plan->exact)
            printf("# %s goes back to what it was before attach, octet for octet; the same as:\n",
                   main_cf);
        print_plan(plan, site, false);
        if (!confirm(manner, "Take this out?") || undo_changes(site, plan, main_cf) != 0 ||
            undo_keywords(ctl, site, record) != 0) {
            code = EXIT_NO;
        } else {
            undo_forget(record, site->postfix.config_dir);
            code = reload_postfix(site, manner) == 0 ? EXIT_DONE : EXIT_NO;
        }
        if (code == EXIT_DONE)
            puts("Postfix is detached. The daemon may be stopped now.");
    }
    free(main_cf);
    return code;
}

/* True if attach has set every parameter that is to be changed: a copy can undo only that. */
static bool is_all_ours(const struct plan *plan, const json_t *record)
{
    for (size_t i = 0; i < plan->count; i++)
        if (undo_recall(record, plan->changes[i].parameter) == NULL)
            return false;
    return true;
}

enum exit_code run_detach(const struct ctl *ctl, const struct invocation *invocation)
{
    struct manner manner = read_manner(invocation);
    struct site site;
    struct plan plan = {0};
    enum exit_code code = site_open(&site, invocation);
    if (code != EXIT_DONE)
        return code;
    char *main_cf = text_format("%s/main.cf", site.postfix.config_dir);
    json_t *record = undo_load(site.postfix.config_dir);
    for (size_t i = 0; i < HOOK_COUNT; i++)
        plan_removal(&plan, &site, &site.hooks[i], record);
    plan_postscreen_removal(&plan, &site, record);
    plan.exact = undo_is_exact(record, main_cf) && is_all_ours(&plan, record);
    free(main_cf);
    code = detach(ctl, &site, &plan, &manner, record);
    json_decref(record);
    free_plan(&plan);
    site_close(&site);
    return code;
}
