/* From results to a conclusion. */
#include "probe/conclusion.h"

#include <string.h>

#include "probe/conclusion_words.h"
#include "probe/explanation.h"
#include "probe/view.h"

const char *conclusion_name(enum conclusion_kind kind)
{
    return conclusion_words[kind].name;
}

/* What a rule is asked. */
struct question {
    const struct view *view;
    enum finding finding;            /* for the rules that look for one */
    const struct case_result *cause; /* set by a rule that holds: the case that led to it */
};

typedef bool rule_function(struct question *question);

static bool no_session(struct question *question)
{
    return question->view->survey->opening != OPENING_DONE;
}

static bool any_found(struct question *question)
{
    question->cause = view_failed_with(question->view, question->finding);
    return question->cause != NULL;
}

static bool is_binary(const struct case_result *result)
{
    return (result->definition->needs & NEED_BINARYMIME) != 0;
}

/* A message in chunks, or with a line, of 10 KB and more. */
static bool is_big(const struct case_result *result)
{
    enum message_kind kind = result->definition->message;
    return (kind == MESSAGE_LARGE || kind == MESSAGE_LONG_LINES) && result_is_hard(result);
}

/* True if BDAT cases failed, and all that did are of one kind. */
static bool failures_are(const struct view *view, bool (*kind)(const struct case_result *result))
{
    for (size_t i = 0; i < view->count; i++) {
        const struct case_result *result = &view->results[i];
        if (result_failed(result) && !result_is_data(result) && !kind(result))
            return false;
    }
    return view->worst != NULL;
}

static bool only_binary(struct question *question)
{
    const struct view *view = question->view;
    question->cause = view->worst;
    return failures_are(view, is_binary) && view->taken > 0 && !result_failed(view->data) &&
           !result_failed(view->data_large);
}

static bool nothing_passes(struct question *question)
{
    const struct view *view = question->view;
    question->cause = view->worst;
    return view->worst && result_is_hard(view->worst) && view->taken == 0 &&
           result_failed(view->data);
}

static bool nothing_big_passes(struct question *question)
{
    const struct view *view = question->view;
    question->cause = result_failed(view->large) ? view->large : view->worst;
    return failures_are(view, is_big) && view->taken > 0 && result_failed(view->data_large) &&
           !result_passed(view->large);
}

static bool only_big_chunks(struct question *question)
{
    const struct view *view = question->view;
    question->cause = view->large;
    return failures_are(view, is_big) && view->taken > 0 && result_failed(view->large) &&
           !result_failed(view->data);
}

static bool some_taken(struct question *question)
{
    const struct view *view = question->view;
    question->cause = view->worst;
    return view->worst && view->taken > 0;
}

/* The first failure, where no chunk was taken: of a message, or of everything. */
static bool first_failure(struct question *question)
{
    const struct view *view = question->view;
    question->cause = view->worst;
    return view->worst && view->worst->finding == question->finding &&
           (view->good == 0 || (view->worst->definition->needs & TAKES_CHUNK));
}

static bool any_failure(struct question *question)
{
    const struct view *view = question->view;
    question->cause = view->worst;
    return view->worst != NULL;
}

static bool data_fails(struct question *question)
{
    const struct view *view = question->view;
    question->cause = view->data;
    return result_failed(view->data);
}

static bool large_data_fails(struct question *question)
{
    const struct view *view = question->view;
    question->cause = view->data_large;
    return result_failed(view->data_large);
}

static bool not_offered(struct question *question)
{
    return !question->view->survey->current.chunking;
}

static bool incomplete(struct question *question)
{
    const struct view *view = question->view;
    return view->left_out > 0 || view->no_envelope > 0 || view->passed + view->warned == 0;
}

static bool none_taken(struct question *question)
{
    return question->view->taken == 0;
}

static bool slow(struct question *question)
{
    return question->view->slow > 0;
}

/* The first row that holds is the conclusion: the gravest first. If none does, CHUNKING works. */
static const struct {
    rule_function *holds;
    enum finding finding;
    enum conclusion_kind kind;
} rules[] = {
    {no_session, FINDING_NONE, CONCLUSION_NO_SESSION},
    {any_found, FINDING_RAN_PAYLOAD, CONCLUSION_RUNS_PAYLOAD},
    {only_binary, FINDING_NONE, CONCLUSION_BINARY},
    {any_found, FINDING_MISCOUNTED, CONCLUSION_MISCOUNTS},
    {any_found, FINDING_TWICE, CONCLUSION_ANSWERS_TWICE},
    {nothing_passes, FINDING_NONE, CONCLUSION_SERVER},
    {nothing_big_passes, FINDING_NONE, CONCLUSION_PATH},
    {only_big_chunks, FINDING_NONE, CONCLUSION_LARGE_CHUNKS},
    {some_taken, FINDING_NONE, CONCLUSION_PARTLY},
    {first_failure, FINDING_DROPPED, CONCLUSION_BDAT_DROPPED},
    {first_failure, FINDING_STALLED, CONCLUSION_BDAT_STALLS},
    {first_failure, FINDING_REFUSED, CONCLUSION_BDAT_REFUSED},
    {first_failure, FINDING_GARBAGE, CONCLUSION_NOT_SMTP},
    {any_failure, FINDING_NONE, CONCLUSION_PARTLY},
    {data_fails, FINDING_NONE, CONCLUSION_DATA},
    {large_data_fails, FINDING_NONE, CONCLUSION_DATA_LARGE},
    {not_offered, FINDING_NONE, CONCLUSION_NOT_OFFERED},
    {incomplete, FINDING_NONE, CONCLUSION_INCOMPLETE},
    {none_taken, FINDING_NONE, CONCLUSION_SELECTION},
    {slow, FINDING_NONE, CONCLUSION_WORKS_SLOWLY},
};

static enum conclusion_kind choose(const struct view *view, const struct case_result **cause)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        struct question question = {.view = view, .finding = rules[i].finding};
        if (!rules[i].holds(&question))
            continue;
        *cause = question.cause;
        return rules[i].kind;
    }
    *cause = NULL;
    return CONCLUSION_WORKS;
}

/* The advice of the kind, or what is closer to this run. */
static const char *const *advise(enum conclusion_kind kind, const struct view *view)
{
    if (kind == CONCLUSION_WORKS && !view->delivered)
        return advice_deliver;
    if (kind == CONCLUSION_INCOMPLETE && view->no_envelope > 0)
        return advice_after_refusal(view->survey->sender_refused, view->survey->refusal);
    if (kind == CONCLUSION_INCOMPLETE && view->left_out > 0)
        return advice_for_left_out(view->first_left_out->finding);
    return conclusion_words[kind].advice;
}

void conclusion_draw(struct conclusion *conclusion, const struct survey *survey,
                     const struct case_result *results, size_t count, bool delivered)
{
    struct view view;
    const struct case_result *cause;
    view_make(&view, survey, results, count, delivered);
    memset(conclusion, 0, sizeof(*conclusion));
    conclusion->kind = choose(&view, &cause);
    conclusion->summary = conclusion_words[conclusion->kind].summary;
    conclusion->advice = advise(conclusion->kind, &view);
    conclusion->exit_status = conclusion_words[conclusion->kind].exit_status;
    explanation_write(conclusion, &view, cause);
}
