/*
 * Client text as a field of a log line, as in "client=mx.example[192.0.2.1] helo=<mx.example>".
 *
 * Pure. The text is printable already (transfer.h); here it is kept from ending its field and
 * beginning another: '<', '>' and blanks become '?'.
 */
#ifndef BDAT_LOG_FIELD_H
#define BDAT_LOG_FIELD_H

#include <stddef.h>

#include "milter/network.h"
#include "milter/transfer.h"

/* Room for a client's name and address, with its NUL. */
#define LOG_CLIENT_SIZE (TRANSFER_NAME_SIZE + NETWORK_TEXT_SIZE + 2)

/* Copies `text`; what does not fit `size` (1 or more) is cut. Returns `field`. */
char *log_field_text(const char *text, char *field, size_t size);

/* Writes "name[address]" as Postfix does; "unknown" stands for a name "" and an address NULL.
 * Returns `field`. */
char *log_field_client(const char *name, const struct address *address,
                       char field[LOG_CLIENT_SIZE]);

#endif
