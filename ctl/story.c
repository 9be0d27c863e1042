#include "config.h"

#include "ctl/story.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/daemon.h"
#include "ctl/explain_words.h"
#include "ctl/show.h"
#include "ctl/style.h"
#include "ctl/text.h"

#define CHUNKS_SHOWN 12

/* Adds a paragraph; `text` is freed. */
static void tell(json_t *story, const char *heading, char *text)
{
    char *safe = text_safe(text, true);
    json_array_append_new(story, json_pack("{ssss}", "heading", heading, "text", safe));
    free(safe);
    free(text);
}

/* Appends to a text that is being built; both are freed. */
static char *join(char *text, char *more)
{
    char *joined = text_format("%s%s", text, more);
    free(text);
    free(more);
    return joined;
}

static char *octets(const json_t *object, const char *name)
{
    return text_count((int64_t)json_get_number(object, name, 0), "octet");
}

static void tell_who(json_t *story, const json_t *transfer)
{
    const char *id = json_get_text(transfer, "queue_id"), *helo = json_get_text(transfer, "helo");
    const char *name = json_get_text(transfer, "client_name");
    char *time = show_time(transfer, "time");
    char *text = text_format(
        "At %s UTC the client %s[%s]%s%s%s began a message%s%s from <%s>", time,
        *name ? name : "unknown", json_get_text(transfer, "client_address"),
        *helo ? ", which calls itself " : "", helo, *helo ? "," : "",
        *id ? ", queue id " : " (no queue id yet)", id, json_get_text(transfer, "sender"));
    free(time);
    if (json_get_number(transfer, "recipients", 0) > 0) {
        char *count = text_count((int64_t)json_get_number(transfer, "recipients", 0), "recipient");
        text = join(text, text_format(" to %s", count));
        free(count);
    }
    tell(story, "Who", join(text, text_copy(".")));
}

/* "BDAT 100, BDAT 28 LAST": the chunks as the client announced them. */
static char *chunk_list(const json_t *transfer)
{
    const json_t *chunks = json_object_get(transfer, "chunks"), *chunk;
    size_t index,
        count = (size_t)json_get_number(transfer, "chunk_count", (double)json_array_size(chunks));
    bool last = json_get_bool(transfer, "last");
    char *list = text_copy("");
    json_array_foreach(chunks, index, chunk)
    {
        if (index == CHUNKS_SHOWN)
            break;
        list = join(list, text_format("%sBDAT %lld%s", index ? ", " : "",
                                      (long long)json_integer_value(chunk),
                                      last && index + 1 == count ? " LAST" : ""));
    }
    if (count > CHUNKS_SHOWN)
        list = join(list, text_format(" and %zu more%s", count - CHUNKS_SHOWN,
                                      last ? ", the last one marked LAST" : ""));
    return list;
}

/* True for a DATA message, which is listed only where Sendmail's SIZE was exceeded. */
static bool is_data(const json_t *transfer)
{
    return strcmp(json_get_text(transfer, "mode"), "data") == 0;
}

static void tell_declared(json_t *story, const json_t *transfer)
{
    size_t count = (size_t)json_get_number(transfer, "chunk_count", 0);
    if (is_data(transfer)) {
        char *size = octets(transfer, "declared");
        tell(story, "Declared", text_format("It announced %s by SIZE at MAIL, and sent the message "
                                            "by DATA.", size));
        free(size);
        return;
    }
    if (count == 0) {
        tell(story, "Declared", text_copy("The client announced no chunk."));
        return;
    }
    char *list = chunk_list(transfer), *total = octets(transfer, "declared");
    char *chunks = text_count((int64_t)count, "chunk");
    char *text = text_format("It announced %s with %s in all: %s.", chunks, total, list);
    free(list);
    free(total);
    free(chunks);
    if (!json_get_bool(transfer, "last"))
        text = join(text, text_copy(" No chunk was marked LAST, so the message was not complete."));
    if (json_has_number(transfer, "size_declared")) {
        char *size = octets(transfer, "size_declared");
        text = join(text, text_format(" At MAIL FROM it had announced a size of about %s.", size));
        free(size);
    }
    tell(story, "Declared", text);
}

static char *drift_text(const json_t *transfer)
{
    double drift = json_get_number(transfer, "drift", 0);
    if (drift == 0)
        return text_copy(", exactly what was declared.");
    char *count = text_count((int64_t)(drift < 0 ? -drift : drift), "octet");
    char *text = text_format(", %s %s than declared.", count, drift > 0 ? "more" : "fewer");
    free(count);
    return text;
}

