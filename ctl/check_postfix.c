#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/check.h"
#include "ctl/file.h"
#include "ctl/keywords.h"
#include "ctl/local_mail.h"
#include "ctl/override.h"
#include "ctl/text.h"

/* "postconf [-c DIR] FLAG 'NAME=VALUE' && postfix reload", to be freed. */
static char *command(const struct postfix *postfix, const char *flag, const char *name,
                     const char *value)
{
    char *assignment = text_format("%s%s%s", name, *value ? "=" : "", value);
    char *line = postfix_command(postfix, flag, assignment), *dir = postfix_dir_option(postfix);
    char *whole = text_format("%s && postfix%s reload", line, dir);
    free(dir);
    free(line);
    free(assignment);
    return whole;
}

/* The value as it should be where ours is there but in the wrong place or form. */
static char *corrected(const struct hook *hook, const char *value, struct span part)
{
    char *without = value_remove(value, part);
    char *whole = value_add(without, hook->text, hook->in_front);
    free(without);
    return whole;
}

bool check_main_cf(struct report *report, const struct site *site, const struct hook *hook)
{
    struct span part;
    const char *name = hook->parameter;
    bool right = false;
    char *value = postfix_get(&site->postfix, name, true);
    if (!hook_find(hook, site->postfix.queue_dir, value, &part)) {
        report_add(report, LEVEL_FAIL, text_format("main.cf: %s does not name bdat-milter", name),
                   site_command(site, report->ctl, "attach"));
    } else if (!hook_is_safe(hook, value, part)) {
        char *whole = corrected(hook, value, part);
        report_add(report, LEVEL_WARN,
                   text_format("main.cf: %s has no default action, so mail is refused whenever "
                               "the daemon is away",
                               name),
                   command(&site->postfix, "-e", name, whole));
        free(whole);
    } else if (hook->in_front && !hook_is_first(value, part)) {
        char *whole = corrected(hook, value, part);
        report_add(report, hook->kind == HOOK_POLICY ? LEVEL_FAIL : LEVEL_WARN,
                   text_format("main.cf: in %s something stands before bdat-milter; it should be "
                               "%s",
                               name, hook->why),
                   command(&site->postfix, "-e", name, whole));
        free(whole);
    } else {
        right = true;
    }
    free(value);
    return right;
}

static void check_hook(struct report *report, const struct site *site, const struct hook *hook)
{
    if (check_main_cf(report, site, hook))
        report_add(report, LEVEL_OK, text_format("main.cf: %s", hook->parameter), NULL);
}

/* A service that has another value than ours. */
static void report_override(struct report *report, const struct site *site,
                            const struct postfix_service *service, const struct hook *hook,
                            const char *value)
{
    char *mend = override_attach(site, service, hook, value);
    if (mend == NULL) {
        char *remove = override_remove(site, service, hook);
        char *attach = site_command(site, report->ctl, "attach");
        char *dir = postfix_dir_option(&site->postfix);
        mend = text_format("Postfix takes only one; if that filter is not needed any more: %s && "
                           "%s && postfix%s reload",
                           remove, attach, dir);
        free(dir);
        free(attach);
        free(remove);
    }
    report_add(report, LEVEL_WARN,
               text_format("master.cf: service %s/%s has its own %s = %s, so its mail is not "
                           "watched",
                           service->name, service->type, hook->parameter,
                           *value ? value : "(empty)"),
               mend);
}

static void check_overrides(struct report *report, const struct site *site,
                            const struct postfix_service *service)
{
    for (size_t i = 0; i < HOOK_COUNT; i++) {
        char *value = override_without_ours(site, service, &site->hooks[i]);
        if (value != NULL)
            report_override(report, site, service, &site->hooks[i], value);
        free(value);
    }
}

/* Words that `where` discards for all its clients, and that `all` of Postfix discards together. */
static unsigned check_discarded(struct report *report, const struct site *site, const char *where,
                                const char *discarded, const char *all)
{
    const char *ours = site->settings->suppression.keywords;
    char *lacks = keywords_join(ours, discarded);
    if (lacks != NULL) {
        char *joined = keywords_join(ours, all), *reload = command_line_of(report->ctl, "reload");
        size_t length;
        char *text = site->conf_exists ? file_read(site->conf_file, &length) : NULL;
        char *advice = keywords_advise(text, joined);
        report_add(report, LEVEL_FAIL,
                   text_format("keywords: %s discards \"%s\" for all clients, but a client "
                               "that loses CHUNKING would be offered some of that again",
                               where, discarded),
                   text_format("in %s %s Then %s", site->conf_file, advice, reload));
        free(advice);
        free(text);
        free(reload);
        free(joined);
    }
    free(lacks);
    return lacks != NULL;
}

