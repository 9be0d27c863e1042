#include "milter/attachment.h"

#include <stdio.h>
#include <string.h>

#define WARNING_INTERVAL_MS (3600 * 1000)

static const char no_commands[] =
    "no command lookup was seen: set smtpd_command_filter = "
    "socketmap:unix:bdat-milter/tables.sock:command for each smtpd (bdatctl attach)";

static const char no_policy[] =
    "no policy request was seen: put check_policy_service { unix:bdat-milter/policy.sock, "
    "default_action=DUNNO } first in smtpd_data_restrictions and smtpd_end_of_data_restrictions "
    "in main.cf (bdatctl attach)";

static const char no_begin[] =
    "no policy request came at its begin: put check_policy_service { unix:bdat-milter/policy.sock, "
    "default_action=DUNNO } first in smtpd_data_restrictions, in main.cf and wherever master.cf "
    "sets that (bdatctl attach)";

static const char no_end[] =
    "no policy request came at its end: put check_policy_service { unix:bdat-milter/policy.sock, "
    "default_action=DUNNO } first in smtpd_end_of_data_restrictions, in main.cf and wherever "
    "master.cf sets that (bdatctl attach)";

static const char other_namespace[] =
    "the smtpd processes are in another PID namespace: run Postfix and bdat-milter in the same "
    "one (containers: share it) and on Unix sockets";

static const char begun_before[] =
    "its session began before this daemon did, or one of the lines of main.cf is missing for "
    "this service in master.cf (bdatctl check)";

static const char no_milter[] =
    "the milter did not see it: its session began before this daemon did, or smtpd_milters in "
    "main.cf lacks { unix:bdat-milter/milter.sock, default_action=accept } (bdatctl check)";

static const char *explain_unjoined(const struct attachment *attachment)
{
    if (attachment->commands == 0)
        return no_commands;
    if (attachment->policy_requests == 0)
        return no_policy;
    return attachment->strangers > 0 ? other_namespace : begun_before;
}

/* The policy service tells a transfer's begin and its end apart, so it can be named which of its two
 * lines is missing. */
static const char *explain_unverified(const struct attachment *attachment,
                                      const struct transfer *transfer)
{
    if (!transfer->whole || transfer->admitted == transfer->has_received)
        return transfer->has_received ? no_milter : explain_unjoined(attachment);
    return transfer->admitted ? no_end : no_begin;
}

/* What status and check say: it counts messages until newer sessions show that all is well. */
static void keep_hint(struct attachment *attachment, const char *queue_id, const char *why,
                      int64_t now_ms)
{
    const char *id = queue_id[0] != '\0' ? queue_id : "NOQUEUE";
    if (now_ms >= attachment->hint_until_ms)
        attachment->hinted = 0;
    attachment->hint_until_ms = now_ms + WARNING_INTERVAL_MS;
    attachment->hint_needs_verdict = true;
    if (++attachment->hinted == 1)
        snprintf(attachment->hint, sizeof(attachment->hint),
                 "message %s was accepted unverified: %s", id, why);
    else
        snprintf(attachment->hint, sizeof(attachment->hint),
                 "%u messages were accepted unverified, the last of them %s: %s",
                 attachment->hinted, id, why);
}

static void warn(struct attachment *attachment, const char *queue_id, const char *why,
                 int64_t now_ms, struct log *log)
{
    keep_hint(attachment, queue_id, why, now_ms);
    if (now_ms < attachment->next_warning_ms)
        return;
    attachment->next_warning_ms = now_ms + WARNING_INTERVAL_MS;
    log_write(log, LOG_LEVEL_WARNING, "%s: verdict=unverified, accepted: %s (said once an hour)",
              queue_id[0] != '\0' ? queue_id : "NOQUEUE", why);
}

void attachment_take_unjoined(struct attachment *attachment, const char *queue_id, int64_t now_ms,
                              struct log *log)
{
    struct unjoined_message *slot =
        &attachment->unjoined[attachment->unjoined_messages++ % ATTACHMENT_UNJOINED_KEPT];
    slot->open = true;
    snprintf(slot->queue_id, sizeof(slot->queue_id), "%s", queue_id);
    bool needs_verdict = attachment->hinted > 0 && attachment->hint_needs_verdict;
    warn(attachment, queue_id, explain_unjoined(attachment), now_ms, log);
    attachment->hint_needs_verdict = needs_verdict;
}

void attachment_take_joined(struct attachment *attachment)
{
    attachment->policy_joined++;
    if (!attachment->hint_needs_verdict)
        attachment->hinted = 0;
}

void attachment_take_verified(struct attachment *attachment)
{
    attachment->hinted = 0;
}

bool attachment_knows_unjoined(const struct attachment *attachment, const char *queue_id)
{
    for (size_t i = 0; i < ATTACHMENT_UNJOINED_KEPT; i++)
        if (attachment->unjoined[i].open && strcmp(attachment->unjoined[i].queue_id, queue_id) == 0)
            return true;
    return false;
}

bool attachment_claim_unjoined(struct attachment *attachment, const char *queue_id)
{
    for (size_t i = 0; i < ATTACHMENT_UNJOINED_KEPT; i++) {
        struct unjoined_message *message = &attachment->unjoined[i];
        if (message->open && (queue_id[0] == '\0' || strcmp(message->queue_id, queue_id) == 0)) {
            message->open = false;
            return true;
        }
    }
    return false;
}

void attachment_take_unverified(struct attachment *attachment, const struct transfer *transfer,
                                int64_t now_ms, struct log *log)
{
    warn(attachment, transfer->queue_id, explain_unverified(attachment, transfer), now_ms, log);
}

const char *attachment_hint(const struct attachment *attachment, int64_t now_ms)
{
    return attachment->hinted > 0 && now_ms < attachment->hint_until_ms ? attachment->hint : NULL;
}
