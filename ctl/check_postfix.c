#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/access.h"
#include "ctl/check.h"
#include "ctl/keywords.h"
#include "ctl/text.h"

#define ATTACH "bdatctl attach"

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
        char *dir = postfix_dir_option(&site->postfix);
        report_add(report, LEVEL_FAIL, text_format("main.cf: %s does not name bdat-milter", name),
                   text_format(ATTACH "%s", dir));
        free(dir);
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

static void check_overrides(struct report *report, const struct site *site,
                            const struct postfix_service *service)
{
    struct span part;
    for (size_t i = 0; i < HOOK_COUNT; i++) {
        const struct hook *hook = &site->hooks[i];
        char *value = postfix_get_override(&site->postfix, service, hook->parameter);
        if (value != NULL && !hook_find(hook, site->postfix.queue_dir, value, &part)) {
            char *name = postfix_service_parameter(service, hook->parameter);
            char *whole = hook_service_value(hook, value);
            report_add(report, LEVEL_WARN,
                       text_format("master.cf: service %s/%s has its own %s = %s, so its mail is "
                                   "not watched",
                                   service->name, service->type, hook->parameter,
                                   *value ? value : "(empty)"),
                       command(&site->postfix, "-P", name, whole));
            free(whole);
            free(name);
        }
        free(value);
    }
}

static void check_keywords(struct report *report, const struct site *site)
{
    char *global = postfix_get(&site->postfix, "smtpd_discard_ehlo_keywords", true);
    char *joined = keywords_join(site->settings->suppression.keywords, global);
    if (joined != NULL)
        report_add(report, LEVEL_FAIL,
                   text_format("keywords: main.cf discards \"%s\" for all clients, but a client "
                               "that loses CHUNKING would be offered some of that again",
                               global),
                   text_format("suppression = { keywords = \"%s\"; }; in %s, then bdatctl reload",
                               joined, site->conf_file));
    else
        report_say(report, LEVEL_OK, "keywords: suppression.keywords holds what main.cf discards",
                   NULL);
    if (keywords_have(global, "chunking"))
        report_say(report, LEVEL_WARN,
                   "keywords: CHUNKING is taken away from all clients (smtpd_discard_ehlo_keywords)"
                   ", so there is no BDAT to watch",
                   "take the word out with postconf -e: bdat-milter takes CHUNKING only from "
                   "clients that cannot do it");
    free(joined);
    free(global);
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
}

/* One socket, tried as smtpd would, and explained component by component if that fails. */
static void check_socket(struct report *report, const struct site *site,
                         const struct access_user *user, const char *name, const char *path)
{
    const char *queue_dir = site->postfix.queue_dir;
    bool chrooted = postfix_has_chroot(&site->postfix);
    char *relative = hook_socket_path(path, queue_dir);
    bool below = relative[0] != '/';
    const char *view = chrooted ? " from inside the chroot" : "";
    struct access_obstacle obstacle;
    if (chrooted && !below) {
        report_add(
            report, LEVEL_FAIL,
            text_format("socket %s: smtpd is chrooted to %s and cannot see %s", name, queue_dir,
                        path),
            text_format("move the sockets below %s/bdat-milter in %s", queue_dir, site->conf_file));
        free(relative);
        return;
    }
    int reason = access_try(user, chrooted ? queue_dir : "/", queue_dir, relative);
    bool passes = access_walk(user, below ? queue_dir : "", path, &obstacle);
    if (reason == 0 || (reason < 0 && passes && site_listens(path)))
        report_add(report, LEVEL_OK,
                   text_format("socket %s: %s answers user %s%s", name, path, user->name, view),
                   NULL);
    else if (!passes)
        report_add(report, LEVEL_FAIL, text_format("socket %s: %s", name, obstacle.what),
                   text_copy(obstacle.mend));
    else
        report_add(report, LEVEL_FAIL,
                   text_format("socket %s: %s does not answer user %s%s: %s", name, path,
                               user->name, view, reason > 0 ? strerror(reason) : "no listener"),
                   text_copy(reason == EACCES
                                 ? "the mode bits let it in: look for an ACL (getfacl), "
                                   "SELinux or AppArmor"
                                 : "systemctl restart bdat-milter"));
    free(obstacle.what);
    free(obstacle.mend);
    free(relative);
}

void check_sockets(struct report *report, const struct site *site)
{
    struct access_user user;
    char *owner = postfix_get(&site->postfix, "mail_owner", true);
    if (access_load_user(owner, &user)) {
        check_socket(report, site, &user, "milter", site->settings->milter_socket);
        check_socket(report, site, &user, "tables", site->settings->tables_socket);
        check_socket(report, site, &user, "policy", site->settings->policy_socket);
    } else {
        report_add(report, LEVEL_FAIL,
                   text_format("sockets: there is no user \"%s\" (mail_owner)", owner), NULL);
    }
    free(owner);
}
