#include "config.h"

#include "ctl/outlook.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/daemon.h"
#include "ctl/show.h"
#include "ctl/text.h"

/* The value of an option; NULL if it is not there. */
static json_t *find_value(json_t *config, const char *name)
{
    size_t index;
    json_t *option;
    json_array_foreach(json_object_get(config, "options"), index, option)
    {
        json_t *value = json_object_get(option, "value");
        if (strcmp(json_get_text(option, "name"), name) == 0 && json_is_string(value))
            return value;
    }
    return NULL;
}

/* Its text without the quotes that it has in the file. */
static const char *find_text(json_t *config, const char *name)
{
    json_t *value = find_value(config, name);
    const char *text = json_string_value(value);
    size_t length = text == NULL ? 0 : strlen(text);
    if (length < 2 || text[0] != '"' || text[length - 1] != '"')
        return text;
    char *bare = text_format("%.*s", (int)(length - 2), text + 1);
    json_string_set(value, bare);
    free(bare);
    return json_string_value(value);
}

static bool option_is(json_t *config, const char *name, const char *wanted)
{
    const char *text = find_text(config, name);
    return text != NULL && strcmp(text, wanted) == 0;
}

struct outlook_rules outlook_rules(json_t *config)
{
    return (struct outlook_rules){
        .observes = option_is(config, "mode", "observe"),
        .spares_all = option_is(config, "suppression.enabled", "false"),
        .threshold = find_text(config, "suppression.threshold"),
        .proven_threshold = find_text(config, "suppression.proven_threshold"),
        .window = find_text(config, "suppression.window"),
    };
}

bool outlook_blames_path(const json_t *client)
{
    return json_get_bool(client, "path_trouble");
}

/* How long CHUNKING is withheld from it. */
static char *hold_text(const char *network, const json_t *client)
{
    double seconds = show_seconds_until(json_get_text(client, "until"));
    char *until = show_time(client, "until");
    char *left = text_duration(seconds > 0 ? seconds : 0);
    char *hold = text_duration(json_get_number(client, "hold_seconds", 0));
    char *text = text_format("CHUNKING is withheld from %s until %s UTC (%s from now; the hold is "
                             "%s).",
                             network, *until ? until : "further notice", left, hold);
    free(until);
    free(left);
    free(hold);
    return text;
}

/* `deaf`: the client sends BDAT though CHUNKING is not offered. */
static char *suppressed_text(const char *network, const json_t *client, bool deaf)
{
    char *text = hold_text(network, client);
    if (deaf)
        return text_join(
            text, text_format(" But this client uses BDAT although CHUNKING is not offered, and as "
                              "long as it does so its mail does not arrive. The command bdatctl "
                              "release %s offers CHUNKING to it again at once, a rule with "
                              "chunking = \"always\" in bdat-milter.conf whatever happens.",
                              network));
    return text_join(
        text, text_format(" Its next attempt goes by DATA, which needs no counting, and the mail "
                          "arrives. After that it is on probation: one clean BDAT transfer ends "
                          "the matter, one more failure doubles the hold. The command bdatctl "
                          "release %s offers CHUNKING again at once.",
                          network));
}

static char *pinned_never_text(const char *network, bool deaf)
{
    if (deaf)
        return text_format("A rule in bdat-milter.conf never offers CHUNKING to %s. But this "
                           "client uses BDAT all the same, and as long as it does so its mail "
                           "does not arrive: mend the client, or remove the rule.",
                           network);
    return text_format("A rule in bdat-milter.conf never offers CHUNKING to %s, so its mail goes "
                       "by DATA.",
                       network);
}

static char *strikes_text(const char *network, const json_t *client,
                          const struct outlook_rules *rules)
{
    bool proven = json_get_bool(client, "proven");
    const char *threshold = proven ? rules->proven_threshold : rules->threshold;
    char *strikes = text_count((int64_t)json_get_number(client, "strikes", 0), "strike");
    char *text = text_format("CHUNKING is offered to %s, which has %s.", network, strikes);
    free(strikes);
    if (json_get_bool(client, "needs_chunking") || rules->spares_all)
        return text;
    if (threshold == NULL || rules->window == NULL)
        return text_join(text, text_copy(" More of them (suppression.threshold) withhold it for a "
                                         "while."));
    return text_join(
        text,
        text_format(" %s of them within %s withhold it for a while%s.", threshold, rules->window,
                    proven ? " (it has had a clean BDAT transfer in that time, or fewer "
                             "would do)"
                           : ""));
}

static char *offered_text(const char *network, const json_t *client,
                          const struct outlook_rules *rules)
{
    if (outlook_blames_path(client))
        return text_format("CHUNKING is offered to %s.", network);
    if (json_get_number(client, "strikes", 0) > 0)
        return strikes_text(network, client, rules);
    return text_format("CHUNKING is offered to %s; nothing stands against it.", network);
}

static char *state_text(const char *network, const json_t *client, bool deaf,
                        const struct outlook_rules *rules)
{
    const char *state = json_get_text(client, "state");
    if (strcmp(state, "suppressed") == 0)
        return suppressed_text(network, client, deaf);
    if (strcmp(state, "probation") == 0)
        return text_format("%s is on probation: CHUNKING is offered to it again. One clean BDAT "
                           "transfer ends that; one more failure withholds CHUNKING for twice as "
                           "long as before.",
                           network);
    if (strcmp(state, "pinned_never") == 0)
        return pinned_never_text(network, deaf);
    if (strcmp(state, "pinned_always") == 0)
        return text_format("A rule in bdat-milter.conf always offers CHUNKING to %s, whatever "
                           "happens.",
                           network);
    return offered_text(network, client, rules);
}

char *outlook_text(const char *network, const json_t *client, const char *verdict,
                   const struct outlook_rules *rules)
{
    bool deaf = strcmp(verdict, "not_offered") == 0 ||
                strcmp(json_get_text(client, "last_verdict"), "not_offered") == 0;
    char *text = client == NULL ? text_format("Nothing stands against %s.", network)
                                : state_text(network, client, deaf, rules);
    if (outlook_blames_path(client))
        text = text_join(text,
                         text_copy(" Its mail failed with DATA as well as with BDAT, so BDAT is "
                                   "not the cause: something in the path is (MTU, firewall), and "
                                   "withholding CHUNKING would not help."));
    if (json_get_bool(client, "needs_chunking"))
        text = text_join(text,
                         text_copy(" It sends messages with bare LFs, which only BDAT can carry: "
                                   "without CHUNKING it would bounce them, so it is never "
                                   "withheld automatically."));
    if (rules->spares_all)
        text =
            text_join(text, text_copy(" Nothing is withheld from anybody: suppression.enabled is "
                                      "false."));
    if (rules->observes)
        text =
            text_join(text, text_copy(" The daemon only observes (mode = \"observe\"): it answers "
                                      "and withholds nothing."));
    return text;
}
