/*
 * Mail that comes by no SMTP session (sendmail(1), and what Postfix writes itself): cleanup(8)
 * hands it to the filters of non_smtpd_milters, which many set to $smtpd_milters. There is nothing
 * in it for bdat-milter.
 */
#ifndef BDAT_CTL_LOCAL_MAIL_H
#define BDAT_CTL_LOCAL_MAIL_H

#include "ctl/site.h"

/* "postconf -e 'non_smtpd_milters = …' && postfix reload" that leaves the other filters there; NULL
 * if ours is not among them, nor will be once it is in smtpd_milters. The caller frees. */
char *local_mail_mend(const struct site *site);

#endif
