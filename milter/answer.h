/*
 * What the milter answers to a judged transfer, and the words of it.
 */
#ifndef BDAT_ANSWER_H
#define BDAT_ANSWER_H

#include <stdbool.h>

#include <libmilter/mfapi.h>

#include "milter/log.h"
#include "milter/recorder.h"
#include "milter/settings.h"

/* Chooses the action for record->verdict, by rules, `actions` and mode, and writes the reply that
 * goes with a refusal into record->reply: "CODE STATUS text". */
void answer_choose(const struct settings *settings, struct record *record);

/* Turns a refusal for now into acceptance with a header: the sender has nothing else to send. */
void answer_let_in(struct record *record);

/* Has libmilter give that answer, to be returned by the callback. SMFIS_ACCEPT for all that is no
 * refusal; tag and hold are for the end of a message only. `header_spaces`: the negotiation agreed
 * that header values bring the space behind the colon along (SMFIP_HDR_LEADSPC). */
sfsistat answer_give(SMFICTX *ctx, const struct record *record, bool header_spaces,
                     struct log *log);

#endif
