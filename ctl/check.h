/*
 * The parts of bdatctl check. Each adds its findings to the report.
 */
#ifndef BDAT_CTL_CHECK_H
#define BDAT_CTL_CHECK_H

#include "ctl/report.h"
#include "ctl/site.h"

/* main.cf, master.cf and the version of Postfix. */
void check_postfix(struct report *report, const struct site *site);

/* The sockets as Postfix's user sees them, from inside the chroot where there is one. */
void check_sockets(struct report *report, const struct site *site);

/* Opens an SMTP session that delivers nothing and looks for it at every hook. `server` is
 * HOST:PORT or NULL for the one of master.cf; `sender` and `recipient` may be NULL. */
void check_live(struct report *report, const struct site *site, const char *server,
                const char *sender, const char *recipient);

/* Sendmail: its sendmail.cf names our milter. */
void check_sendmail(struct report *report, const struct settings *settings, const char *config_dir);

#endif
