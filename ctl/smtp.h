/*
 * The least SMTP client that the live test of bdatctl check needs.
 */
#ifndef BDAT_CTL_SMTP_H
#define BDAT_CTL_SMTP_H

#include <stdbool.h>
#include <stddef.h>

struct smtp {
    int fd;
    char buffer[4096]; /* received and not yet read */
    size_t length;
    int timeout_ms;
    char reply[2048]; /* the latest reply: all its lines, LF between them */
    int code;         /* its code; 0 = none came */
};

/* Connects to HOST and PORT and reads the greeting. 0, or -1 with the reason in `reply`. */
int smtp_connect(struct smtp *smtp, const char *host, const char *port, int timeout_ms)
    __attribute__((warn_unused_result));

/* Sends a command and reads its reply; returns the reply code, 0 when none came. */
int smtp_command(struct smtp *smtp, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sends octets as they are and reads a reply. */
int smtp_send(struct smtp *smtp, const char *octets, size_t length);

/* True if the latest reply, one to EHLO, offers that keyword. */
bool smtp_offers(const struct smtp *smtp, const char *keyword);

/* The latest reply's first line, without line ends; at most 200 octets. Static storage. */
const char *smtp_first_line(const struct smtp *smtp);

void smtp_close(struct smtp *smtp);

#endif
