#include "config.h"

#include "ctl/tables.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/text.h"
#include "ctl/undo.h"

static const char moved_to_services[] =
    "set for each network service instead: the smtpd of `sendmail -bs` reads main.cf too, and may "
    "not ask our tables";
static const char moved_to_main[] = "set in main.cf for all services instead";

static bool is_ours(const struct site *site, const struct hook *hook, const char *value)
{
    struct span part;
    return hook_find(hook, site->postfix.queue_dir, value, &part);
}

bool tables_in_main(const struct site *site, const struct hook *hook)
{
    char *value = postfix_get(&site->postfix, hook->parameter, true);
    bool found = is_ours(site, hook, value);
    free(value);
    return found;
}

bool tables_in_services(const struct site *site, const struct hook *hook)
{
    bool found = false;
    for (size_t i = 0; i < site->postfix.service_count && !found; i++) {
        const struct postfix_service *service = &site->postfix.services[i];
        char *own = postfix_is_smtpd(service)
                        ? postfix_get_override(&site->postfix, service, hook->parameter)
                        : NULL;
        found = own != NULL && is_ours(site, hook, own);
        free(own);
    }
    return found;
}

enum exit_code tables_choose(const struct site *site, const char *asked, enum tables_place *place)
{
    const struct hook *command = &site->hooks[1];
    if (asked != NULL && strcmp(asked, "main") != 0 && strcmp(asked, "services") != 0) {
        ctl_complain("--tables wants main or services, not \"%s\"", asked);
        return EXIT_USAGE;
    }
    bool services = asked != NULL
                        ? strcmp(asked, "services") == 0
                        : postfix_serves_users(&site->postfix) ||
                              (tables_in_services(site, command) && !tables_in_main(site, command));
    *place = services ? TABLES_SERVICES : TABLES_MAIN;
    return EXIT_DONE;
}

char *tables_service_value(const struct site *site, const struct hook *hook)
{
    if (hook->kind == HOOK_SINGLE)
        return text_copy(hook->text);
    char *raw = postfix_get(&site->postfix, hook->parameter, false);
    char *maps = hook_take_out(hook, site->postfix.queue_dir, raw);
    char *whole = value_add(maps, hook->text, hook->in_front);
    char *compact = value_compact(whole);
    free(whole);
    free(maps);
    free(raw);
    return compact;
}

/* True if the service has just what an earlier attach has given it. */
static bool is_as_attached(const struct postfix_service *service, const struct hook *hook,
                           const char *own, const json_t *record)
{
    char *name = postfix_service_parameter(service, hook->parameter);
    bool is = strcmp(json_get_text(undo_recall(record, name), "after"), own) == 0;
    free(name);
    return is;
}

static void complain_taken_by_service(const struct site *site,
                                      const struct postfix_service *service,
                                      const struct hook *hook, const char *own)
{
    char *name = postfix_service_parameter(service, hook->parameter);
    char *command = postfix_command(&site->postfix, "-PX", name);
    ctl_complain("master.cf sets %s to \"%s\" for %s/%s already, and Postfix takes only one.\n"
                 "If that filter is not needed any more, remove it with:\n  %s",
                 hook->parameter, own, service->name, service->type, command);
    free(command);
    free(name);
}

void tables_complain_taken(const struct site *site, const struct hook *hook, const char *value)
{
    char *command = postfix_command(&site->postfix, "-X", hook->parameter);
    ctl_complain("%s is set to \"%s\" already, and Postfix takes only one.\n"
                 "bdat-milter cannot work without it. If that filter is not needed any more, "
                 "remove it with:\n  %s",
                 hook->parameter, value, command);
    free(command);
}

static void complain_white_space(const struct site *site, const struct hook *hook,
                                 const char *value)
{
    char *dir = postfix_dir_option(&site->postfix);
    ctl_complain("%s = %s\nholds a table with white space in its braces, which postconf -P "
                 "cannot write for a service. Give it a name of its own, and run attach again:"
                 "\n  postconf%s -e 'my_ehlo_maps = …' '%s = $my_ehlo_maps'",
                 hook->parameter, value, dir, hook->parameter);
    free(dir);
}

/* What main.cf holds that keeps us from setting the table for services. */
static enum exit_code check_main(const struct site *site, const struct hook *hook,
                                 const char *wanted)
{
    enum exit_code code = EXIT_NO;
    char *raw = postfix_get(&site->postfix, hook->parameter, false);
    if (wanted == NULL)
        complain_white_space(site, hook, raw);
    else if (!is_ours(site, hook, raw) && tables_in_main(site, hook))
        ctl_complain("%s has its part of bdat-milter from another parameter (%s), and must not "
                     "have it in main.cf: `sendmail -bs` of ordinary users is answered 421.\nTake "
                     "it out there by hand, and run attach again.",
                     hook->parameter, raw);
    else
        code = EXIT_DONE;
    free(raw);
    return code;
}

/* A filter of all services or of one that is not ours. */
static enum exit_code check_filter(const struct site *site, const struct postfix_service *service,
                                   const struct hook *hook, const char *own)
{
    struct span item;
    if (hook->kind != HOOK_SINGLE)
        return EXIT_DONE;
    enum exit_code code = EXIT_DONE;
    char *raw = postfix_get(&site->postfix, hook->parameter, false);
    if (own != NULL && value_next(own, 0, &item)) {
        complain_taken_by_service(site, service, hook, own);
        code = EXIT_NO;
    } else if (own == NULL && !is_ours(site, hook, raw) && value_next(raw, 0, &item)) {
        tables_complain_taken(site, hook, raw);
        code = EXIT_NO;
    }
    free(raw);
    return code;
}

/* What a service has of its own stays, unless it is what an earlier attach has given it. */
static enum exit_code plan_service_table(struct plan *plan, const struct site *site,
                                         const struct postfix_service *service,
                                         const struct hook *hook, const json_t *record,
                                         const char *wanted)
{
    enum exit_code code = EXIT_DONE;
    char *own = postfix_get_override(&site->postfix, service, hook->parameter);
    bool ours = own != NULL && is_ours(site, hook, own);
    bool outdated = ours && strcmp(own, wanted) != 0 && is_as_attached(service, hook, own, record);
    if (!ours)
        code = check_filter(site, service, hook, own);
    if (code == EXIT_DONE && (own == NULL || outdated))
        plan_service(plan, &site->postfix, service, hook->parameter, text_copy(wanted), hook->why);
    free(own);
    return code;
}

enum exit_code tables_plan_services(struct plan *plan, const struct site *site,
                                    const struct hook *hook, const json_t *record)
{
    char *wanted = tables_service_value(site, hook);
    enum exit_code code = check_main(site, hook, wanted);
    for (size_t i = 0; i < site->postfix.service_count && code == EXIT_DONE; i++)
        if (postfix_is_smtpd(&site->postfix.services[i]))
            code = plan_service_table(plan, site, &site->postfix.services[i], hook, record, wanted);
    if (code == EXIT_DONE)
        plan_take_out_of_main(plan, site, hook, record, moved_to_services);
    free(wanted);
    return code;
}

void tables_plan_services_back(struct plan *plan, const struct site *site, const struct hook *hook,
                               const json_t *record)
{
    for (size_t i = 0; i < site->postfix.service_count; i++) {
        const struct postfix_service *service = &site->postfix.services[i];
        char *name = postfix_service_parameter(service, hook->parameter);
        if (undo_recall(record, name) != NULL)
            plan_take_out_of_service(plan, site, service, hook, record, moved_to_main);
        free(name);
    }
}
