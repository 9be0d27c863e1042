/*
 * Configuration text. Whatever it is, it loads or is refused in one printable line that begins
 * with file and line; what loads keeps its promises and comes back from its own dump the same.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/reply.h"
#include "milter/settings.h"
#include "tests/unit/settings_dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 loses the last string it has read when a syntax error follows. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig_yylex\nleak:strbuf_append\n";
}

static void require(bool holds, const char *what, const char *text)
{
    if (holds)
        return;
    fprintf(stderr, "not so: %s: %s\n", what, text);
    abort();
}

static void check_refusal(const char *error)
{
    char printable[SETTINGS_ERROR_SIZE];
    unsigned line;
    int used = 0;

    require(sscanf(error, "f:%u: %n", &line, &used) == 1 && used > 0, "an error names its line",
            error);
    require(line > 0 && error[used] != '\0', "an error says what is wrong", error);
    log_printable(error, strlen(error), printable, sizeof(printable));
    require(strcmp(error, printable) == 0, "an error is printable", error);
}

/* What the relations of the options promise to those who use them. */
static void check_promises(const struct settings *settings)
{
    const struct limits *limits = &settings->limits;
    const struct suppression_settings *suppression = &settings->suppression;

    require(limits->max_chunk == 0 || limits->min_chunk <= limits->max_chunk, "limits", "fit");
    require(suppression->hold <= suppression->max_hold, "suppression.hold", "is the least");
    require(suppression->threshold > 0 && suppression->threshold <= suppression->proven_threshold,
            "suppression.threshold", "is the least");
    require(suppression->ipv4_prefix <= 32 && suppression->ipv6_prefix <= 128, "prefixes", "fit");
    for (int i = 0; i < VERDICT_COUNT; i++) {
        struct reply reply;
        char error[256];
        enum action action = settings->actions[i];
        if (settings->replies[i] == NULL)
            continue;
        require(reply_parse(settings->replies[i], &reply, error, sizeof(error)) == 0, "reply",
                error);
        if (action != ACTION_TEMPFAIL && action != ACTION_REJECT)
            continue;
        reply_complete(&reply, (enum verdict)i, action);
        require(reply.code[0] == (action == ACTION_REJECT ? '5' : '4') &&
                    reply.status[0] == reply.code[0],
                "a reply fits its action", settings->replies[i]);
    }
}

static void check_dump(const struct settings *settings)
{
    char *text = settings_dump(settings), error[SETTINGS_ERROR_SIZE] = "";

    require(text != NULL, "memory", "is enough");
    const struct settings *again =
        settings_load_text("f", text, strlen(text), error, sizeof(error));
    require(again != NULL, "a dump loads", error);
    require(settings_are_equal(settings, again), "a dump loads to the same", text);
    settings_unref(&again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[SETTINGS_ERROR_SIZE] = "";
    const struct settings *settings =
        settings_load_text("f", (const char *)data, size, error, sizeof(error));

    if (settings == NULL) {
        check_refusal(error);
        return 0;
    }
    check_promises(settings);
    check_dump(settings);
    settings_unref(&settings);
    return 0;
}
