/* From a conclusion to a paragraph. */
#include "probe/explanation.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static void say(struct conclusion *conclusion,
                                                      const char *format, ...)
{
    size_t length = strlen(conclusion->explanation);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(conclusion->explanation + length, sizeof(conclusion->explanation) - length, format,
              arguments);
    va_end(arguments);
}

static const char *verb_of(const struct case_result *cause)
{
    switch (cause->finding) {
    case FINDING_STALLED:
        return "stalls";
    case FINDING_DROPPED:
        return "breaks off";
    case FINDING_REFUSED:
        return "is refused";
    default:
        return "fails";
    }
}

/* The finding that matters: what DATA does where BDAT fails. */
static void compare_with_data(struct conclusion *conclusion, const struct view *view,
                              const struct case_result *cause)
{
    const char *same = cause->definition->same_by_data;
    const struct case_result *data = same ? view_find(view, same) : view->data;
    const char *limit = view->delivered ? "" : " (as far as can be seen without delivering it)";
    if (result_failed(data))
        say(conclusion, " %s fails as well: %s", same ? "By DATA it" : "A short message by DATA",
            data->meaning);
    else if (!result_passed(data))
        say(conclusion, " DATA could not be tried to compare.");
    else if (same)
        say(conclusion, " The same message works by DATA and %s by BDAT%s.", verb_of(cause), limit);
    else
        say(conclusion, " A short message works by DATA%s%s.",
            result_passed(view_find(view, "one-chunk")) ? " and in one chunk" : "", limit);
}

/* The finding that matters where DATA fails. */
static void compare_with_bdat(struct conclusion *conclusion, const struct view *view,
                              const struct case_result *cause)
{
    const struct case_result *bdat = view_same_by_bdat(view, cause->definition->name);
    if (result_passed(bdat))
        say(conclusion, " The same message works by BDAT%s.",
            view->delivered ? "" : " (as far as can be seen without delivering it)");
    else if (!view->survey->current.chunking)
        say(conclusion, " BDAT cannot be tried to compare: CHUNKING is not offered.");
    else
        say(conclusion, " BDAT was not tried with the same message.");
}

static void explain_no_session(struct conclusion *conclusion, const struct view *view)
{
    if (view->survey->opening != OPENING_UNREACHABLE)
        say(conclusion, "%s: ", view->survey->endpoint.text);
    say(conclusion, "%s.", view->survey->why);
}

static void explain_not_offered(struct conclusion *conclusion, const struct view *view)
{
    const struct survey *survey = view->survey;
    say(conclusion, "Senders use DATA here, so BDAT cannot be what goes wrong.");
    if (survey->current.binarymime)
        say(conclusion, " But BINARYMIME is offered, which RFC 3030 forbids without CHUNKING "
                        "(section 3): a sender that believes it has no way to send. The receiving "
                        "side should stop offering it, or offer both.");
    if (survey->plain.chunking && survey->tls[0])
        say(conclusion, " It is offered before STARTTLS but not after, which is odd: senders "
                        "without TLS do use BDAT. Probe that with --tls never.");
    if (survey->plain.masked || survey->current.masked)
        say(conclusion, " A box in the path blots out EHLO keywords (lines of XXXX), so the "
                        "server may offer more than is seen from here.");
}

/* "3 cases passed, 1 has a warning ..., none failed" */
static void tell_passed(struct conclusion *conclusion, const struct view *view)
{
    say(conclusion, "%u case%s passed", view->passed, view->passed == 1 ? "" : "s");
    if (view->warned > 0)
        say(conclusion, ", %u %s a warning that is worth a look but stops no sound sender",
            view->warned, view->warned == 1 ? "has" : "have");
    say(conclusion, ", none failed");
}

static void explain_works(struct conclusion *conclusion, const struct view *view)
{
    tell_passed(conclusion, view);
    say(conclusion, ".");
}

/* What is not known since cases were left out, and why they were. */
static void tell_left_out(struct conclusion *conclusion, const struct view *view)
{
    const char *separator = "";
    if (view->left_out == 0)
        return;
    say(conclusion, "%s%u %s not run, or not to the end: ", *conclusion->explanation ? " " : "",
        view->left_out, view->left_out == 1 ? "case was" : "cases were");
    for (size_t i = 0; i < view->count; i++)
        if (result_left_out(&view->results[i])) {
            say(conclusion, "%s%s", separator, view->results[i].definition->name);
            separator = ", ";
        }
    say(conclusion, ". It began with %s: %s", view->first_left_out->definition->name,
        view->first_left_out->meaning);
}

static void explain_incomplete(struct conclusion *conclusion, const struct view *view)
{
    if (view->no_envelope > 0)
        say(conclusion, "The server accepted no %s (%s), so %s could be run.",
            view->survey->sender_refused ? "sender" : "recipient", view->survey->recipient_reply,
            view->passed + view->warned > 0 ? "few cases" : "no case");
    else if (view->passed + view->warned == 0)
        say(conclusion, "No case could be run.");
    else
        explain_works(conclusion, view);
    tell_left_out(conclusion, view);
}

/* One case led to the conclusion. */
static void explain_cause(struct conclusion *conclusion, const struct view *view,
                          const struct case_result *cause)
{
    say(conclusion, "Case %s: %s", cause->definition->name, cause->meaning);
    if (result_is_data(cause))
        compare_with_bdat(conclusion, view, cause);
    else if (conclusion->kind != CONCLUSION_RUNS_PAYLOAD)
        compare_with_data(conclusion, view, cause);
    tell_left_out(conclusion, view);
}

void explanation_write(struct conclusion *conclusion, const struct view *view,
                       const struct case_result *cause)
{
    conclusion->explanation[0] = '\0';
    switch (conclusion->kind) {
    case CONCLUSION_NO_SESSION:
        explain_no_session(conclusion, view);
        return;
    case CONCLUSION_NOT_OFFERED:
        explain_not_offered(conclusion, view);
        return;
    case CONCLUSION_INCOMPLETE:
        explain_incomplete(conclusion, view);
        return;
    case CONCLUSION_WORKS:
    case CONCLUSION_WORKS_SLOWLY:
    case CONCLUSION_SELECTION:
        explain_works(conclusion, view);
        return;
    default:
        explain_cause(conclusion, view, cause);
    }
}
