#include "milter/sendmail_session.h"

#include <string.h>

#include "milter/smtp_command.h"

/* What stands for a line end and for the empty line behind the header, in octets. */
#define CRLF_OCTETS 2

/* Room for a MAIL command; what a parameter beyond says is not looked at. */
#define MAIL_LINE_SIZE 4096

static void copy_text(char *target, size_t size, const char *text)
{
    transfer_copy_printable(target, size, text, strlen(text));
}

void sendmail_session_reset(struct sendmail_session *session)
{
    struct transfer *transfer = &session->transfer;
    transfer_reset(transfer);
    transfer->offered = false;
    transfer->whole = true;
    transfer->client = session->client;
    transfer->has_client = session->has_client;
    memcpy(transfer->client_name, session->client_name, sizeof(transfer->client_name));
    memcpy(transfer->helo, session->helo, sizeof(transfer->helo));
    session->octets = 0;
}

void sendmail_session_begin(struct sendmail_session *session, const char *client_name,
                            const struct address *client, bool header_spaces)
{
    memset(session, 0, sizeof(*session));
    if (client_name[0] != '[') /* an address stands for a name that is not known */
        copy_text(session->client_name, sizeof(session->client_name), client_name);
    session->has_client = client != NULL;
    if (client != NULL)
        session->client = *client;
    session->header_spaces = header_spaces;
    sendmail_session_reset(session);
}

void sendmail_session_helo(struct sendmail_session *session, const char *name)
{
    copy_text(session->helo, sizeof(session->helo), name);
    sendmail_session_reset(session);
}

/* Adds `word` to the line, if there is room; returns the new length. */
static size_t add_word(char line[MAIL_LINE_SIZE], size_t length, const char *between,
                       const char *word)
{
    size_t gap = strlen(between), octets = strlen(word);
    if (octets >= MAIL_LINE_SIZE - gap || length > MAIL_LINE_SIZE - gap - octets)
        return length;
    memcpy(line + length, between, gap);
    memcpy(line + length + gap, word, octets);
    return length + gap + octets;
}

static void begin_times(struct transfer *transfer, const struct sendmail_time *time)
{
    transfer->started_ms = transfer->last_chunk_ms = time->now_ms;
    transfer->started_wall_ms = time->wall_ms;
}

bool sendmail_session_mail(struct sendmail_session *session, char *const *arguments,
                           const char *queue_id, const struct sendmail_time *time)
{
    struct transfer *transfer = &session->transfer;
    struct smtp_command command;
    char line[MAIL_LINE_SIZE];
    size_t length = 0;
    sendmail_session_reset(session);
    for (size_t i = 0; arguments[i] != NULL; i++)
        length = add_word(line, length, i == 0 ? "MAIL FROM:" : " ", arguments[i]);
    smtp_command_parse(line, length, &command);
    transfer_copy_printable(transfer->sender, sizeof(transfer->sender), command.argument.text,
                            command.argument.length);
    if (queue_id != NULL)
        copy_text(transfer->queue_id, sizeof(transfer->queue_id), queue_id);
    transfer->has_size = command.has_size;
    transfer->size = command.size;
    transfer->body_type = command.body;
    begin_times(transfer, time);
    if (command.body != SMTP_BODY_BINARYMIME)
        return false;
    transfer->evidence |= EVIDENCE_BINARYMIME;
    transfer->mode = TRANSFER_BDAT;
    return true;
}

void sendmail_session_rcpt(struct sendmail_session *session)
{
    session->transfer.recipients++;
}

bool sendmail_session_unknown(struct sendmail_session *session, const char *line,
                              const struct sendmail_time *time)
{
    struct transfer *transfer = &session->transfer;
    struct smtp_command command;
    smtp_command_parse(line, strlen(line), &command);
    if (command.verb != SMTP_VERB_BDAT)
        return false;
    if (transfer->mode != TRANSFER_BDAT)
        begin_times(transfer, time);
    transfer->mode = TRANSFER_BDAT;
    session->used_bdat = true;
    if (command.malformed)
        transfer->evidence |= EVIDENCE_MALFORMED;
    transfer_add_chunk(transfer, command.octets, command.last, time->now_ms);
    return true;
}

void sendmail_session_data(struct sendmail_session *session, const struct sendmail_time *time)
{
    begin_times(&session->transfer, time);
    session->transfer.mode = TRANSFER_DATA;
    session->used_data = true;
    session->octets = 0;
}

void sendmail_session_header(struct sendmail_session *session, const char *name,
                             const char *value)
{
    size_t length = strlen(value);
    session->octets += strlen(name) + 1 + length + CRLF_OCTETS;
    if (!session->header_spaces && length > 0)
        session->octets++;
    for (size_t i = 0; i < length; i++)
        if (value[i] == '\n' && (i == 0 || value[i - 1] != '\r'))
            session->octets++;
}

void sendmail_session_end_of_header(struct sendmail_session *session)
{
    session->octets += CRLF_OCTETS;
}

void sendmail_session_body(struct sendmail_session *session, size_t length)
{
    session->octets += length;
}

bool sendmail_session_has_bdat(const struct sendmail_session *session)
{
    return session->transfer.mode == TRANSFER_BDAT;
}

void sendmail_session_end_bdat(struct sendmail_session *session)
{
    struct transfer *transfer = &session->transfer;
    transfer->id++;
    transfer->mode = TRANSFER_NONE;
    transfer->declared = transfer->chunk_count = 0;
    memset(transfer->chunks, 0, sizeof(transfer->chunks));
    transfer->last = false;
    transfer->evidence = 0;
}

bool sendmail_session_exceeds_size(struct sendmail_session *session, uint64_t size_slack)
{
    struct transfer *transfer = &session->transfer;
    transfer->mode = TRANSFER_DATA; /* servers before 8.14 have no event for it */
    session->used_data = true;
    transfer->declared = transfer->size;
    transfer->received = session->octets;
    transfer->has_received = true;
    transfer->last = true;
    if (size_slack == 0 || !transfer->has_size || transfer->size == 0 ||
        transfer->received <= transfer->size ||
        transfer->received - transfer->size <= size_slack)
        return false;
    transfer->evidence |= EVIDENCE_SIZE_EXCEEDED;
    return true;
}

enum session_mode sendmail_session_mode(const struct sendmail_session *session)
{
    if (session->used_bdat)
        return session->used_data ? SESSION_MIXED : SESSION_BDAT;
    return session->used_data ? SESSION_DATA : SESSION_NONE;
}
