/*
 * Whom to probe: the HOST[:PORT] of the command line, and the addresses it leads to.
 *
 * A domain without a port leads to its mail exchangers (RFC 5321, section 5.1), in their
 * order of preference; anything else to the host itself.
 */
#ifndef BDAT_PROBE_TARGET_H
#define BDAT_PROBE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define TARGET_MAX_HOST 256
#define TARGET_MAX_EXCHANGERS 16
#define TARGET_MAX_ADDRESSES 16

struct target {
    char host[TARGET_MAX_HOST]; /* without brackets */
    char port[6];               /* "" as long as none was given */
    bool literal;               /* the host is an IP address */
};

struct exchanger {
    unsigned preference;
    char host[TARGET_MAX_HOST]; /* "." (from a null MX, RFC 7505) or a host name */
};

/* One address to connect to. */
struct endpoint {
    char host[TARGET_MAX_HOST]; /* the name it came from */
    char text[64];              /* the address and port as text: "192.0.2.1:25", "[::1]:25" */
    struct sockaddr_storage address;
    socklen_t length;
};

enum mx_result {
    MX_FOUND,
    MX_NONE,    /* no MX records: the host itself takes the mail */
    MX_NULL,    /* the domain says that it takes no mail (RFC 7505) */
    MX_MISSING, /* there is no such domain */
    MX_FAILED,  /* no answer from the name servers */
};

/* Parses HOST, HOST:PORT, [ADDRESS], [ADDRESS]:PORT or a bare IPv6 address. Returns NULL, or
 * what is wrong with it (static storage). */
const char *target_parse(struct target *target, const char *text);

/* Reads the MX records out of a DNS answer of `length` octets, sorted by preference; no more
 * than `max` are kept. Returns their number, or -1 if the answer is no DNS answer. Pure. */
int mx_parse_answer(const unsigned char *answer, size_t length, struct exchanger *exchangers,
                    size_t max);

/* Asks the resolver for the mail exchangers of a domain. */
enum mx_result mx_lookup(const char *domain, struct exchanger *exchangers, size_t max,
                         size_t *count);

/* Resolves host and port (a number) to at most `max` endpoints. Returns their number, or 0
 * with the reason in `error`. */
size_t endpoint_resolve(const char *host, const char *port, struct endpoint *endpoints, size_t max,
                        char *error, size_t error_size);

#endif
