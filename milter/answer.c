#include "config.h"

#include "milter/answer.h"

#include <stdio.h>

#include "milter/limits.h"
#include "milter/reply.h"

/* libmilter takes it without const. */
static char tag_header[] = "X-BDAT-Transfer";

/* smfi_setreply() takes % for itself. */
static void double_percents(const char *text, char *target, size_t size)
{
    size_t at = 0;
    for (; *text != '\0' && at + 2 < size; text++) {
        if (*text == '%')
            target[at++] = '%';
        target[at++] = *text;
    }
    target[at] = '\0';
}

/* Writes "CODE STATUS text" for a refusal by this record's action. */
static void write_reply(const struct settings *settings, struct record *record)
{
    const struct transfer *transfer = &record->transfer;
    struct reply reply;
    char error[128], text[REPLY_TEXT_SIZE];
    unsigned broken = transfer->evidence & EVIDENCE_OF_LIMITS;
    if (broken != 0 && record->verdict == VERDICT_REFUSED && record->action == ACTION_REJECT) {
        limits_explain(&settings->limits, transfer, broken, record->reply,
                       sizeof(record->reply));
        return;
    }
    if (reply_parse(settings->replies[record->verdict], &reply, error, sizeof(error)) != 0)
        reply = (struct reply){.text = "BDAT transfer does not add up"};
    reply_complete(&reply, record->verdict, record->action);
    const struct reply_facts facts = {
        .declared = (int64_t)transfer->declared,
        .received = transfer->has_received ? (int64_t)transfer->received : -1,
        .size = transfer->has_size ? (int64_t)transfer->size : -1,
        .queue_id = transfer->queue_id,
        .verdict = record->verdict,
    };
    reply_expand(reply.text, &facts, text);
    snprintf(record->reply, sizeof(record->reply), "%s %s %s", reply.code, reply.status, text);
}

void answer_choose(const struct settings *settings, struct record *record)
{
    record->observed = settings->mode == MODE_OBSERVE;
    record->answered = true;
    record->action = record->transfer.has_client
                         ? settings_action(settings, &record->transfer.client, record->verdict)
                         : settings->actions[record->verdict];
    if (record->observed)
        record->action = ACTION_ACCEPT;
    if (record->action >= ACTION_TEMPFAIL)
        write_reply(settings, record);
}

void answer_let_in(struct record *record)
{
    record->action = ACTION_TAG;
    record->reply[0] = '\0';
    record->transfer.evidence |= EVIDENCE_INSISTED;
}

/* Has libmilter give the reply; the codes stand at fixed places of it. */
static sfsistat refuse(SMFICTX *ctx, const struct record *record, struct log *log)
{
    char code[4], status[12], text[2 * RECORD_REPLY_SIZE];
    int used = 0;
    sfsistat result = record->action == ACTION_REJECT ? SMFIS_REJECT : SMFIS_TEMPFAIL;
    if (sscanf(record->reply, "%3s %11s %n", code, status, &used) != 2)
        return result;
    double_percents(record->reply + used, text, sizeof(text));
    if (smfi_setreply(ctx, code, status, text) != MI_SUCCESS)
        log_write(log, LOG_LEVEL_ERROR, "libmilter does not take the reply \"%s\"", record->reply);
    return result;
}

sfsistat answer_give(SMFICTX *ctx, const struct record *record, bool header_spaces,
                     struct log *log)
{
    char words[128];
    if (record->observed)
        return SMFIS_ACCEPT;
    switch (record->action) {
    case ACTION_TEMPFAIL:
    case ACTION_REJECT:
        return refuse(ctx, record, log);
    case ACTION_TAG:
        snprintf(words, sizeof(words), "%s%s; declared=%llu; received=%llu",
                 header_spaces ? " " : "", verdict_name(record->verdict), (unsigned long long)record->transfer.declared,
                 (unsigned long long)record->transfer.received);
        if (smfi_addheader(ctx, tag_header, words) != MI_SUCCESS)
            log_write(log, LOG_LEVEL_ERROR, "%s: cannot add a header", record->transfer.queue_id);
        return SMFIS_ACCEPT;
    case ACTION_HOLD:
        snprintf(words, sizeof(words), "bdat-milter: %s", verdict_name(record->verdict));
        if (smfi_quarantine(ctx, words) != MI_SUCCESS)
            log_write(log, LOG_LEVEL_ERROR, "%s: cannot hold the message",
                      record->transfer.queue_id);
        return SMFIS_ACCEPT;
    default:
        return SMFIS_ACCEPT;
    }
}
