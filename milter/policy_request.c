#include "milter/policy_request.h"

#include <stddef.h>
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

static bool is(struct slice text, const char *word, size_t length)
{
    return text.length == length && memcmp(text.text, word, length) == 0;
}

/* For a literal, whose length the compiler knows. */
#define IS(text, word) is(text, "" word, sizeof(word) - 1)

/* The attributes that are taken as they are, and where to. */
static const struct text_row {
    struct slice name;
    size_t offset;
} texts[] = {
#define TEXT(name)                                                        \
    {                                                                     \
        {#name, sizeof(#name) - 1}, offsetof(struct policy_request, name) \
    }
    TEXT(queue_id),  TEXT(client_address), TEXT(client_name),
    TEXT(helo_name), TEXT(sender),         TEXT(instance),
#undef TEXT
};

static bool take_text(struct slice name, struct slice value, struct policy_request *request)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (is(name, texts[i].name.text, texts[i].name.length)) {
            memcpy((char *)request + texts[i].offset, &value, sizeof(value));
            return true;
        }
    }
    return false;
}

static void take_attribute(struct slice name, struct slice value, struct policy_request *request)
{
    if (take_text(name, value, request))
        return;
    if (IS(name, "size")) {
        request->has_size = value.length > 0;
        request->size = parse_number(value);
    } else if (IS(name, "recipient_count")) {
        request->recipient_count = parse_number(value);
    } else if (IS(name, "protocol_state")) {
        if (IS(value, "DATA"))
            request->state = POLICY_STATE_DATA;
        else if (IS(value, "END-OF-MESSAGE"))
            request->state = POLICY_STATE_END_OF_MESSAGE;
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
