/* The report for people. */
#include "config.h"

#include "probe/report.h"

#include <string.h>

#define COLUMNS 78
#define NAME_COLUMNS 18

void report_wrap(FILE *stream, const char *lead, unsigned indent, const char *text)
{
    unsigned column = (unsigned)fprintf(stream, "%s", lead);
    for (; column < indent; column++)
        fputc(' ', stream);
    bool line_start = true;
    while (*text) {
        unsigned word = (unsigned)strcspn(text, " ");
        if (!line_start && column + 1 + word > COLUMNS) {
            fprintf(stream, "\n%*s", (int)indent, "");
            column = indent;
            line_start = true;
        }
        column += (unsigned)fprintf(stream, "%s%.*s", line_start ? "" : " ", (int)word, text);
        line_start = false;
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', stream);
}

void report_paragraph(FILE *stream, const char *text)
{
    char line[600];
    while (*text) {
        size_t length = strcspn(text, "\n");
        bool item = strncmp(text, "- ", 2) == 0;
        snprintf(line, sizeof(line), "%.*s", (int)length - (item ? 2 : 0), text + (item ? 2 : 0));
        report_wrap(stream, item ? "- " : "", item ? 2 : 0, line);
        text += length;
        text += *text == '\n';
    }
}

static const char *offered(bool yes)
{
    return yes ? "offered" : "not offered";
}

static void keyword_line(FILE *stream, const char *label, bool plain, bool current, bool tls)
{
    char text[120];
    if (!tls || plain == current)
        snprintf(text, sizeof(text), "%s%s", offered(current),
                 tls ? ", before and after STARTTLS" : "");
    else
        snprintf(text, sizeof(text), "%s before STARTTLS, %s after", offered(plain),
                 offered(current));
    report_wrap(stream, label, 15, text);
}

static const char *encryption(const struct report *report)
{
    if (report->survey->tls[0])
        return report->survey->tls;
    return report->survey->plain.starttls ? "none (STARTTLS is offered)" : "none";
}

static void recipient_line(FILE *stream, const struct report *report)
{
    char text[700];
    const struct survey *survey = report->survey;
    if (!survey->recipient_found)
        snprintf(text, sizeof(text), "none accepted: %s", survey->recipient_reply);
    else
        snprintf(text, sizeof(text), "<%s>, %s", survey->recipient,
                 report->options->deliver ? "to whom the test messages are delivered"
                                          : "to whom nothing is delivered");
    report_wrap(stream, "  recipient", 15, text);
}

const char *report_time(const struct survey *survey, char *buffer, size_t size)
{
    struct tm utc;
    gmtime_r(&survey->started, &utc);
    if (strftime(buffer, size, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        buffer[0] = '\0';
    return buffer;
}

void report_text_survey(FILE *stream, const struct report *report)
{
    const struct survey *survey = report->survey;
    char text[160];
    bool starttls = survey->tls[0] && report->options->tls != TLS_IMPLICIT;
    fprintf(stream, "bdat-probe %s: %s at %s%s%s\n", PACKAGE_VERSION, survey->endpoint.host,
            survey->endpoint.text, *report->route ? ", " : "", report->route);
    report_time(survey, text, sizeof(text));
    if (survey->client[0])
        snprintf(text + strlen(text), sizeof(text) - strlen(text), ", from %s", survey->client);
    report_wrap(stream, "  time", 15, text);
    if (survey->opening != OPENING_DONE) {
        fputc('\n', stream);
        return;
    }
    report_wrap(stream, "  greeting", 15, survey->greeting);
    report_wrap(stream, "  encryption", 15, encryption(report));
    if (survey->tls_note[0])
        report_wrap(stream, "", 15, survey->tls_note);
    keyword_line(stream, "  CHUNKING", survey->plain.chunking, survey->current.chunking, starttls);
    keyword_line(stream, "  BINARYMIME", survey->plain.binarymime, survey->current.binarymime,
                 starttls);
    if (survey->plain.masked || survey->current.masked)
        report_wrap(stream, "  note", 15,
                    "something in the path blots out EHLO keywords (lines of XXXX)");
    recipient_line(stream, report);
    fputc('\n', stream);
}

static void print_dialog(FILE *stream, const struct dialog *dialog)
{
    for (unsigned i = 0; i < dialog->count; i++) {
        const struct dialog_line *line = &dialog->lines[i];
        if (i == DIALOG_HEAD && dialog->omitted > 0)
            fprintf(stream, "        ... %u lines left out\n", dialog->omitted);
        fprintf(stream, "        %s: %s", dialog_side_letter(line->side), line->text);
        if (line->side != DIALOG_CLIENT && line->elapsed_ms > 0)
            fprintf(stream, "  (%.3f s)", line->elapsed_ms / 1000.0);
        fputc('\n', stream);
    }
}

void report_text_case(FILE *stream, const struct options *options, const struct case_result *result)
{
    char lead[64], text[800];
    snprintf(lead, sizeof(lead), "%s  %-*s ", status_name(result->status), NAME_COLUMNS,
             result->definition->name);
    if (result->status == STATUS_SKIP)
        snprintf(text, sizeof(text), "%s", result->meaning);
    else
        snprintf(text, sizeof(text), "%s (%.2fs)", result->meaning, result->elapsed_ms / 1000.0);
    report_wrap(stream, lead, 6 + NAME_COLUMNS + 1, text);
    if (result->status == STATUS_FAIL || options->verbose)
        print_dialog(stream, &result->dialog);
    fflush(stream);
}

void report_text_same(FILE *stream, unsigned *same)
{
    if (*same > 0)
        fprintf(stream, "%*sand %u more for the same reason\n", 6 + NAME_COLUMNS + 1, "", *same);
    *same = 0;
}

void report_text_conclusion(FILE *stream, const struct report *report)
{
    const struct conclusion *conclusion = report->conclusion;
    if (report->survey->opening != OPENING_DONE) {
        print_dialog(stream, &report->survey->dialog);
    } else if (report->options->verbose) {
        fputs("\nThe first session, in which all this was found out:\n", stream);
        print_dialog(stream, &report->survey->dialog);
    }
    fputc('\n', stream);
    report_wrap(stream, "Conclusion: ", 12, conclusion->summary);
    report_wrap(stream, "", 0, conclusion->explanation);
    for (const char *const *advice = conclusion->advice; *advice; advice++) {
        fputc('\n', stream);
        report_paragraph(stream, *advice);
    }
}

void report_list(FILE *stream)
{
    for (size_t i = 0; i < probe_case_count; i++) {
        const struct probe_case *row = &probe_cases[i];
        char text[400];
        fprintf(stream, "%-*s %s\n", NAME_COLUMNS, row->name, row->title);
        snprintf(text, sizeof(text), "shows: %s", row->proves);
        report_wrap(stream, "", NAME_COLUMNS + 1, text);
        if (*row->delivers) {
            snprintf(text, sizeof(text), "with --deliver: %s", row->delivers);
            report_wrap(stream, "", NAME_COLUMNS + 1, text);
        }
    }
}