static void tell_arrived(json_t *story, const json_t *transfer)
{
    if (strcmp(json_get_text(transfer, "verdict"), "not_offered") == 0) {
        tell(story, "Arrived", text_copy("Nobody counted the octets behind it: the mail server "
                                         "does not take BDAT from this client."));
        return;
    }
    if (!json_has_number(transfer, "received")) {
        tell(story, "Arrived",
             text_copy("Postfix did not report how many octets arrived; it does so only for a "
                       "message that came to its end."));
        return;
    }
    char *received = octets(transfer, "received");
    char *text = join(text_format("%s counted %s", is_data(transfer) ? "bdat-milter" : "Postfix",
                                  received), drift_text(transfer));
    free(received);
    if (json_has_number(transfer, "body")) {
        char *body = octets(transfer, "body");
        text = join(text, text_format(" The body without headers has %s.", body));
        free(body);
    }
    tell(story, "Arrived", text);
}

static void tell_followed(json_t *story, const json_t *transfer)
{
    const char *line = json_get_text(transfer, "followed_by");
    char *text = text_copy("");
    if (*line != '\0')
        text = join(text, text_format("The next thing the client sent was: \"%s\".", line));
    if (json_get_number(transfer, "since_last_bdat_ms", 0) >= 1000) {
        char *time = text_duration(json_get_number(transfer, "since_last_bdat_ms", 0) / 1000);
        text = join(text, text_format("%sBetween the last BDAT and the end of the matter lay %s.",
                                      *text ? " " : "", time));
        free(time);
    }
    if (*text != '\0')
        tell(story, "Then", text);
    else
        free(text);
}

static void tell_verdict(json_t *story, const json_t *transfer)
{
    const char *verdict = json_get_text(transfer, "verdict");
    const struct verdict_words *words = explain_verdict(verdict);
    tell(story, "Verdict",
         text_format("%s. %s", verdict,
                     words ? words->why
                           : "This bdatctl does not know that word; "
                             "it is older than the daemon."));
    size_t index;
    const json_t *word;
    json_array_foreach(json_object_get(transfer, "evidence"), index, word)
    {
        const char *name = json_string_value(word), *text = name ? explain_evidence(name) : NULL;
        if (name != NULL)
            tell(story, "Evidence",
                 text_format("%s: %s.", name, text ? text : "not known to this bdatctl"));
    }
}

static void tell_answer(json_t *story, const json_t *transfer)
{
    const char *action = json_get_text(transfer, "action"), *meaning = explain_action(action);
    const char *reply = json_get_text(transfer, "reply");
    char *text = text_copy(meaning ? meaning : action);
    if (*reply != '\0')
        text = join(text, text_format(" The reply was: \"%s\".", reply));
    tell(story, "Answered", text);
}

static char *suppressed_text(const char *network, const json_t *client)
{
    double seconds = show_seconds_until(json_get_text(client, "until"));
    char *until = show_time(client, "until");
    char *left = text_duration(seconds > 0 ? seconds : 0);
    char *hold = text_duration(json_get_number(client, "hold_seconds", 0));
    char *text = text_format(
        "CHUNKING is withheld from %s until %s UTC (%s from now; the hold is %s). Its next attempt "
        "goes by DATA, which needs no counting, and the mail arrives. After that it is on "
        "probation: one clean BDAT transfer ends the matter, one more failure doubles the hold. To "
        "offer CHUNKING again now: bdatctl release %s",
        network, *until ? until : "further notice", left, hold, network);
    free(until);
    free(left);
    free(hold);
    return text;
}

static char *state_text(const char *network, const json_t *client)
{
    const char *state = json_get_text(client, "state");
    char *strikes = text_count((int64_t)json_get_number(client, "strikes", 0), "strike");
    char *text;
    if (strcmp(state, "suppressed") == 0)
        text = suppressed_text(network, client);
    else if (strcmp(state, "probation") == 0)
        text = text_format("%s is on probation: CHUNKING is offered to it again. One clean BDAT "
                           "transfer ends that; one more failure withholds CHUNKING for twice as "
                           "long as before.",
                           network);
    else if (strcmp(state, "pinned_never") == 0)
        text = text_format("A rule in bdat-milter.conf never offers CHUNKING to %s, so its mail "
                           "goes by DATA.",
                           network);
    else if (strcmp(state, "pinned_always") == 0)
        text = text_format("A rule in bdat-milter.conf always offers CHUNKING to %s, whatever "
                           "happens.",
                           network);
    else if (json_get_number(client, "strikes", 0) == 0)
        text = text_format("CHUNKING is offered to %s; nothing stands against it.", network);
    else
        text = text_format("CHUNKING is offered to %s, which has %s. Enough strikes within "
                           "suppression.window withhold it for a while.",
                           network, strikes);
    free(strikes);
    return text;
}

