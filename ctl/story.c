#include "config.h"

#include "ctl/story.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/daemon.h"
#include "ctl/explain_words.h"
#include "ctl/outlook.h"
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

static char *octets(const json_t *object, const char *name)
{
    return text_count((int64_t)json_get_number(object, name, 0), "octet");
}

/* The words of its verdict, those for a piece of evidence before the general ones; NULL for a newer
 * daemon's. */
static const struct verdict_words *words_of(const json_t *transfer)
{
    const char *verdict = json_get_text(transfer, "verdict");
    const struct verdict_words *best = explain_verdict(verdict);
    size_t index;
    const json_t *word;
    json_array_foreach(json_object_get(transfer, "evidence"), index, word)
    {
        const char *evidence = json_string_value(word);
        const struct verdict_words *special =
            evidence == NULL ? NULL : explain_verdict_by(verdict, evidence);
        if (special != NULL)
            best = special;
    }
    return best;
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
        text = text_join(text, text_format(" to %s", count));
        free(count);
    }
    tell(story, "Who", text_join(text, text_copy(".")));
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
        list = text_join(list, text_format("%sBDAT %lld%s", index ? ", " : "",
                                           (long long)json_integer_value(chunk),
                                           last && index + 1 == count ? " LAST" : ""));
    }
    if (count > CHUNKS_SHOWN)
        list = text_join(list, text_format(" and %zu more%s", count - CHUNKS_SHOWN,
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
        tell(story, "Declared",
             text_format("It announced %s by SIZE at MAIL, and sent the message "
                         "by DATA.",
                         size));
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
        text = text_join(text,
                         text_copy(" No chunk was marked LAST, so the message was not complete."));
    if (json_has_number(transfer, "size_declared")) {
        char *size = octets(transfer, "size_declared");
        text = text_join(text,
                         text_format(" At MAIL FROM it had announced a size of about %s.", size));
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
        tell(story, "Arrived",
             text_copy("Nobody counted the octets behind it: the mail server "
                       "does not take BDAT from this client."));
        return;
    }
    if (!json_has_number(transfer, "received")) {
        bool ended = strcmp(json_get_text(transfer, "verdict"), "unverified") == 0 &&
                     json_get_bool(transfer, "last");
        tell(story, "Arrived",
             text_copy(ended ? "Postfix did not report how many octets arrived; it does so by the "
                               "policy request at the end of a message "
                               "(smtpd_end_of_data_restrictions), and none came for this one."
                             : "Postfix did not report how many octets arrived; it does so only "
                               "for a message that came to its end."));
        return;
    }
    char *received = octets(transfer, "received");
    char *text = text_join(
        text_format("%s counted %s", is_data(transfer) ? "bdat-milter" : "Postfix", received),
        drift_text(transfer));
    free(received);
    if (json_has_number(transfer, "body")) {
        char *body = octets(transfer, "body");
        text = text_join(text, text_format(" The body without headers has %s.", body));
        free(body);
    }
    tell(story, "Arrived", text);
}

static void tell_followed(json_t *story, const json_t *transfer)
{
    const char *line = json_get_text(transfer, "followed_by");
    char *text = text_copy("");
    if (*line != '\0')
        text = text_join(text, text_format("The next thing the client sent was: \"%s\".", line));
    if (json_get_number(transfer, "since_last_bdat_ms", 0) >= 1000) {
        char *time = text_duration(json_get_number(transfer, "since_last_bdat_ms", 0) / 1000);
        text =
            text_join(text, text_format("%sBetween the last BDAT and the end of the matter lay %s.",
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
    const struct verdict_words *words = words_of(transfer);
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
        text = text_join(text, text_format(" The reply was: \"%s\".", reply));
    tell(story, "Answered", text);
}

/* What the sender can do. Where DATA fails as well the usual advice would lead astray. */
static void tell_advice(json_t *story, const json_t *transfer, const json_t *client)
{
    const struct verdict_words *words = words_of(transfer);
    const char *verdict = json_get_text(transfer, "verdict");
    bool vanished = strcmp(verdict, "stalled") == 0 || strcmp(verdict, "lost") == 0;
    if (vanished && outlook_blames_path(client))
        tell(story, "For the sender",
             text_copy("Mail fails by DATA as well as by BDAT, so it would not help to switch "
                       "CHUNKING off. Look at the path between the two servers: at its MTU (does "
                       "mail of a few hundred octets pass where larger mail stalls?), at "
                       "firewalls, and at time limits."));
    else if (words != NULL)
        tell(story, "For the sender", text_copy(words->client));
}

json_t *story_of_transfer(const json_t *transfer, const json_t *client,
                          const struct outlook_rules *rules)
{
    json_t *story = json_array();
    const char *network = json_get_text(client, "client");
    tell_who(story, transfer);
    tell_declared(story, transfer);
    tell_arrived(story, transfer);
    tell_followed(story, transfer);
    tell_verdict(story, transfer);
    tell_answer(story, transfer);
    tell(story, "Next time",
         outlook_text(*network ? network : json_get_text(transfer, "client_address"), client,
                      json_get_text(transfer, "verdict"), rules));
    tell_advice(story, transfer, client);
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
        text_join(text, text_format("%s%lld %s", *text ? ", " : "",
                                    (long long)json_integer_value(count), name));
    json_decref(counts);
    return text;
}

/* What the daemon has counted of a client. Clean transfers are not: the last one is known. */
static char *counts_text(const json_t *client)
{
    char *bdat = text_number((int64_t)json_get_number(client, "bdat_transfers", 0));
    char *data = text_number((int64_t)json_get_number(client, "data_transfers", 0));
    char *seen = show_time(client, "last_seen"), *clean = show_time(client, "last_clean");
    char *text = text_format("It has sent %s by BDAT and %s by DATA; ", bdat, data);
    text = text_join(text, *seen ? text_format("last seen %s UTC.", seen)
                                 : text_copy("it has not been seen yet."));
    if (*clean != '\0')
        text = text_join(text, text_format(" Its last clean BDAT transfer was at %s UTC.", clean));
    else if (json_get_number(client, "bdat_transfers", 0) > 0)
        text = text_join(text, text_copy(" No clean BDAT transfer of it is on record."));
    free(bdat);
    free(data);
    free(seen);
    free(clean);
    return text;
}

static void tell_history(json_t *story, const json_t *client, const json_t *transfers)
{
    char *text = client != NULL ? counts_text(client) : text_copy("");
    const char *reason = json_get_text(client, "reason");
    if (*reason != '\0')
        text = text_join(text, text_format(" Noted: %s.", reason));
    char *counts = count_verdicts(transfers);
    if (*counts != '\0')
        text =
            text_join(text, text_format("%sRemembered transfers: %s.", *text ? " " : "", counts));
    free(counts);
    tell(story, "So far", text);
}

static void tell_latest_incident(json_t *story, const json_t *incident, const json_t *client)
{
    const char *verdict = json_get_text(incident, "verdict"),
               *id = json_get_text(incident, "queue_id");
    const struct verdict_words *words = words_of(incident);
    char *time = show_time(incident, "time");
    char *declared = octets(incident, "declared");
    char *text = text_format("%s UTC%s%s: %s, with %s declared. %s", time, *id ? ", " : "", id,
                             verdict, declared, words ? words->why : "");
    if (*id != '\0')
        text = text_join(text, text_format(" The whole of it: bdatctl explain %s", id));
    tell(story, "Latest trouble", text);
    free(time);
    free(declared);
    tell_advice(story, incident, client);
}

json_t *story_of_client(const char *address, const json_t *client, const json_t *transfers,
                        const json_t *incidents, const struct outlook_rules *rules)
{
    if (client == NULL && json_array_size(transfers) == 0 && json_array_size(incidents) == 0)
        return NULL;
    json_t *story = json_array();
    const char *network = json_get_text(client, "client");
    tell_history(story, client, transfers);
    const json_t *latest = json_array_get(incidents, 0);
    if (latest != NULL)
        tell_latest_incident(story, latest, client);
    tell(story, "Next time", outlook_text(*network ? network : address, client, "", rules));
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
