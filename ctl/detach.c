/* detach: what attach has set, undone. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "ctl/actions.h"
#include "ctl/manner.h"
#include "ctl/plan.h"
#include "ctl/undo.h"

static void make_plan(struct plan *plan, const struct site *site, const json_t *record)
{
    const struct postfix *postfix = &site->postfix;
    for (size_t i = 0; i < HOOK_COUNT; i++) {
        plan_take_out_of_main(plan, site, &site->hooks[i], record, NULL);
        for (size_t s = 0; s < postfix->service_count; s++)
            plan_take_out_of_service(plan, site, &postfix->services[s], &site->hooks[i], record,
                                     NULL);
    }
    plan_postscreen_back(plan, site, record);
    for (enum plan_file file = 0; file < PLAN_FILE_COUNT; file++)
        plan->exact[file] = plan_is_exact(plan, &site->postfix, file, record);
}

static void print_plan(const struct plan *plan, const struct site *site)
{
    for (enum plan_file file = 0; file < PLAN_FILE_COUNT; file++) {
        char *path = plan_path(&site->postfix, file);
        if (plan->exact[file])
            printf("# %s goes back to what it was before attach, octet for octet; the same as:\n",
                   path);
        free(path);
    }
    plan_print(plan, &site->postfix, false);
}

static int undo_changes(const struct plan *plan, const struct site *site)
{
    int failed = 0;
    for (enum plan_file file = 0; file < PLAN_FILE_COUNT && failed == 0; file++) {
        char *path = plan_path(&site->postfix, file);
        failed = plan->exact[file] ? undo_restore(path) : plan_write(plan, &site->postfix, file);
        free(path);
    }
    return failed;
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
        manner_reload_daemon(ctl);
    return failed;
}

static enum exit_code detach(const struct ctl *ctl, const struct site *site,
                             const struct plan *plan, const struct manner *manner,
                             const json_t *record)
{
    if (manner->print) {
        if (manner->json)
            plan_end(plan, ctl, &site->postfix, false, "");
        else
            plan_print(plan, &site->postfix, true);
        return EXIT_DONE;
    }
    if (plan->count == 0) {
        undo_forget(record, site->postfix.config_dir);
        plan_end(plan, ctl, &site->postfix, false, "Postfix is not attached; nothing to do.");
        return EXIT_DONE;
    }
    if (!manner->json)
        print_plan(plan, site);
    if (!manner_confirm(manner, "Take this out?") || undo_changes(plan, site) != 0 ||
        undo_keywords(ctl, site, record) != 0)
        return EXIT_NO;
    undo_forget(record, site->postfix.config_dir);
    if (manner_reload_postfix(manner, &site->postfix) != 0)
        return EXIT_NO;
    plan_end(plan, ctl, &site->postfix, true,
             "Postfix is detached. The daemon may be stopped now.");
    return EXIT_DONE;
}

enum exit_code run_detach(const struct ctl *ctl, const struct invocation *invocation)
{
    struct manner manner = manner_read(ctl, invocation);
    struct site site;
    struct plan plan = {0};
    enum exit_code code = site_open(&site, invocation);
    if (code != EXIT_DONE)
        return code;
    json_t *record = undo_load(site.postfix.config_dir);
    make_plan(&plan, &site, record);
    code = detach(ctl, &site, &plan, &manner, record);
    json_decref(record);
    plan_free(&plan);
    site_close(&site);
    return code;
}
