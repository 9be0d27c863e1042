#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/access.h"
#include "ctl/check.h"
#include "ctl/text.h"

/* What an attempt to reach a socket has shown. */
struct attempt {
    const char *name, *path;
    const struct access_user *user;
    const char *view; /* " from inside the chroot" or "" */
    int reason;       /* 0, or the errno */
    bool ours;        /* it was we who tried, not the user */
};

/* Nothing stands in the user's way, and yet it failed. */
static void report_unanswered(struct report *report, const struct attempt *attempt)
{
    char *what =
        text_format("socket %s: %s does not answer user %s%s: %s", attempt->name, attempt->path,
                    attempt->user->name, attempt->view, strerror(attempt->reason));
    report_add(report, LEVEL_FAIL, what,
               text_copy(attempt->reason == EACCES
                             ? "the mode bits let it in: look for an ACL (getfacl), "
                               "SELinux or AppArmor"
                             : "systemctl restart bdat-milter"));
}

/* Only root can try it as the user, and we may not even try it as ourselves. */
static void report_untried(struct report *report, const struct attempt *attempt)
{
    report_add(report, LEVEL_NOTE,
               text_format("socket %s: %s may not be opened by you, so whether it answers user "
                           "%s%s was not tried",
                           attempt->name, attempt->path, attempt->user->name, attempt->view),
               text_copy("run this check as root, by sudo"));
}

/* One socket, tried as smtpd would, and explained component by component if that fails. */
static void try_socket(struct report *report, const struct site *site, struct attempt *attempt,
                       const char *relative)
{
    const char *queue_dir = site->postfix.queue_dir;
    bool chrooted = postfix_has_chroot(&site->postfix);
    struct access_obstacle obstacle;
    attempt->reason = access_try(attempt->user, chrooted ? queue_dir : "/", queue_dir, relative);
    bool passes =
        access_walk(attempt->user, relative[0] == '/' ? "" : queue_dir, attempt->path, &obstacle);
    attempt->ours = attempt->reason < 0;
    if (attempt->ours && passes)
        attempt->reason = site_connect(attempt->path);
    if (attempt->ours && (passes ? attempt->reason == EACCES : obstacle.hidden))
        report_untried(report, attempt);
    else if (!passes && attempt->reason != 0)
        report_add(report, LEVEL_FAIL, text_format("socket %s: %s", attempt->name, obstacle.what),
                   text_copy(obstacle.mend));
    else if (attempt->reason != 0)
        report_unanswered(report, attempt);
    else
        report_add(report, LEVEL_OK,
                   text_format("socket %s: %s answers user %s%s", attempt->name, attempt->path,
                               attempt->user->name, attempt->view),
                   NULL);
    free(obstacle.what);
    free(obstacle.mend);
}

static void check_socket(struct report *report, const struct site *site,
                         const struct access_user *user, const char *name, const char *path)
{
    const char *queue_dir = site->postfix.queue_dir;
    bool chrooted = postfix_has_chroot(&site->postfix);
    char *relative = hook_socket_path(path, queue_dir);
    struct attempt attempt = {.name = name,
                              .path = path,
                              .user = user,
                              .view = chrooted ? " from inside the chroot" : ""};
    if (chrooted && relative[0] == '/')
        report_add(
            report, LEVEL_FAIL,
            text_format("socket %s: smtpd is chrooted to %s and cannot see %s", name, queue_dir,
                        path),
            text_format("move the sockets below %s/bdat-milter in %s", queue_dir, site->conf_file));
    else
        try_socket(report, site, &attempt, relative);
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
