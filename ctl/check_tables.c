#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/check.h"
#include "ctl/tables.h"
#include "ctl/text.h"

/* The command that sets the tables right. */
static char *attach_command(const struct report *report, const struct site *site)
{
    return site_command(site, report->ctl, "attach");
}

/* A map in front of ours that answers for every client would leave ours unasked. `where` is the
 * file, and the service if it is one's own. */
static void check_maps_in_front(struct report *report, const struct site *site,
                                const struct hook *hook, const char *where, const char *value)
{
    struct span part, item;
    if (!hook_find(hook, site->postfix.queue_dir, value, &part))
        return;
    for (size_t at = 0; value_next(value, at, &item) && item.begin < part.begin; at = item.end) {
        if (strncmp(value + item.begin, "static:", 7) != 0)
            continue;
        char *attach = attach_command(report, site);
        report_add(
            report, LEVEL_FAIL,
            text_format("%s: %.*s in %s answers for every client, so bdat-milter is "
                        "never asked",
                        where, (int)(item.end - item.begin), value + item.begin, hook->parameter),
            text_format("move its words to " SITE_KEYWORDS ", remove it, and run %s", attach));
        free(attach);
    }
}

/* A service's own list of maps keeps from it what main.cf has got since. */
static void check_maps_of_main(struct report *report, const struct site *site,
                               const struct hook *hook, const char *where, const char *own)
{
    struct span item, part;
    char *maps = postfix_get(&site->postfix, hook->parameter, false);
    for (size_t at = 0; value_next(maps, at, &item); at = item.end) {
        char *name = text_format("%.*s", (int)(item.end - item.begin), maps + item.begin);
        bool known = hook_find(hook, site->postfix.queue_dir, name, &part);
        for (size_t i = 0; !known && value_next(own, i, &part); i = part.end)
            known = strlen(name) == part.end - part.begin &&
                    strncmp(own + part.begin, name, part.end - part.begin) == 0;
        if (!known)
            report_add(
                report, LEVEL_WARN,
                text_format("%s: its own %s lacks %s of main.cf", where, hook->parameter, name),
                attach_command(report, site));
        free(name);
    }
    free(maps);
}

/* One service where the table is set for each. True if it is right. */
static bool check_service(struct report *report, const struct site *site,
                          const struct postfix_service *service, const struct hook *hook)
{
    struct span part;
    unsigned before = report->failed + report->warned;
    char *where = text_format("master.cf: service %s/%s", service->name, service->type);
    char *own = postfix_get_override(&site->postfix, service, hook->parameter);
    bool ours = own != NULL && hook_find(hook, site->postfix.queue_dir, own, &part);
    if (own == NULL) {
        report_add(report, LEVEL_WARN,
                   text_format("%s has no %s, so its mail is not watched", where, hook->parameter),
                   attach_command(report, site));
    } else if (ours && hook->kind == HOOK_MAP) {
        check_maps_in_front(report, site, hook, where, own);
        check_maps_of_main(report, site, hook, where, own);
    }
    free(own);
    free(where);
    return ours && report->failed + report->warned == before;
}

static void check_services(struct report *report, const struct site *site, const struct hook *hook)
{
    size_t right = 0;
    for (size_t i = 0; i < site->postfix.service_count; i++)
        if (postfix_is_smtpd(&site->postfix.services[i]))
            right += check_service(report, site, &site->postfix.services[i], hook);
    if (right == 0)
        return;
    char *count = text_count((int64_t)right, "service");
    report_add(report, LEVEL_OK, text_format("master.cf: %s, %s", hook->parameter, count), NULL);
    free(count);
}

static void check_in_main(struct report *report, const struct site *site, const struct hook *hook,
                          bool for_users)
{
    if (!check_main_cf(report, site, hook))
        return;
    if (for_users)
        report_add(report, LEVEL_WARN,
                   text_format("main.cf: %s is set for all of Postfix, so `sendmail -bs` of "
                               "ordinary users is answered 421",
                               hook->parameter),
                   attach_command(report, site));
    else
        report_add(report, LEVEL_OK, text_format("main.cf: %s", hook->parameter), NULL);
    if (hook->kind == HOOK_MAP) {
        char *value = postfix_get(&site->postfix, hook->parameter, true);
        check_maps_in_front(report, site, hook, "main.cf", value);
        free(value);
    }
}

void check_table(struct report *report, const struct site *site, const struct hook *hook,
                 bool for_users)
{
    if (!tables_in_main(site, hook) && tables_in_services(site, hook))
        check_services(report, site, hook);
    else
        check_in_main(report, site, hook, for_users);
}
