/*
 * The first session: is there an SMTP server, what does it offer, which recipient does it take?
 */
#ifndef BDAT_PROBE_SURVEY_H
#define BDAT_PROBE_SURVEY_H

#include "probe/case.h"

/* Makes the survey of one endpoint. `domain` is what the user named; its postmaster is the
 * first recipient that is tried when neither --deliver nor --to names one. Where STARTTLS
 * fails and plain text is allowed, options->tls becomes TLS_NEVER and a second session is
 * opened, as a sender would. */
void survey_make(struct survey *survey, struct options *options, const struct endpoint *endpoint,
                 const char *domain);

#endif
