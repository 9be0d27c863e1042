#include "config.h"

#include "milter/notify.h"

#include <inttypes.h>
#include <stdio.h>

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "milter/clock.h"
#include "milter/recorder.h"
#include "milter/sessions.h"
#include "milter/suppression.h"

static void notify(const char *text)
{
#ifdef HAVE_LIBSYSTEMD
    sd_notify(0, text);
#else
    (void)text;
#endif
}

void notify_ready(void)
{
    notify("READY=1");
}

void notify_reloading(void)
{
    char text[64];
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
             clock_monotonic_ms() * 1000);
    notify(text);
}

void notify_stopping(void)
{
    notify("STOPPING=1");
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

void notify_status(const struct sessions *sessions, const struct recorder *recorder,
                   const struct suppression *suppression, const char *trouble)
{
    char text[768];
    const struct record_counts *counts = recorder_counts(recorder);
    size_t active = sessions_counts(sessions).active;
    size_t suppressed = suppression_counts(suppression).states[CLIENT_SUPPRESSED];
    uint64_t judged = 0, faulty = 0;
    for (int i = 0; i < VERDICT_COUNT; i++) {
        judged += counts->verdicts[i];
        if (verdict_strikes((enum verdict)i) > 0)
            faulty += counts->verdicts[i];
    }
    snprintf(text, sizeof(text),
             "STATUS=%zu session%s now; %" PRIu64 " BDAT transfer%s judged, %" PRIu64
             " faulty, %" PRIu64 " unverified; %zu client%s without CHUNKING%s%.300s",
             active, plural(active), judged, plural(judged), faulty,
             counts->verdicts[VERDICT_UNVERIFIED], suppressed, plural(suppressed),
             trouble != NULL ? "; " : "", trouble != NULL ? trouble : "");
    notify(text);
}

int64_t notify_watchdog_ms(void)
{
#ifdef HAVE_LIBSYSTEMD
    uint64_t interval_us = 0;
    if (sd_watchdog_enabled(0, &interval_us) > 0)
        return (int64_t)(interval_us / 1000);
#endif
    return 0;
}

void notify_alive(void)
{
    notify("WATCHDOG=1");
}