/* The words that one service discards in place of those of main.cf. */
static unsigned check_service_keywords(struct report *report, const struct site *site,
                                       const struct postfix_service *service, const char *all)
{
    unsigned found = 0;
    char *own = postfix_expand_override(&site->postfix, service, SITE_KEYWORDS);
    if (own != NULL) {
        char *where = text_format("master.cf: service %s/%s", service->name, service->type);
        found = check_discarded(report, site, where, own, all);
        if (keywords_have(own, "chunking"))
            report_add(report, LEVEL_NOTE,
                       text_format("keywords: %s takes CHUNKING away from all its clients "
                                   "(" SITE_KEYWORDS "), so there is no BDAT to watch",
                                   where),
                       NULL);
        free(where);
    }
    free(own);
    return found;
}

static void check_keywords(struct report *report, const struct site *site)
{
    const struct postfix *postfix = &site->postfix;
    char *global = postfix_get(postfix, SITE_KEYWORDS, true);
    char *all = site_discarded_keywords(site);
    unsigned found = check_discarded(report, site, "main.cf", global, all);
    for (size_t i = 0; i < postfix->service_count; i++)
        if (postfix_is_smtpd(&postfix->services[i]))
            found += check_service_keywords(report, site, &postfix->services[i], all);
    if (found == 0)
        report_say(report, LEVEL_OK, "keywords: suppression.keywords holds what Postfix discards",
                   NULL);
    if (keywords_have(global, "chunking"))
        report_say(report, LEVEL_WARN,
                   "keywords: CHUNKING is taken away from all clients (" SITE_KEYWORDS "), so "
                   "there is no BDAT to watch",
                   "take the word out with postconf -e: bdat-milter takes CHUNKING only from "
                   "clients that cannot do it");
    free(all);
    free(global);
}

/* Local mail has nothing for us. */
static void check_local_mail(struct report *report, const struct site *site)
{
    char *mend = local_mail_mend(site);
    if (mend != NULL)
        report_add(report, LEVEL_NOTE,
                   text_copy("main.cf: non_smtpd_milters hands bdat-milter the mail of local "
                             "programs too, in which there is nothing for it to see"),
                   mend);
}

static void check_postscreen(struct report *report, const struct site *site)
{
    struct span part;
    char *value = postfix_get(&site->postfix, "postscreen_discard_ehlo_keyword_address_maps", true);
    if (postfix_uses_postscreen(&site->postfix) &&
        hook_find(&site->hooks[2], site->postfix.queue_dir, value, &part))
        report_add(
            report, LEVEL_WARN,
            text_copy("postscreen: it asks bdat-milter too, gains nothing from it (it takes "
                      "no mail), and ends whenever the daemon does not answer"),
            command(&site->postfix, "-e", "postscreen_discard_ehlo_keyword_address_maps=", ""));
    free(value);
}

static void check_version(struct report *report, const struct postfix *postfix)
{
    if (postfix_is_at_least(postfix, 3, 4))
        report_add(report, LEVEL_OK,
                   text_format("postfix: version %s, configuration in %s", postfix->version,
                               postfix->config_dir),
                   NULL);
    else
        report_add(report, LEVEL_FAIL,
                   text_format("postfix: version %s knows no CHUNKING; that came with 3.4",
                               postfix->version),
                   text_copy("upgrade Postfix"));
}

void check_postfix(struct report *report, const struct site *site)
{
    const struct postfix *postfix = &site->postfix;
    size_t listeners = 0;
    check_version(report, postfix);
    bool for_users = postfix_serves_users(postfix);
    for (size_t i = 0; i < HOOK_COUNT; i++) {
        if (hook_is_table(&site->hooks[i]))
            check_table(report, site, &site->hooks[i], for_users);
        else
            check_hook(report, site, &site->hooks[i]);
    }
    for (size_t i = 0; i < postfix->service_count; i++) {
        if (!postfix_is_smtpd(&postfix->services[i]))
            continue;
        listeners++;
        check_overrides(report, site, &postfix->services[i]);
    }
    if (listeners == 0)
        report_say(report, LEVEL_FAIL, "master.cf: no smtpd service takes mail",
                   "enable the service \"smtp inet … smtpd\" in master.cf");
    check_keywords(report, site);
    check_postscreen(report, site);
    check_local_mail(report, site);
}
