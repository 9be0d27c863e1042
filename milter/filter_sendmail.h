/*
 * The milter's side for Sendmail.
 *
 * Sendmail has no tables and no policy service: all that is known comes from its milter events,
 * of which everything is asked for. A BDAT, unknown to Sendmail, is answered by the action on
 * not_offered: tempfail is a 421, which ends the session before the octets behind the BDAT are run
 * as commands (MILTER_REPLY() in sendmail/srvrsmtp.c); after reject, and after accept, which leaves
 * Sendmail's own 500, they are run. A DATA message that exceeds its SIZE is answered by the action
 * on size_exceeded; other DATA messages are counted.
 *
 * The functions run on libmilter's threads and post letters to the loop. Those that may answer
 * return what the callback is to return.
 */
#ifndef BDAT_FILTER_SENDMAIL_H
#define BDAT_FILTER_SENDMAIL_H

#include <stdbool.h>

#include <libmilter/mfapi.h>

#include "milter/filter.h"
#include "milter/settings.h"

struct sockaddr;

/* What the sessions of one filter share. */
struct filter_sendmail;

/* `options` are copied. NULL when memory is short. */
struct filter_sendmail *filter_sendmail_new(const struct filter_options *options);

/* Sessions that begin from now on work by these settings; takes a reference. Any thread. */
void filter_sendmail_configure(struct filter_sendmail *shared, const struct settings *settings);

/* One SMTP session. */
struct sendmail_client;

/* The connect event: `address` NULL = not by IP. `header_spaces`: SMFIP_HDR_LEADSPC was agreed on.
 * NULL when memory is short: the session then goes unobserved. */
struct sendmail_client *filter_sendmail_connect(struct filter_sendmail *shared, const char *name,
                                                const struct sockaddr *address,
                                                bool header_spaces);

/* Its events. The macro i names the message at MAIL. */
void filter_sendmail_helo(struct sendmail_client *client, const char *name);
sfsistat filter_sendmail_mail(struct sendmail_client *client, SMFICTX *ctx, char **arguments);
void filter_sendmail_rcpt(struct sendmail_client *client);
void filter_sendmail_data(struct sendmail_client *client);
sfsistat filter_sendmail_unknown(struct sendmail_client *client, SMFICTX *ctx, const char *line);
void filter_sendmail_header(struct sendmail_client *client, const char *name, const char *value);
void filter_sendmail_end_of_header(struct sendmail_client *client);
void filter_sendmail_body(struct sendmail_client *client, size_t length);
sfsistat filter_sendmail_end_of_message(struct sendmail_client *client, SMFICTX *ctx);
void filter_sendmail_abort(struct sendmail_client *client);

/* The session is over: frees and nulls the pointer; NULL is fine. Without `tell` the loop is not
 * told any more. */
void filter_sendmail_close(struct sendmail_client **client, bool tell);

#endif
