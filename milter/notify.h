/*
 * Word to the service manager (sd_notify(3)); does nothing where there is none.
 */
#ifndef BDAT_NOTIFY_H
#define BDAT_NOTIFY_H

#include <stdint.h>

struct recorder;
struct sessions;
struct suppression;

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

/* One line worth reading in `systemctl status`; `trouble` is what to act on, NULL = nothing. */
void notify_status(const struct sessions *sessions, const struct recorder *recorder,
                   const struct suppression *suppression, const char *trouble);

/* The watchdog's interval in milliseconds, 0 = none is wanted; and the word that feeds it. */
int64_t notify_watchdog_ms(void);
void notify_alive(void);

#endif
