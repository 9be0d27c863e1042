/*
 * The outlook of a client: whether CHUNKING is offered to it from now on, and why.
 *
 * Apart from asking, so that a test can read the text.
 */
#ifndef BDAT_CTL_OUTLOOK_H
#define BDAT_CTL_OUTLOOK_H

#include <jansson.h>
#include <stdbool.h>

/* What of the daemon's configuration bears on it. */
struct outlook_rules {
    bool observes;                                     /* mode = "observe" */
    bool spares_all;                                   /* suppression.enabled = false */
    const char *threshold, *proven_threshold, *window; /* as in the file, without quotes; NULL = not
                                                          known */
};

/* Takes the rules out of the answer to GET /v1/config, whose texts they go on using; NULL gives
 * rules of which nothing is known. Quotes are taken off in place. */
struct outlook_rules outlook_rules(json_t *config);

/* True for a client whose mail fails with DATA as well as with BDAT. */
bool outlook_blames_path(const json_t *client);

/* The text; the caller frees. `network` is how the client is called, `client` the daemon's object
 * of it or NULL, `verdict` that of the transfer at hand or "". */
char *outlook_text(const char *network, const json_t *client, const char *verdict,
                   const struct outlook_rules *rules);

#endif
