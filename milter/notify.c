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

void notify_status(const struct sessions *sessions, const struct recorder *recorder,
                   const struct suppression *suppression)
{
    char text[256];
    const struct record_counts *counts = recorder_counts(recorder);
    struct session_counts seen = sessions_counts(sessions);
    uint64_t judged = 0, faulty = 0;
    for (int i = 0; i < VERDICT_COUNT; i++) {
        judged += counts->verdicts[i];
        if (verdict_strikes((enum verdict)i) > 0)
            faulty += counts->verdicts[i];
    }
    snprintf(text, sizeof(text),
             "STATUS=%zu sessions now; %" PRIu64 " BDAT transfers judged, %" PRIu64
             " faulty, %" PRIu64 " unverified; %zu clients without CHUNKING",
             seen.active, judged, faulty, counts->verdicts[VERDICT_UNVERIFIED],
             suppression_counts(suppression).states[CLIENT_SUPPRESSED]);
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
