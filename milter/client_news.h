/*
 * What a change of a client's state means, as lines of the log.
 */
#ifndef BDAT_CLIENT_NEWS_H
#define BDAT_CLIENT_NEWS_H

#include "milter/log.h"
#include "milter/suppression.h"

/* Writes a line for each of the change's events that an operator wants to know of. */
void client_news_log(struct log *log, const struct suppression_change *change);

#endif
