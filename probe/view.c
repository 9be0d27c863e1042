/* Counting and sorting the results. */
#include "probe/view.h"

#include <string.h>

bool result_is_data(const struct case_result *result)
{
    return (result->definition->needs & NEED_NOT_CHUNKING) != 0;
}

bool result_failed(const struct case_result *result)
{
    return result && result->status == STATUS_FAIL;
}

bool result_passed(const struct case_result *result)
{
    return result && (result->status == STATUS_PASS || result->status == STATUS_WARN);
}

bool result_left_out(const struct case_result *result)
{
    return result->status == STATUS_SKIP &&
           (result->finding == FINDING_UNREACHABLE || result->finding == FINDING_UNFINISHED);
}

bool result_is_hard(const struct case_result *result)
{
    return result->finding == FINDING_DROPPED || result->finding == FINDING_STALLED ||
           result->finding == FINDING_REFUSED || result->finding == FINDING_GARBAGE;
}

/* A pass that shows that CHUNKING works: the server took a chunk. */
static bool has_taken(const struct case_result *result)
{
    return result_passed(result) && (result->definition->needs & TAKES_CHUNK) &&
           result->finding != FINDING_REFUSED;
}

/* It needs a sender or recipient that the server did not accept. */
static bool lacks_envelope(const struct survey *survey, const struct case_result *result)
{
    return !survey->recipient_found &&
           (survey->sender_refused || (result->definition->needs & NEED_RECIPIENT));
}

static void note_bdat(struct view *view, const struct case_result *result)
{
    view->slow += result->finding == FINDING_SLOW;
    view->good += result_passed(result);
    view->taken += has_taken(result);
    view->no_envelope += result->status == STATUS_SKIP && lacks_envelope(view->survey, result);
    if (result_failed(result) && !view->worst)
        view->worst = result;
}

static void note_result(struct view *view, const struct case_result *result)
{
    view->passed += result->status == STATUS_PASS;
    view->warned += result->status == STATUS_WARN;
    view->left_out += result_left_out(result);
    if (result_left_out(result) && !view->first_left_out)
        view->first_left_out = result;
    if (!result_is_data(result))
        note_bdat(view, result);
}

void view_make(struct view *view, const struct survey *survey, const struct case_result *results,
               size_t count, bool delivered)
{
    *view =
        (struct view){.survey = survey, .results = results, .count = count, .delivered = delivered};
    for (size_t i = 0; i < count; i++)
        note_result(view, &results[i]);
    view->data = view_find(view, "data");
    view->data_large = view_find(view, "data-large");
    view->large = view_find(view, "large");
}

const struct case_result *view_find(const struct view *view, const char *name)
{
    for (size_t i = 0; i < view->count; i++)
        if (strcmp(view->results[i].definition->name, name) == 0)
            return &view->results[i];
    return NULL;
}

const struct case_result *view_same_by_bdat(const struct view *view, const char *name)
{
    for (size_t i = 0; i < view->count; i++) {
        const char *same = view->results[i].definition->same_by_data;
        if (same && strcmp(same, name) == 0)
            return &view->results[i];
    }
    return NULL;
}

const struct case_result *view_failed_with(const struct view *view, enum finding finding)
{
    for (size_t i = 0; i < view->count; i++) {
        const struct case_result *result = &view->results[i];
        if (result_failed(result) && !result_is_data(result) && result->finding == finding)
            return result;
    }
    return NULL;
}
