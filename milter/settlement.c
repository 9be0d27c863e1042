#include "milter/settlement.h"

#include "milter/client_news.h"
#include "milter/clock.h"

void settlement_note_change(const struct sessions_options *options,
                            const struct suppression_change *change)
{
    if (change->events != 0)
        client_news_log(options->log, change);
    if (change->save && options->save_client != NULL)
        options->save_client(options->context, change);
}

static void keep_incident(const struct sessions_options *options, const struct record *record)
{
    if (!verdict_is_clean(record->verdict) && options->save_incident != NULL)
        options->save_incident(options->context, record);
}

void settlement_add(const struct sessions_options *options, struct record *record)
{
    int64_t now_ms = clock_monotonic_ms();
    record->time_wall_ms = clock_wall_ms();
    record->elapsed_ms = now_ms - record->transfer.started_ms;
    record->since_chunk_ms = now_ms - record->transfer.last_chunk_ms;
    recorder_add(options->recorder, record);
    keep_incident(options, record);
}

static bool is_adaptive(const struct settings *settings, const struct address *client)
{
    return settings->mode == MODE_ENFORCE &&
           settings_match_rules(settings, client).chunking == CHUNKING_ADAPTIVE;
}

static void settle_client(const struct sessions_options *options, const struct settings *settings,
                          const struct transfer *transfer, enum verdict verdict)
{
    struct suppression_change change = {0};
    if (!transfer->has_client)
        return;
    suppression_record_bdat(options->suppression, &transfer->client, verdict, transfer->evidence,
                            is_adaptive(settings, &transfer->client), clock_wall_ms() / 1000,
                            &change);
    settlement_note_change(options, &change);
}

static void settle_data(const struct sessions_options *options,
                        const struct conversation_result *result)
{
    struct suppression_change change = {0};
    recorder_count_data(options->recorder);
    if (!result->ended.has_client)
        return;
    suppression_record_data(options->suppression, &result->ended.client, result->data_succeeded,
                            clock_wall_ms() / 1000, &change);
    settlement_note_change(options, &change);
}

/* A transfer that the milter never judged. */
static void record_ending(const struct sessions_options *options, const struct settings *settings,
                          const struct conversation_result *result, bool counted)
{
    struct record record = {.transfer = result->ended, .verdict = result->judgement.verdict};
    record.observed = settings->mode == MODE_OBSERVE;
    record.counted = counted;
    if (counted && result->ended.has_received) {
        record.answered = true;
        record.action = ACTION_ACCEPT;
    } else if (record.verdict == VERDICT_REFUSED && !record.observed) {
        record.answered = true;
        record.action = ACTION_REJECT;
    }
    settlement_add(options, &record);
}

static void record_overrun(const struct sessions_options *options, const struct transfer *transfer)
{
    const struct record *record = recorder_add_overrun(options->recorder, transfer);
    if (record != NULL)
        keep_incident(options, record);
}

void settlement_take(const struct sessions_options *options, const struct settings *settings,
                     const struct conversation_result *result, bool counted)
{
    if (!result->has_ended && !result->data_over)
        return;
    if (result->ended.queue_id[0] != '\0')
        joins_close(options->joins, result->ended.queue_id);
    if (result->data_ended)
        settle_data(options, result);
    if (!result->has_ended)
        return;
    enum verdict verdict = result->judgement.verdict;
    if (!result->was_judged)
        record_ending(options, settings, result, counted);
    else if (verdict == VERDICT_OVERRUN)
        record_overrun(options, &result->ended);
    settle_client(options, settings, &result->ended, verdict);
}
