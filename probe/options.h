/*
 * What the command line asks for.
 */
#ifndef BDAT_PROBE_OPTIONS_H
#define BDAT_PROBE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "probe/target.h"

#define OPTIONS_MAX_ONLY 64
#define OPTIONS_MAX_ADDRESS 254 /* RFC 5321, section 4.5.3.1.3 */

enum exit_status {
    EXIT_PASSED = 0,  /* no case failed */
    EXIT_FAILED = 1,  /* a case failed, or could not be run though it should have been */
    EXIT_USAGE = 2,   /* the command line is wrong */
    EXIT_NO_SMTP = 3, /* no SMTP session could be opened */
};

enum tls_mode {
    TLS_AUTO,     /* STARTTLS where offered, as mail servers do; implicit on port 465 */
    TLS_NEVER,    /* plain text */
    TLS_STARTTLS, /* STARTTLS or nothing */
    TLS_IMPLICIT, /* TLS from the first octet */
};

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_TAP };

enum options_result {
    OPTIONS_RUN,   /* go on */
    OPTIONS_DONE,  /* --help or --version have been answered: end with 0 */
    OPTIONS_LIST,  /* --list: print the cases and end with 0 */
    OPTIONS_WRONG, /* a usage error, told on standard error: end with 2 */
};

struct options {
    struct target target;
    enum tls_mode tls;
    enum format format;
    int timeout_ms;      /* for one reply */
    int pause_ms;        /* between sessions */
    const char *from;    /* "" is the null sender */
    const char *to;      /* recipient that is named but gets nothing; NULL: found out */
    const char *deliver; /* recipient who gets the test messages; NULL: nobody does */
    const char *helo;    /* NULL: found out */
    char *user;          /* NULL: no AUTH */
    char *password;
    bool no_mx;
    bool verbose;
    const char *only[OPTIONS_MAX_ONLY]; /* names of cases; each is checked by the caller */
    size_t only_count;
    char *only_text; /* owned: what only[] points into */
};

/* Reads the command line into *options (set to the defaults first). */
enum options_result options_parse(struct options *options, int argc, char *argv[]);

/* Wipes the credentials and frees what options_parse() took. */
void options_free(struct options *options);

/* Reads "USER:PASSWORD" (split at the first colon, one line end at the end dropped) into
 * fresh strings. False if the colon or one of the two is missing. */
bool options_parse_credentials(const char *text, char **user, char **password);

/* Reads a time: a number of seconds, which may have a fraction, or with the suffix ms, s or
 * m. False unless it lies between `least_ms` and one hour. */
bool options_parse_time(const char *text, int least_ms, int *milliseconds);

/* True for something that can stand between < and > on a MAIL or RCPT line: printable ASCII
 * without spaces and angle brackets, no longer than OPTIONS_MAX_ADDRESS. */
bool options_is_address(const char *text);

#endif
