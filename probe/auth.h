/*
 * AUTH PLAIN and AUTH LOGIN (RFC 4954). Credentials never reach the dialog.
 */
#ifndef BDAT_PROBE_AUTH_H
#define BDAT_PROBE_AUTH_H

#include "probe/session.h"

/* Authenticates the open session with the options' credentials. Without TLS that is refused
 * unless plain text was asked for by --tls never. `why` gets a sentence unless OPENING_DONE. */
enum opening auth_login(struct session *session, char *why, size_t why_size);

#endif
