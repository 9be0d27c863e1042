/*
 * Policy requests: a request that is whole is whole with every octet of it at once and with none
 * less, its attributes point into it, and the sessions take it, whatever it says.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "milter/policy_request.h"
#include "milter/sessions.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_slice(struct slice slice, const char *text, size_t used)
{
    if (slice.length > 0)
        require(slice.text >= text && slice.text + slice.length < text + used,
                "an attribute is in its request");
}

static void check_request(const struct policy_request *request, const char *text, size_t used)
{
    check_slice(request->queue_id, text, used);
    check_slice(request->client_address, text, used);
    check_slice(request->client_name, text, used);
    check_slice(request->helo_name, text, used);
    check_slice(request->sender, text, used);
    check_slice(request->instance, text, used);
    require(request->pid >= 0 && request->pid <= INT32_MAX, "a pid is one");
    require(request->has_size || request->size == 0, "no size, no octets");
}

/* A daemon's middle with nothing around it; made once. */
struct middle {
    struct sessions *sessions;
    uint64_t requests;
};

static struct middle *get_middle(void)
{
    static struct middle middle;
    static const uint8_t seed[SUPPRESSION_SEED_OCTETS];
    char error[SETTINGS_ERROR_SIZE];
    if (middle.sessions != NULL)
        return &middle;
    struct log *log = log_open("fuzz", LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
    const struct settings *settings = settings_load(NULL, error, sizeof(error));
    const struct sessions_options options = {
        .log = log,
        .joins = joins_new(),
        .recorder = recorder_new(log),
        .suppression = suppression_new(seed),
    };
    middle.sessions = sessions_new(&options, settings);
    require(middle.sessions != NULL, "there is memory to begin with");
    return &middle;
}

/* The request in each state of a session: before a transfer, inside, and after it. */
static void take(const struct policy_request *request)
{
    static const char *const lines[] = {"EHLO x", "MAIL FROM:<a@b> SIZE=10", "RCPT TO:<c@d>",
                                        "BDAT 10 LAST", "QUIT"};
    struct middle *middle = get_middle();
    char action[256];
    int64_t pid = 1 + (int64_t)(middle->requests++ % 16);
    sessions_begin(middle->sessions, pid, NULL);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        sessions_take_command(middle->sessions, pid, lines[i], strlen(lines[i]));
        sessions_take_policy(middle->sessions, pid, request, action, sizeof(action));
        require(strpbrk(action, "\r\n") == NULL, "an action is one line");
        require(strncmp(action, "DUNNO", 5) == 0 || action[0] == '5', "and one of ours");
    }
    sessions_drop(middle->sessions, pid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy_request request;
    size_t used = 0, again = 0;
    char *text = malloc(size > 0 ? size : 1); /* its own block, so that reading beyond it shows */
    if (text == NULL || size > 2 * POLICY_REQUEST_MAX) {
        free(text);
        return 0;
    }
    if (size > 0)
        memcpy(text, data, size);
    enum policy_result result = policy_request_parse(text, size, &request, &used);
    if (result == POLICY_COMPLETE) {
        require(used > 0 && used <= size && text[used - 1] == '\n', "it ends in a line end");
        check_request(&request, text, used);
        take(&request);
        require(policy_request_parse(text, used - 1, &request, &again) == POLICY_INCOMPLETE,
                "one octet less is incomplete");
    } else if (result == POLICY_INCOMPLETE && size > 0) {
        require(policy_request_parse(text, size / 2, &request, &again) == POLICY_INCOMPLETE,
                "half of an incomplete one is incomplete");
    }
    free(text);
    return 0;
}
