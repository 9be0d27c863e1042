/* The report for test harnesses: TAP version 13. */
#include "probe/report.h"

#include <string.h>

#include "probe/options.h"

/* TAP gives '#' and '\' a meaning in descriptions. */
static void print_description(FILE *stream, const char *text)
{
    for (; *text; text++) {
        if (*text == '#' || *text == '\\')
            fputc('\\', stream);
        fputc(*text, stream);
    }
}

/* Each line of a text as a comment. */
static void print_comment(FILE *stream, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        fprintf(stream, "# %.*s\n", (int)length, text);
        text += length;
        text += *text == '\n';
    }
}

static void print_dialog(FILE *stream, const struct dialog *dialog)
{
    for (unsigned i = 0; i < dialog->count; i++)
        fprintf(stream, "#   %s: %s\n", dialog_side_letter(dialog->lines[i].side),
                dialog->lines[i].text);
}

static void print_case(FILE *stream, size_t number, const struct case_result *result)
{
    fprintf(stream, "%sok %zu - ", result->status == STATUS_FAIL ? "not " : "", number);
    print_description(stream, result->definition->name);
    fputs(": ", stream);
    print_description(stream, result->definition->title);
    if (result->status == STATUS_SKIP)
        fprintf(stream, " # SKIP %s", result->meaning);
    fputc('\n', stream);
    if (result->status == STATUS_SKIP)
        return;
    if (result->status == STATUS_WARN)
        fputs("# WARN\n", stream);
    fprintf(stream, "# %s (%.2f s)\n", result->meaning, result->elapsed_ms / 1000.0);
    if (result->status != STATUS_PASS)
        print_dialog(stream, &result->dialog);
}

void report_tap(FILE *stream, const struct report *report)
{
    const struct conclusion *conclusion = report->conclusion;
    fputs("TAP version 13\n", stream);
    if (conclusion->exit_status == EXIT_NO_SMTP) {
        fprintf(stream, "Bail out!  %s\n", conclusion->explanation);
        print_dialog(stream, &report->survey->dialog);
    } else {
        fprintf(stream, "1..%zu\n", report->count);
    }
    for (size_t i = 0; i < report->count; i++)
        print_case(stream, i + 1, &report->results[i]);
    fprintf(stream, "# Conclusion: %s\n# %s\n", conclusion->summary, conclusion->explanation);
    for (const char *const *advice = conclusion->advice; *advice; advice++)
        print_comment(stream, *advice);
}
