/*
 * The parts of bdatctl check. Each adds its findings to the report.
 */
#ifndef BDAT_CTL_CHECK_H
#define BDAT_CTL_CHECK_H

#include "ctl/report.h"
#include "ctl/site.h"

/* main.cf, master.cf and the version of Postfix. */
void check_postfix(struct report *report, const struct site *site);

/* One of the two tables, in main.cf or in each service of master.cf. `for_users`: ordinary users
 * can run sendmail(1) with this configuration. */
void check_table(struct report *report, const struct site *site, const struct hook *hook,
                 bool for_users);

/* One hook as main.cf has it: true if that names ours, in the right place and form, of which
 * nothing is said; otherwise the finding is added. */
bool check_main_cf(struct report *report, const struct site *site, const struct hook *hook);

/* The sockets as Postfix's user sees them, from inside the chroot where there is one. */
void check_sockets(struct report *report, const struct site *site);

/* Opens an SMTP session that delivers nothing and looks for it at every hook. `server` is
 * HOST:PORT or NULL for the one of master.cf; `sender` and `recipient` may be NULL. */
void check_live(struct report *report, const struct site *site, const char *server,
                const char *sender, const char *recipient);

/* Sendmail: its sendmail.cf names our milter. */
void check_sendmail(struct report *report, const struct settings *settings, const char *config_dir);

#endif
