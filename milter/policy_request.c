#include "milter/policy_request.h"

#include <string.h>

static const char *const state_names[POLICY_STATE_COUNT] = {
    [POLICY_STATE_OTHER] = "other",
    [POLICY_STATE_DATA] = "DATA",
    [POLICY_STATE_END_OF_MESSAGE] = "END-OF-MESSAGE",
};

const char *policy_state_name(enum policy_state state)
{
    return state_names[state];
}

/* Digits up to the first other octet; saturates. */
static uint64_t parse_number(struct slice text)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.length && text.text[i] >= '0' && text.text[i] <= '9'; i++) {
        unsigned digit = (unsigned)(text.text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return UINT64_MAX;
        value = value * 10 + digit;
    }
    return value;
}

/* `instance` is "PID.SECONDS.…" in hexadecimal (smtpd_check.c): the first part is the pid. */
static int64_t parse_instance(struct slice text)
{
    int64_t pid = 0;
    for (size_t i = 0; i < text.length && text.text[i] != '.'; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = text.text[i] != '\0' ? strchr(digits, text.text[i]) : NULL;
        if (digit == NULL || pid > INT32_MAX)
            return 0;
        pid = pid * 16 + (digit - digits);
    }
    return pid <= INT32_MAX ? pid : 0;
}

static bool is(struct slice text, const char *word)
{
    return text.length == strlen(word) && memcmp(text.text, word, text.length) == 0;
}

static void take_attribute(struct slice name, struct slice value, struct policy_request *request)
{
    const struct {
        const char *name;
        struct slice *target;
    } texts[] = {
        {"queue_id", &request->queue_id},       {"client_address", &request->client_address},
        {"client_name", &request->client_name}, {"helo_name", &request->helo_name},
        {"sender", &request->sender},           {"instance", &request->instance},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (is(name, texts[i].name)) {
            *texts[i].target = value;
            return;
        }
    }
    if (is(name, "size")) {
        request->has_size = value.length > 0;
        request->size = parse_number(value);
    } else if (is(name, "recipient_count")) {
        request->recipient_count = parse_number(value);
    } else if (is(name, "protocol_state")) {
        for (int state = POLICY_STATE_DATA; state < POLICY_STATE_COUNT; state++)
            if (is(value, state_names[state]))
                request->state = (enum policy_state)state;
    }
}

enum policy_result policy_request_parse(const char *data, size_t length,
                                        struct policy_request *request, size_t *used)
{
    size_t at = 0;
    *request = (struct policy_request){.state = POLICY_STATE_OTHER};
    while (at < length) {
        const char *line = data + at;
        size_t rest = length - at;
        const char *end = memchr(line, '\n', rest);
        size_t span = end != NULL ? (size_t)(end - line) : rest;
        if (span > POLICY_LINE_MAX || at + span > POLICY_REQUEST_MAX)
            return POLICY_TOO_LONG;
        if (end == NULL)
            return POLICY_INCOMPLETE;
        at += span + 1;
        if (span == 0) {
            *used = at;
            request->pid = parse_instance(request->instance);
            return POLICY_COMPLETE;
        }
        const char *equals = memchr(line, '=', span);
        if (equals == NULL)
            return POLICY_BAD;
        struct slice name = {line, (size_t)(equals - line)};
        take_attribute(name, (struct slice){equals + 1, span - name.length - 1}, request);
    }
    return POLICY_INCOMPLETE;
}
