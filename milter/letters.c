#include "milter/letters.h"

#include <stdio.h>
#include <stdlib.h>

#include "milter/clock.h"

/* What fits into a few words. */
struct note_letter {
    struct letter letter;
    void (*take)(const struct note_letter *note);
    struct sessions *sessions;
    struct join_key key;
    int64_t at_ms; /* monotonic */
    enum session_mode mode;
    char queue_id[TRANSFER_QUEUE_ID_SIZE];
};

struct record_letter {
    struct letter letter;
    struct sessions *sessions;
    struct record record;
};

static void complain_of_memory(const struct filter_options *to)
{
    log_write(to->log, LOG_LEVEL_ERROR, "out of memory: a message goes unrecorded");
}

/* ---- of messages ---- */

static void deliver_judged(void *context, struct letter *letter)
{
    struct judged_letter *judged = (struct judged_letter *)letter;
    (void)context;
    sessions_take_judged(judged->sessions, &judged->key, &judged->record);
    free(judged);
}

struct judged_letter *letters_make_judged(const struct filter_options *to)
{
    struct judged_letter *judged = calloc(1, sizeof(*judged));
    if (judged == NULL) {
        complain_of_memory(to);
        return NULL;
    }
    judged->letter.deliver = deliver_judged;
    judged->sessions = to->sessions;
    return judged;
}

void letters_post_judged(const struct filter_options *to, struct judged_letter *judged)
{
    inbox_post(to->inbox, &judged->letter);
}

static void deliver_record(void *context, struct letter *letter)
{
    struct record_letter *posted = (struct record_letter *)letter;
    (void)context;
    sessions_take_record(posted->sessions, &posted->record);
    free(posted);
}

void letters_post_record(const struct filter_options *to, const struct record *record)
{
    struct record_letter *posted = calloc(1, sizeof(*posted));
    if (posted == NULL) {
        complain_of_memory(to);
        return;
    }
    posted->letter.deliver = deliver_record;
    posted->sessions = to->sessions;
    posted->record = *record;
    inbox_post(to->inbox, &posted->letter);
}

/* ---- in a word ---- */

static void deliver_note(void *context, struct letter *letter)
{
    struct note_letter *note = (struct note_letter *)letter;
    (void)context;
    note->take(note);
    free(note);
}

static void take_unjoined(const struct note_letter *note)
{
    sessions_take_unjoined(note->sessions, note->queue_id);
}

static void take_abort(const struct note_letter *note)
{
    sessions_take_abort(note->sessions, note->key.pid, note->key.generation, note->at_ms);
}

static void take_end(const struct note_letter *note)
{
    sessions_end(note->sessions, note->key.pid, note->key.generation, note->at_ms);
}

static void take_begin_other(const struct note_letter *note)
{
    sessions_begin_other(note->sessions);
}

static void take_end_other(const struct note_letter *note)
{
    sessions_end_other(note->sessions, note->mode);
}

static void take_data(const struct note_letter *note)
{
    sessions_take_data(note->sessions);
}

/* Posts a copy. */
static void post(const struct filter_options *to, const struct note_letter *note)
{
    struct note_letter *posted = malloc(sizeof(*posted));
    if (posted == NULL) {
        complain_of_memory(to);
        return;
    }
    *posted = *note;
    posted->letter.deliver = deliver_note;
    posted->sessions = to->sessions;
    posted->at_ms = clock_monotonic_ms();
    inbox_post(to->inbox, &posted->letter);
}

void letters_post_unjoined(const struct filter_options *to, const char *queue_id)
{
    struct note_letter note = {.take = take_unjoined};
    snprintf(note.queue_id, sizeof(note.queue_id), "%s", queue_id);
    post(to, &note);
}

void letters_post_abort(const struct filter_options *to, const struct join_key *key)
{
    post(to, &(struct note_letter){.take = take_abort, .key = *key});
}

void letters_post_end(const struct filter_options *to, const struct join_key *key)
{
    post(to, &(struct note_letter){.take = take_end, .key = *key});
}

void letters_post_begin_other(const struct filter_options *to)
{
    post(to, &(struct note_letter){.take = take_begin_other});
}

void letters_post_end_other(const struct filter_options *to, enum session_mode mode)
{
    post(to, &(struct note_letter){.take = take_end_other, .mode = mode});
}

void letters_post_data(const struct filter_options *to)
{
    post(to, &(struct note_letter){.take = take_data});
}
