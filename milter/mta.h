/*
 * Which mail server is at the other end of a milter connection.
 *
 * Postfix and Sendmail offer the very same in the milter negotiation (measured: Postfix 3.7.11 and
 * Sendmail 8.17.1.9 both say version 6, actions 0x1ff, steps 0x1fffff), and no macro comes before
 * it. The first thing to tell them apart is the macro v, sent with the connect event: "Postfix
 * 3.7.11" (milter_macro_v of postconf(5)) or "8.17.1.9". So the first connection asks for
 * everything and shows who is there; what it showed decides for those of the next minutes, which
 * then ask only for what they need. Any thread may call. Pure.
 */
#ifndef BDAT_MTA_H
#define BDAT_MTA_H

#include <stdatomic.h>
#include <stdint.h>

enum mta { MTA_AUTO, MTA_POSTFIX, MTA_SENDMAIL, MTA_COUNT };

/* The word for it, in the configuration and in JSON. Static storage. */
const char *mta_name(enum mta mta);

/* How long the servers of later connections are taken to be of the kind last seen. */
#define MTA_MEMORY_MS (10 * 60 * 1000)

/* What the macro v says. Anything but a version of Sendmail's ("8." and a digit), NULL among it,
 * is MTA_POSTFIX: there the milter asks for less and never answers a command. */
enum mta mta_recognize(const char *version);

/* What connections have shown. All zero = nothing yet. */
struct mta_memory {
    atomic_int mta;
    atomic_int_least64_t until_ms;
};

/* Which server is to be expected at the monotonic time now_ms; MTA_AUTO = look at it. */
enum mta mta_expect(struct mta_memory *memory, int64_t now_ms);

/* What was seen last, however long ago; MTA_AUTO = nothing yet. */
enum mta mta_last(struct mta_memory *memory);

/* Notes what a connection has shown. */
void mta_learn(struct mta_memory *memory, enum mta mta, int64_t now_ms);

#endif
