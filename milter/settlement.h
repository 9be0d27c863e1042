/*
 * What becomes of a message that is over: its join is closed, a record is made of it, listed and
 * logged, its client's strikes are counted, an incident is kept.
 *
 * A part of sessions; owned by the event loop's thread.
 */
#ifndef BDAT_SETTLEMENT_H
#define BDAT_SETTLEMENT_H

#include <stdbool.h>

#include "milter/conversation.h"
#include "milter/recorder.h"
#include "milter/sessions.h"
#include "milter/settings.h"
#include "milter/suppression.h"

/* Settles what a command or an end has brought to its end; `settings` are those of its session.
 * `counted`: it is unverified, and was counted when the milter let it through. */
void settlement_take(const struct sessions_options *options, const struct settings *settings,
                     const struct conversation_result *result, bool counted);

/* Adds a record that somebody else has judged; its times are filled in. */
void settlement_add(const struct sessions_options *options, struct record *record);

/* Logs and stores a change of a client's state. */
void settlement_note_change(const struct sessions_options *options,
                            const struct suppression_change *change);

#endif
