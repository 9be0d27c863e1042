#include "milter/client_news.h"

#include "milter/clock.h"

void client_news_log(struct log *log, const struct suppression_change *change)
{
    const struct client_record *record = &change->record;
    char client[NETWORK_TEXT_SIZE], until[CLOCK_TEXT_SIZE] = "";
    network_format(&record->client, client);
    if (record->until > 0)
        clock_format(record->until * 1000, until);
    if (change->events & SUPPRESSION_SUPPRESSED)
        log_write(log, LOG_LEVEL_WARNING,
                  "client %s: CHUNKING is not offered to it until %s (last verdict %s); its next "
                  "messages will come by DATA",
                  client, until, verdict_name(record->last_verdict));
    else if (change->events & SUPPRESSION_STRUCK)
        log_write(log, LOG_LEVEL_INFO, "client %s: %u strike%s (last verdict %s)", client,
                  record->strikes, record->strikes == 1 ? "" : "s",
                  verdict_name(record->last_verdict));
    if (change->events & SUPPRESSION_PROBATION)
        log_write(log, LOG_LEVEL_INFO, "client %s: CHUNKING is offered again, on probation",
                  client);
    if (change->events & (SUPPRESSION_RELEASED | SUPPRESSION_PATH_SOUND))
        log_write(log, LOG_LEVEL_INFO, "client %s: CHUNKING is offered again", client);
    if (change->events & (SUPPRESSION_NEEDS_CHUNKING | SUPPRESSION_SPARED))
        log_write(log, change->events & SUPPRESSION_SPARED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
                  "client %s: sends bare LFs, which only BDAT can carry; it keeps CHUNKING%s",
                  client,
                  change->events & SUPPRESSION_SPARED ? " although its transfers fail" : "");
    if (change->events & SUPPRESSION_PATH_TROUBLE)
        log_write(log, LOG_LEVEL_WARNING,
                  "client %s: fails with DATA as well: not BDAT but the path (MTU, firewall) is "
                  "at fault; CHUNKING is offered again",
                  client);
    if (change->events & SUPPRESSION_DATA_WORKS)
        log_write(log, LOG_LEVEL_INFO, "client %s: its mail arrives by DATA now", client);
}
