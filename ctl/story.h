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

#include "ctl/outlook.h"

/* A JSON array of {"heading", "text"}; the caller decrefs. */

/* The story of a transfer. `client` is the client's object or NULL. */
json_t *story_of_transfer(const json_t *transfer, const json_t *client,
                          const struct outlook_rules *rules);

/* The story of a client: its object (NULL if the daemon has none), its transfers and incidents
 * (arrays, newest first, or NULL). NULL if nothing at all is known. */
json_t *story_of_client(const char *address, const json_t *client, const json_t *transfers,
                        const json_t *incidents, const struct outlook_rules *rules);

/* Writes a story, wrapped to `columns`. */
void story_print(const json_t *story, FILE *out, size_t columns, bool colour);

#endif
