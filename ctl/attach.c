/* attach: Postfix's parameters set by postconf(1). */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/actions.h"
#include "ctl/file.h"
#include "ctl/keywords.h"
#include "ctl/local_mail.h"
#include "ctl/manner.h"
#include "ctl/override.h"
#include "ctl/plan.h"
#include "ctl/tables.h"
#include "ctl/text.h"
#include "ctl/undo.h"

/* Plans one hook in main.cf. EXIT_NO when something else stands where ours must. */
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
        tables_complain_taken(site, hook, raw);
        code = EXIT_NO;
    } else {
        char *after = value_add(raw, hook->text, hook->in_front);
        plan_main(plan, &site->postfix, hook->parameter, after, hook->why);
    }
    free(expanded);
    free(raw);
    return code;
}

/* postscreen(8) takes no mail, so it gains nothing from our map; but it dies of a table that
 * does not answer. It gets what it had before. */
static void plan_postscreen(struct plan *plan, const struct site *site)
{
    const struct hook *hook = &site->hooks[2];
    if (!postfix_uses_postscreen(&site->postfix) || postfix_is_set(&site->postfix, POSTSCREEN_MAPS))
        return;
    char *raw = postfix_get(&site->postfix, hook->parameter, false);
    char *maps = hook_take_out(hook, site->postfix.queue_dir, raw);
    free(raw);
    plan_main(plan, &site->postfix, POSTSCREEN_MAPS, maps,
              "as it was: postscreen takes no mail, and ends when a table does not answer");
}

/* Plans all hooks, the tables where `place` says, and takes them out of the other place. */
static enum exit_code plan_hooks(struct plan *plan, const struct site *site,
                                 enum tables_place place, const json_t *record)
{
    enum exit_code code = EXIT_DONE;
    for (size_t i = 0; i < HOOK_COUNT && code == EXIT_DONE; i++) {
        const struct hook *hook = &site->hooks[i];
        if (hook_is_table(hook) && place == TABLES_SERVICES) {
            code = tables_plan_services(plan, site, hook, record);
        } else {
            code = plan_hook(plan, site, hook);
            if (hook_is_table(hook))
                tables_plan_services_back(plan, site, hook, record);
        }
    }
    if (code == EXIT_DONE && place == TABLES_MAIN)
        plan_postscreen(plan, site);
    else if (code == EXIT_DONE)
        plan_postscreen_back(plan, site, record);
    return code;
}

