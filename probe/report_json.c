/* The report for programs. */
#include "config.h"

#include "probe/report.h"

#include <jansson.h>
#include <string.h>

/* All texts are printable ASCII by the time they come here. */
static json_t *dialog_json(const struct dialog *dialog)
{
    json_t *lines = json_array();
    for (unsigned i = 0; i < dialog->count; i++) {
        const struct dialog_line *line = &dialog->lines[i];
        json_array_append_new(lines,
                              json_pack("{s:s, s:s, s:i}", "from", dialog_side_name(line->side),
                                        "text", line->text, "elapsed_ms", (int)line->elapsed_ms));
    }
    return lines;
}

static json_t *case_json(const struct case_result *result)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:o}", "name",
                     result->definition->name, "title", result->definition->title, "status",
                     status_name(result->status), "finding", finding_name(result->finding),
                     "meaning", result->meaning, "elapsed_ms", (json_int_t)result->elapsed_ms,
                     "slowest_reply_ms", (json_int_t)result->slowest_ms, "dialog_omitted",
                     (int)result->dialog.omitted, "dialog", dialog_json(&result->dialog));
}

static json_t *lines_json(const char *text)
{
    json_t *lines = json_array();
    while (*text) {
        size_t length = strcspn(text, "\n");
        json_array_append_new(lines, json_stringn(text, length));
        text += length;
        text += *text == '\n';
    }
    return lines;
}

static json_t *offered_json(const struct capabilities *offered)
{
    return json_pack(
        "{s:b, s:b, s:b, s:b, s:b, s:I}", "chunking", offered->chunking, "binarymime",
        offered->binarymime, "pipelining", offered->pipelining, "8bitmime", offered->eightbitmime,
        "starttls", offered->starttls, "size_limit",
        (json_int_t)(offered->size_limit > INT64_MAX ? INT64_MAX : offered->size_limit));
}

static json_t *server_json(const struct report *report)
{
    const struct survey *survey = report->survey;
    char started[40];
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:b, s:s*, s:s, s:o}",
                     "time", report_time(survey, started, sizeof(started)), "client",
                     survey->client, "host", survey->endpoint.host, "address",
                     survey->endpoint.text, "route", report->route, "greeting", survey->greeting,
                     "tls", survey->tls, "tls_note", survey->tls_note, "ehlo",
                     lines_json(survey->ehlo), "offered_before_tls", offered_json(&survey->plain),
                     "offered", offered_json(&survey->current), "keywords_masked",
                     survey->plain.masked || survey->current.masked, "recipient",
                     survey->recipient_found ? survey->recipient : NULL, "recipient_reply",
                     survey->recipient_reply, "dialog", dialog_json(&survey->dialog));
}

static json_t *conclusion_json(const struct conclusion *conclusion)
{
    json_t *advice = json_array();
    for (const char *const *text = conclusion->advice; *text; text++)
        json_array_append_new(advice, json_string(*text));
    return json_pack("{s:s, s:s, s:s, s:o}", "kind", conclusion_name(conclusion->kind), "summary",
                     conclusion->summary, "explanation", conclusion->explanation, "advice", advice);
}

int report_json(FILE *stream, const struct report *report)
{
    json_t *cases = json_array();
    for (size_t i = 0; i < report->count; i++)
        json_array_append_new(cases, case_json(&report->results[i]));
    json_t *root =
        json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:i}", "program", "bdat-probe", "version",
                  PACKAGE_VERSION, "delivered", report->options->deliver != NULL, "server",
                  server_json(report), "cases", cases, "conclusion",
                  conclusion_json(report->conclusion), "exit", report->conclusion->exit_status);
    int result = root ? json_dumpf(root, stream, JSON_INDENT(2) | JSON_ENSURE_ASCII) : -1;
    if (result == 0)
        fputc('\n', stream);
    json_decref(root);
    return result;
}
