#include "milter/json.h"

#include <stdio.h>

#include "milter/clock.h"

static json_t *text_or_null(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *count_or_null(bool known, uint64_t value)
{
    return known ? json_integer((json_int_t)value) : json_null();
}

json_t *json_time(int64_t wall_ms)
{
    char text[CLOCK_TEXT_SIZE];
    return wall_ms > 0 ? json_string(clock_format(wall_ms, text)) : json_null();
}

static json_t *address_or_null(bool known, const struct address *address)
{
    char text[NETWORK_TEXT_SIZE];
    return known ? json_string(address_format(address, text)) : json_null();
}

static json_t *list_chunks(const struct transfer *transfer)
{
    json_t *list = json_array();
    for (uint64_t i = 0; i < transfer->chunk_count && i < TRANSFER_CHUNKS_KEPT; i++)
        json_array_append_new(list, json_integer((json_int_t)transfer->chunks[i]));
    return list;
}

static json_t *list_evidence(unsigned evidence)
{
    json_t *list = json_array();
    for (unsigned bit = 0; bit < EVIDENCE_BITS; bit++)
        if (evidence & (1u << bit))
            json_array_append_new(list, json_string(evidence_name(bit)));
    return list;
}

json_t *json_record(const struct record *record)
{
    const struct transfer *transfer = &record->transfer;
    json_t *object = json_pack(
        "{s:o, s:s, s:o, s:s, s:s, s:s, s:o, s:o, s:I, s:I}", "time",
        json_time(record->time_wall_ms), "queue_id", transfer->queue_id, "client_address",
        address_or_null(transfer->has_client, &transfer->client), "client_name",
        transfer->client_name[0] != '\0' ? transfer->client_name : "unknown", "helo",
        transfer->helo, "sender", transfer->sender, "size_declared",
        count_or_null(transfer->has_size, transfer->size), "chunks", list_chunks(transfer),
        "chunk_count", (json_int_t)transfer->chunk_count, "declared",
        (json_int_t)transfer->declared);
    if (object == NULL)
        return NULL;
    json_t *more = json_pack(
        "{s:o, s:o, s:o, s:s, s:o, s:s, s:I}", "received",
        count_or_null(transfer->has_received, transfer->received), "body",
        count_or_null(record->has_body, record->body), "drift",
        transfer->has_received ? json_integer(transfer_drift(transfer)) : json_null(), "verdict",
        verdict_name(record->verdict), "evidence", list_evidence(transfer->evidence), "action",
        record->answered ? action_name(record->action) : "none", "elapsed_ms",
        (json_int_t)record->elapsed_ms);
    json_t *rest = json_pack(
        "{s:I, s:I, s:b, s:o, s:o, s:I, s:I, s:s, s:b}", "pid", (json_int_t)transfer->pid,
        "recipients", (json_int_t)transfer->recipients, "last", transfer->last, "reply",
        text_or_null(record->reply), "followed_by", text_or_null(transfer->followed_by),
        "since_last_bdat_ms", (json_int_t)record->since_chunk_ms, "strikes",
        (json_int_t)verdict_strikes(record->verdict), "mode",
        transfer->mode == TRANSFER_DATA ? "data" : "bdat", "observed",
        record->observed);
    if (more == NULL || rest == NULL || json_object_update(object, more) != 0 ||
        json_object_update(object, rest) != 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(more);
    json_decref(rest);
    return object;
}

char *json_record_text(const struct record *record)
{
    json_t *object = json_record(record);
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}

json_t *json_session(const struct session_view *view)
{
    const struct conversation *conversation = view->conversation;
    return json_pack(
        "{s:I, s:o, s:s, s:o, s:s, s:s, s:I, s:I, s:b}", "pid", (json_int_t)view->pid,
        "client_address", address_or_null(conversation->has_client, &conversation->client),
        "helo", conversation->helo, "since", json_time(conversation->since_wall_ms), "mode",
        session_mode_name(conversation_mode(conversation)), "state",
        conversation_state_name(conversation->state), "chunks",
        (json_int_t)conversation->chunks, "declared", (json_int_t)conversation->declared,
        "offered", conversation->offered);
}

static const char *client_state(const struct client_record *record, enum chunking pinned)
{
    if (pinned == CHUNKING_NEVER)
        return "pinned_never";
    if (pinned == CHUNKING_ALWAYS)
        return "pinned_always";
    return client_state_name(record->state);
}

json_t *json_client(const struct client_record *record, enum chunking pinned)
{
    char client[NETWORK_TEXT_SIZE];
    bool judged = record->bdat_transfers > 0 && record->last_verdict != VERDICT_NONE;
    json_t *object = json_pack(
        "{s:s, s:s, s:I, s:o, s:I, s:o, s:o, s:I, s:I}", "client",
        network_format(&record->client, client), "state", client_state(record, pinned),
        "strikes", (json_int_t)record->strikes, "until", json_time(record->until * 1000),
        "hold_seconds", (json_int_t)record->hold_seconds, "last_verdict",
        judged ? json_string(verdict_name(record->last_verdict)) : json_null(), "last_seen",
        json_time(record->last_seen * 1000), "bdat_transfers",
        (json_int_t)record->bdat_transfers, "data_transfers",
        (json_int_t)record->data_transfers);
    json_t *rest = json_pack(
        "{s:b, s:b, s:b, s:b, s:o, s:o}", "needs_chunking", record->needs_chunking,
        "path_trouble", record->state == CLIENT_PATH_TROUBLE, "proven", record->proven,
        "by_operator", record->by_operator, "reason", text_or_null(record->reason),
        "last_clean", json_time(record->last_clean * 1000));
    if (object == NULL || rest == NULL || json_object_update(object, rest) != 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(rest);
    return object;
}

json_t *json_option(const struct option_view *view, const char *in_force)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:o, s:b, s:s}", "name", view->name, "type",
                     view->type, "value", view->value, "in_force", in_force, "default",
                     view->preset, "file",
                     view->file, "line", count_or_null(view->line > 0, view->line),
                     "reloadable", view->reloadable, "help", view->help);
}