static void tell_next(json_t *story, const char *network, const json_t *client, const char *mode)
{
    char *text = client == NULL
                     ? text_format("Nothing stands against %s.", network)
                     : state_text(network, client);
    if (json_get_bool(client, "path_trouble"))
        text = join(text, text_copy(" Its mail failed with DATA as well as with BDAT, so BDAT is "
                                    "not the cause: something in the path is (MTU, firewall), and "
                                    "withholding CHUNKING would not help."));
    if (json_get_bool(client, "needs_chunking"))
        text = join(text, text_copy(" It sends messages with bare LFs, which only BDAT can carry: "
                                    "without CHUNKING it would bounce them, so it is never "
                                    "withheld automatically."));
    if (strcmp(mode, "observe") == 0)
        text = join(text, text_copy(" The daemon only observes (mode = \"observe\"): it answers "
                                    "and withholds nothing."));
    tell(story, "Next time", text);
}

static void tell_advice(json_t *story, const char *verdict)
{
    const struct verdict_words *words = explain_verdict(verdict);
    if (words != NULL)
        tell(story, "For the sender", text_copy(words->client));
}

json_t *story_of_transfer(const json_t *transfer, const json_t *client, const char *mode)
{
    json_t *story = json_array();
    const char *network = json_get_text(client, "client");
    tell_who(story, transfer);
    tell_declared(story, transfer);
    tell_arrived(story, transfer);
    tell_followed(story, transfer);
    tell_verdict(story, transfer);
    tell_answer(story, transfer);
    tell_next(story, *network ? network : json_get_text(transfer, "client_address"), client, mode);
    tell_advice(story, json_get_text(transfer, "verdict"));
    return story;
}

/* "3 match, 2 stalled": what the remembered transfers came to. The caller frees. */
static char *count_verdicts(const json_t *transfers)
{
    json_t *counts = json_object();
    size_t index;
    const json_t *transfer;
    json_array_foreach(transfers, index, transfer)
    {
        const char *verdict = json_get_text(transfer, "verdict");
        json_int_t so_far = json_integer_value(json_object_get(counts, verdict));
        json_object_set_new(counts, verdict, json_integer(so_far + 1));
    }
    char *text = text_copy("");
    const char *name;
    const json_t *count;
    json_object_foreach(counts, name, count) text =
        join(text, text_format("%s%lld %s", *text ? ", " : "", (long long)json_integer_value(count),
                               name));
    json_decref(counts);
    return text;
}

static void tell_history(json_t *story, const json_t *client, const json_t *transfers)
{
    char *text = text_copy("");
    if (client != NULL) {
        char *bdat = text_number((int64_t)json_get_number(client, "bdat_transfers", 0));
        char *data = text_number((int64_t)json_get_number(client, "data_transfers", 0));
        char *clean = text_number((int64_t)json_get_number(client, "clean_transfers", 0));
        char *seen = show_time(client, "last_seen");
        text = join(text, text_format("It has sent %s by BDAT (%s of them clean) and %s by DATA; "
                                      "last seen %s UTC.",
                                      bdat, clean, data, seen));
        free(bdat);
        free(data);
        free(clean);
        free(seen);
        const char *reason = json_get_text(client, "reason");
        if (*reason != '\0')
            text = join(text, text_format(" Noted: %s.", reason));
    }
    char *counts = count_verdicts(transfers);
    if (*counts != '\0')
        text = join(text, text_format("%sRemembered transfers: %s.", *text ? " " : "", counts));
    free(counts);
    tell(story, "So far", text);
}

static void tell_latest_incident(json_t *story, const json_t *incident)
{
    const char *verdict = json_get_text(incident, "verdict"),
               *id = json_get_text(incident, "queue_id");
    const struct verdict_words *words = explain_verdict(verdict);
    char *time = show_time(incident, "time");
    char *declared = octets(incident, "declared");
    char *text = text_format("%s UTC%s%s: %s, with %s declared. %s", time, *id ? ", " : "", id,
                             verdict, declared, words ? words->why : "");
    if (*id != '\0')
        text = join(text, text_format(" The whole of it: bdatctl explain %s", id));
    tell(story, "Latest trouble", text);
    free(time);
    free(declared);
    tell_advice(story, verdict);
}

json_t *story_of_client(const char *address, const json_t *client, const json_t *transfers,
                        const json_t *incidents, const char *mode)
{
    if (client == NULL && json_array_size(transfers) == 0 && json_array_size(incidents) == 0)
        return NULL;
    json_t *story = json_array();
    const char *network = json_get_text(client, "client");
    tell_history(story, client, transfers);
    const json_t *latest = json_array_get(incidents, 0);
    if (latest != NULL)
        tell_latest_incident(story, latest);
    tell_next(story, *network ? network : address, client, mode);
    return story;
}

void story_print(const json_t *story, FILE *out, size_t columns, bool colour)
{
    size_t index;
    const json_t *paragraph;
    const char *before = "";
    json_array_foreach(story, index, paragraph)
    {
        const char *heading = json_get_text(paragraph, "heading");
        if (strcmp(heading, before) != 0)
            fprintf(out, "%s%s%s\n", style_begin(colour, TONE_BOLD), heading,
                    style_end(colour, TONE_BOLD));
        before = heading;
        text_wrap(out, json_get_text(paragraph, "text"), "  ", columns);
    }
}
