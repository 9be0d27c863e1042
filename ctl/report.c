#include "config.h"

#include "ctl/report.h"

#include <stdlib.h>

#include "ctl/style.h"
#include "ctl/text.h"

static const struct {
    const char *word;
    enum tone tone;
} levels[] = {
    [LEVEL_OK] = {"ok", TONE_GOOD},
    [LEVEL_NOTE] = {"note", TONE_PLAIN},
    [LEVEL_WARN] = {"warn", TONE_WARN},
    [LEVEL_FAIL] = {"FAIL", TONE_BAD},
};

void report_begin(struct report *report, const struct ctl *ctl)
{
    *report = (struct report){.ctl = ctl, .findings = json_array()};
}

static void print_finding(const struct ctl *ctl, enum level level, const char *what,
                          const char *mend)
{
    enum tone tone = levels[level].tone;
    fputs(style_begin(ctl->colour, tone), stdout);
    text_pad(stdout, levels[level].word, 6, false);
    printf("%s%s\n", style_end(ctl->colour, tone), what);
    if (mend != NULL)
        printf("      -> %s\n", mend);
    fflush(stdout);
}

void report_say(struct report *report, enum level level, const char *what, const char *mend)
{
    char *safe_what = text_safe(what, false);
    char *safe_mend = mend == NULL ? NULL : text_safe(mend, true);
    report->failed += level == LEVEL_FAIL;
    report->warned += level == LEVEL_WARN;
    json_array_append_new(report->findings, json_pack("{ssssss*}", "level", levels[level].word,
                                                      "finding", safe_what, "mend", safe_mend));
    if (!report->ctl->json)
        print_finding(report->ctl, level, safe_what, safe_mend);
    free(safe_mend);
    free(safe_what);
}

void report_add(struct report *report, enum level level, char *what, char *mend)
{
    report_say(report, level, what, mend);
    free(mend);
    free(what);
}

enum exit_code report_end(struct report *report)
{
    if (report->ctl->json) {
        json_t *all = json_pack("{sbsO}", "ok", report->failed == 0, "findings", report->findings);
        daemon_print_json(all);
        json_decref(all);
    } else if (report->failed > 0) {
        printf("\n%u of these must be mended.\n", report->failed);
    } else {
        puts(report->warned > 0 ? "\nIt works; see the warnings." : "\nAll is well.");
    }
    json_decref(report->findings);
    return report->failed > 0 ? EXIT_NO : EXIT_DONE;
}
