/*
 * A story: paragraphs under headings, built from what the daemon knows of a transfer or client.
 *
 * Building is apart from asking and printing, so that a test can read the text.
 */
#ifndef BDAT_CTL_STORY_H
#define BDAT_CTL_STORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* A JSON array of {"heading", "text"}; the caller decrefs. */

/* The story of a transfer. `client` is the client's object or NULL; `mode` the daemon's mode or
 * "". */
json_t *story_of_transfer(const json_t *transfer, const json_t *client, const char *mode);

/* The story of a client: its object (NULL if the daemon has none), its transfers and incidents
 * (arrays, newest first, or NULL). NULL if nothing at all is known. */
json_t *story_of_client(const char *address, const json_t *client, const json_t *transfers,
                        const json_t *incidents, const char *mode);

/* Writes a story, wrapped to `columns`. */
void story_print(const json_t *story, FILE *out, size_t columns, bool colour);

#endif
