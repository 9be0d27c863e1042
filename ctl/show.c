#include "config.h"

#include "ctl/show.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/text.h"

char *show_time(const json_t *object, const char *name)
{
    char *text = text_copy(json_get_text(object, name));
    if (strlen(text) >= 20 && text[10] == 'T') {
        text[10] = ' ';
        text[19] = '\0';
    }
    return text;
}

char *show_number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (json_is_integer(value))
        return text_format("%lld", (long long)json_integer_value(value));
    return json_is_real(value) ? text_format("%g", json_real_value(value)) : text_copy("-");
}

void show_add_number(struct table *table, const json_t *object, const char *name)
{
    char *text = show_number(object, name);
    table_add(table, TONE_PLAIN, text);
    free(text);
}

void show_add_time(struct table *table, const json_t *object, const char *name)
{
    char *text = show_time(object, name);
    table_add(table, TONE_PLAIN, text);
    free(text);
}

char *show_words(const json_t *object, const char *name)
{
    char *words = text_copy("");
    size_t index;
    const json_t *word;
    json_array_foreach(json_object_get(object, name), index, word)
    {
        const char *text = json_string_value(word);
        char *longer = text_format("%s%s%s", words, *words ? "," : "", text == NULL ? "?" : text);
        free(words);
        words = longer;
    }
    return words;
}

void show_transfers(const struct ctl *ctl, const json_t *list, const char *nothing)
{
    static const struct column columns[] = {
        {"TIME (UTC)", false}, {"QUEUE-ID", false}, {"CLIENT", false}, {"CHUNKS", true},
        {"DECLARED", true},    {"RECEIVED", true},  {"DRIFT", true},   {"VERDICT", false},
        {"ACTION", false},     {"EVIDENCE", false},
    };
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    size_t index;
    const json_t *transfer;
    json_array_foreach(list, index, transfer)
    {
        const char *verdict = json_get_text(transfer, "verdict");
        show_add_time(table, transfer, "time");
        table_add(table, TONE_PLAIN, json_get_text(transfer, "queue_id"));
        table_add(table, TONE_PLAIN, json_get_text(transfer, "client_address"));
        show_add_number(table, transfer, "chunk_count");
        show_add_number(table, transfer, "declared");
        show_add_number(table, transfer, "received");
        show_add_number(table, transfer, "drift");
        table_add(table, style_verdict(verdict), verdict);
        table_add(table, TONE_PLAIN, json_get_text(transfer, "action"));
        char *evidence = show_words(transfer, "evidence");
        table_add(table, TONE_DIM, evidence);
        free(evidence);
    }
    if (table_rows(table) == 0)
        puts(nothing);
    else
        table_print(table, stdout, ctl->colour);
    table_free(&table);
}

double show_seconds_until(const char *rfc3339)
{
    struct tm when = {0};
    double fraction = 0;
    const char *rest = strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &when);
    if (rest == NULL)
        return 0;
    if (*rest == '.')
        fraction = strtod(rest, NULL);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return difftime(timegm(&when), now.tv_sec) + fraction - (double)now.tv_nsec / 1e9;
}

void show_clients(const struct ctl *ctl, const json_t *list, const char *nothing)
{
    static const struct column columns[] = {
        {"CLIENT", false},      {"STATE", false},        {"STRIKES", true},
        {"UNTIL (UTC)", false}, {"LAST-VERDICT", false}, {"LAST-SEEN (UTC)", false},
        {"BDAT", true},         {"DATA", true},          {"REMARK", false},
    };
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    size_t index;
    const json_t *client;
    json_array_foreach(list, index, client)
    {
        const char *state = json_get_text(client, "state");
        const char *verdict = json_get_text(client, "last_verdict");
        table_add(table, TONE_PLAIN, json_get_text(client, "client"));
        table_add(table, style_state(state), state);
        show_add_number(table, client, "strikes");
        show_add_time(table, client, "until");
        table_add(table, style_verdict(verdict), verdict);
        show_add_time(table, client, "last_seen");
        show_add_number(table, client, "bdat_transfers");
        show_add_number(table, client, "data_transfers");
        const char *reason = json_get_text(client, "reason");
        if (json_get_bool(client, "path_trouble"))
            reason = "path trouble";
        else if (json_get_bool(client, "needs_chunking"))
            reason = "needs CHUNKING";
        table_add(table, TONE_DIM, reason);
    }
    if (table_rows(table) == 0)
        puts(nothing);
    else
        table_print(table, stdout, ctl->colour);
    table_free(&table);
}