static void plan_keywords(struct plan *plan, const struct site *site)
{
    char *all = site_discarded_keywords(site);
    plan->keywords = keywords_join(site->settings->suppression.keywords, all);
    free(all);
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

static enum exit_code make_plan(struct plan *plan, const struct site *site, enum tables_place place)
{
    json_t *record = undo_load(site->postfix.config_dir);
    enum exit_code code = check_possible(site);
    if (code == EXIT_DONE)
        code = plan_hooks(plan, site, place, record);
    if (code == EXIT_DONE)
        plan_keywords(plan, site);
    json_decref(record);
    return code;
}

static void print_plan(const struct plan *plan, const struct site *site, bool only_commands)
{
    plan_print(plan, &site->postfix, only_commands);
    if (plan->keywords != NULL && !only_commands)
        printf("# %s: what Postfix discards for all clients stays discarded for those that lose "
               "CHUNKING\n#   suppression = { keywords = \"%s\"; };\n",
               site->conf_file, plan->keywords);
}

/* A service that has a value of its own, and the command that attaches it. */
static void note_override(struct plan *plan, const struct site *site,
                          const struct postfix_service *service, const struct hook *hook,
                          const char *value)
{
    char *command = override_attach(site, service, hook, value);
    char *remove = command == NULL ? override_remove(site, service, hook) : NULL;
    char *dir = postfix_dir_option(&site->postfix);
    if (command != NULL)
        plan_note(plan,
                  "master.cf sets %s = %s for %s/%s, so that service is not attached. If its mail "
                  "should be watched too:\n  %s",
                  hook->parameter, value, service->name, service->type, command);
    else
        plan_note(plan,
                  "master.cf sets %s = %s for %s/%s, and Postfix takes only one, so that service "
                  "is not attached. If that filter is not needed any more:\n"
                  "  %s && postfix%s reload",
                  hook->parameter, value, service->name, service->type, remove, dir);
    free(dir);
    free(remove);
    free(command);
}

/* master.cf may set a parameter for one service alone; that is reported, never changed. */
static void note_overrides(struct plan *plan, const struct site *site)
{
    for (size_t s = 0; s < site->postfix.service_count; s++) {
        const struct postfix_service *service = &site->postfix.services[s];
        for (size_t h = 0; h < HOOK_COUNT && postfix_is_smtpd(service); h++) {
            char *value = override_without_ours(site, service, &site->hooks[h]);
            if (value != NULL)
                note_override(plan, site, service, &site->hooks[h], value);
            free(value);
        }
    }
}

/* Things that are allowed but that the administrator should know. */
static void note_circumstances(struct plan *plan, const struct site *site)
{
    char *global = postfix_get(&site->postfix, SITE_KEYWORDS, true);
    char *local = local_mail_mend(site);
    note_overrides(plan, site);
    if (keywords_have(global, "chunking"))
        plan_note(plan,
                  SITE_KEYWORDS
                  " = %s takes CHUNKING away from all clients, so there is no BDAT "
                  "to watch. Once bdat-milter is attached that is not needed: only clients that "
                  "cannot do it lose CHUNKING. Take the word \"chunking\" out with postconf -e.",
                  global);
    if (local != NULL)
        plan_note(plan,
                  "non_smtpd_milters hands the mail of local programs to bdat-milter too. That "
                  "harms nobody, but there is nothing in it to see. To spare it:\n  %s",
                  local);
    free(local);
    free(global);
}

/* Says what to write into bdat-milter.conf by hand. */
static void advise_keywords(const struct ctl *ctl, const struct site *site, const char *text,
                            const char *keywords)
{
    char *advice = keywords_advise(text, keywords), *reload = command_line_of(ctl, "reload");
    ctl_complain("Postfix is attached, but suppression.keywords must be set by hand. In %s write\n"
                 "  %s\nthen: %s",
                 site->conf_file, advice, reload);
    free(reload);
    free(advice);
}

/* Writes suppression.keywords, or says the line to write. */
static enum exit_code write_keywords(const struct ctl *ctl, const struct site *site,
                                     const char *keywords, json_t *record)
{
    size_t length = 0;
    enum exit_code code = EXIT_NO;
    char *text = site->conf_exists ? file_read(site->conf_file, &length) : NULL;
    char *edited = text == NULL ? NULL : keywords_edit(text, keywords);
    if (edited == NULL) {
        advise_keywords(ctl, site, text, keywords);
    } else if (undo_keep(record, site->conf_file) != 0 ||
               file_replace(site->conf_file, site->conf_file, edited, strlen(edited)) != 0) {
        ctl_complain("%s could not be written", site->conf_file);
    } else {
        undo_note(record, site->conf_file);
        manner_reload_daemon(ctl);
        code = EXIT_DONE;
    }
    free(edited);
    free(text);
    return code;
}

/* Remembers what was changed. Ours taken out of where nobody had remembered it: the copy of the
 * file holds it still. */
static void remember(json_t *record, const struct change *change, const char *path)
{
    if (!change->takes_out)
        undo_remember(record, change->parameter, change->before, change->after);
    else if (!undo_drop(record, change->parameter))
        undo_spoil(record, path);
}

/* True if the tables go out of master.cf and nothing of ours stays there, nor edits of others. */
static bool leaves_master(const struct plan *plan, const struct site *site, enum plan_file file,
                          const json_t *record)
{
    bool leaves = file == PLAN_MASTER && plan_is_exact(plan, &site->postfix, file, record);
    for (size_t i = 0; i < plan->count && leaves; i++)
        leaves = plan->changes[i].file != file || plan->changes[i].takes_out;
    return leaves;
}

static int apply_to_file(const struct plan *plan, const struct site *site, enum plan_file file,
                         json_t *record)
{
    if (!plan_touches(plan, file))
        return 0;
    char *path = plan_path(&site->postfix, file);
    bool leaves = leaves_master(plan, site, file, record);
    int failed = leaves ? undo_restore(path) : undo_keep(record, path);
    if (failed == 0 && !leaves)
        failed = plan_write(plan, &site->postfix, file);
    for (size_t i = 0; i < plan->count && failed == 0; i++)
        if (plan->changes[i].file == file)
            remember(record, &plan->changes[i], path);
    if (failed == 0 && leaves)
        undo_drop_file(record, path);
    else if (failed == 0)
        undo_note(record, path);
    free(path);
    return failed;
}

static int apply(const struct site *site, const struct plan *plan, json_t *record)
{
    int failed = apply_to_file(plan, site, PLAN_MASTER, record);
    if (failed == 0)
        failed = apply_to_file(plan, site, PLAN_MAIN, record);
    return failed;
}

/* Sets it all. What it could not write of our own file keeps nothing back: EXIT_NO then, too. */
static enum exit_code carry_out(const struct ctl *ctl, const struct site *site,
                                const struct plan *plan, const struct manner *manner)
{
    json_t *record = undo_load(site->postfix.config_dir);
    int failed = apply(site, plan, record);
    enum exit_code code = failed == 0 ? EXIT_DONE : EXIT_NO;
    if (failed == 0 && plan->keywords != NULL)
        code = write_keywords(ctl, site, plan->keywords, record);
    if (failed == 0)
        failed = undo_save(record, site->postfix.config_dir);
    if (failed == 0)
        failed = manner_reload_postfix(manner, &site->postfix);
    json_decref(record);
    return failed == 0 ? code : EXIT_NO;
}

static bool daemon_is_there(const struct site *site)
{
    const struct settings *settings = site->settings;
    const char *const sockets[] = {settings->milter_socket, settings->tables_socket,
                                   settings->policy_socket};
    for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
        if (site_connect(sockets[i]) == 0)
            continue;
        ctl_complain("nobody answers on %s. Attached like that, Postfix would answer all mail with "
                     "421 until the daemon runs.\nStart it first: systemctl start bdat-milter (or "
                     "use --force).",
                     sockets[i]);
        return false;
    }
    return true;
}

