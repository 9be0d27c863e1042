/*
 * Where log messages end up: syslog(3), the journal or standard error. Any of them may keep the
 * caller waiting as long as its reader likes.
 */
#ifndef BDAT_LOG_OUTPUT_H
#define BDAT_LOG_OUTPUT_H

#include "milter/log_ring.h"

/* Writes one message to its target; to standard error if the journal does not take it. */
void log_output_write(const char *ident, const struct log_entry *entry);

#endif
