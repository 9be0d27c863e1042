/*
 * What libmilter's threads tell the loop: letters with their inputs copied, which the inbox brings
 * to sessions.h. Where memory is short the loop learns nothing, which is logged, and mail goes on.
 */
#ifndef BDAT_LETTERS_H
#define BDAT_LETTERS_H

#include "milter/filter.h"
#include "milter/inbox.h"
#include "milter/joins.h"
#include "milter/recorder.h"
#include "milter/sessions.h"

/* The milter judged a message. Made before its answer is given, for without a letter there is none:
 * whoever makes it fills key and record, and posts it or frees it by free(3). */
struct judged_letter {
    struct letter letter;
    struct sessions *sessions;
    struct join_key key;
    struct record record; /* but for its times */
};
struct judged_letter *letters_make_judged(const struct filter_options *to);
void letters_post_judged(const struct filter_options *to, struct judged_letter *judged);

/* A message that nobody else told of; `queue_id` may be "". */
void letters_post_unjoined(const struct filter_options *to, const char *queue_id);

/* Postfix took the message back, or closed the connection, just now. */
void letters_post_abort(const struct filter_options *to, const struct join_key *key);
void letters_post_end(const struct filter_options *to, const struct join_key *key);

/* Sendmail's sessions: one has begun, one that used BDAT like that is over, a DATA message went
 * through, something is to be recorded. */
void letters_post_begin_other(const struct filter_options *to);
void letters_post_end_other(const struct filter_options *to, enum session_mode mode);
void letters_post_data(const struct filter_options *to);
void letters_post_record(const struct filter_options *to, const struct record *record);

#endif