/* Shows what is to be set, asks, and sets it. */
static enum exit_code set_up(const struct ctl *ctl, const struct site *site,
                             const struct plan *plan, const struct manner *manner)
{
    if (!manner->force && !daemon_is_there(site))
        return EXIT_NO;
    if (!manner->json)
        print_plan(plan, site, false);
    if (!manner_confirm(manner, "Set this?"))
        return EXIT_NO;
    enum exit_code code = carry_out(ctl, site, plan, manner);
    if (code != EXIT_DONE)
        return code;
    char *check = site_command(site, ctl, "check");
    char *text = text_format("Postfix is attached. Now: %s", check);
    plan_end(plan, ctl, &site->postfix, true, text);
    free(text);
    free(check);
    return EXIT_DONE;
}

static enum exit_code attach(const struct ctl *ctl, const struct site *site, struct plan *plan,
                             const struct manner *manner)
{
    if (manner->print && !manner->json) {
        print_plan(plan, site, true);
        return EXIT_DONE;
    }
    note_circumstances(plan, site);
    if (!manner->print && (plan->count > 0 || plan->keywords != NULL))
        return set_up(ctl, site, plan, manner);
    char *check = site_command(site, ctl, "check");
    char *text =
        text_format("Postfix is attached already; nothing to do. %s says whether it works.", check);
    plan_end(plan, ctl, &site->postfix, false, text);
    free(text);
    free(check);
    return EXIT_DONE;
}

enum exit_code run_attach(const struct ctl *ctl, const struct invocation *invocation)
{
    struct manner manner = manner_read(ctl, invocation);
    struct site site;
    struct plan plan = {0};
    enum tables_place place;
    enum exit_code code = site_open(&site, invocation);
    if (code != EXIT_DONE)
        return code;
    code = tables_choose(&site, invocation_value(invocation, "tables"), &place);
    if (code == EXIT_DONE)
        code = make_plan(&plan, &site, place);
    if (code == EXIT_DONE)
        code = attach(ctl, &site, &plan, &manner);
    plan_free(&plan);
    site_close(&site);
    return code;
}
