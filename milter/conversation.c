#include "milter/conversation.h"

#include <string.h>

/* What Postfix runs instead of a command that the guard keeps from it: an unknown command is
 * answered 500, a malformed BDAT 521 and a hang-up (smtpd.c, bdat_cmd()). Postfix logs them. */
#define GUARD_COMMAND "BDAT_GUARD_NEEDS_MAIL_FIRST"
#define GUARD_BDAT_NEEDS_MAIL "BDAT guard: needs MAIL first"
#define GUARD_BDAT_MAX_CHUNKS "BDAT guard: more than limits.max_chunks"
#define GUARD_BDAT_MAX_MESSAGE "BDAT guard: more than limits.max_message"
#define GUARD_BDAT_IN_VAIN "BDAT guard: too many octets in refused transfers"

static const char *const state_names[CONVERSATION_STATES] = {
    [CONVERSATION_CONNECTED] = "connected", [CONVERSATION_GREETED] = "greeted",
    [CONVERSATION_ENVELOPE] = "envelope",   [CONVERSATION_CHUNKS] = "chunks",
    [CONVERSATION_LAST] = "last",           [CONVERSATION_DATA] = "data",
    [CONVERSATION_ENDED] = "ended",
};

static const char *const mode_names[SESSION_MODES] = {
    [SESSION_NONE] = "none",
    [SESSION_BDAT] = "bdat",
    [SESSION_DATA] = "data",
    [SESSION_MIXED] = "mixed",
};

/* How often a session may declare max_message in transfers that are refused or given up: a
 * refused message must not cost the sound one behind it, an endless row of them must. Without a
 * max_message it is 1 GiB each time. */
#define IN_VAIN_FACTOR 10
#define IN_VAIN_UNIT ((uint64_t)1 << 30)

/* Everything a step needs, so that the steps have few arguments. */
struct step {
    struct conversation *conversation;
    const struct conversation_rules *rules;
    const struct hooks_seen *seen;
    struct conversation_result *result;
    const struct smtp_command *command;
    const char *line;
    size_t length;
    int64_t now_ms;
    int64_t now_wall_ms;
};

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
    return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

static void clear_result(struct conversation_result *result)
{
    result->replacement = NULL;
    result->has_ended = result->was_judged = false;
    result->data_ended = result->data_succeeded = result->data_over = false;
}

/* The one place that changes the state. */
static void set_state(struct conversation *conversation, enum conversation_state state)
{
    conversation->state = state;
}

/* Back to no message at hand; the session stays. Idempotent. */
static void reset_message(struct conversation *conversation)
{
    transfer_reset(&conversation->transfer);
    conversation->has_envelope = false;
    conversation->judged = false;
    conversation->judgement = (struct judgement){VERDICT_NONE, 0};
}

void conversation_begin(struct conversation *conversation, const struct address *client,
                        bool offered, int64_t now_wall_ms)
{
    uint64_t generation = conversation->generation;
    uint64_t id = conversation->transfer.id;
    memset(conversation, 0, sizeof(*conversation));
    conversation->generation = generation + 1;
    conversation->transfer.id = id;
    conversation->since_wall_ms = now_wall_ms;
    conversation->offered = offered;
    conversation->announced = conversation->whole = conversation->has_client = client != NULL;
    if (client != NULL)
        conversation->client = *client;
    reset_message(conversation);
    set_state(conversation, CONVERSATION_CONNECTED);
}

/* True if the octets of such a transfer were read and thrown away. Not so where nobody knows. */
static bool was_in_vain(enum verdict verdict)
{
    return verdict == VERDICT_FAILED_ELSEWHERE || verdict == VERDICT_ABANDONED ||
           verdict == VERDICT_REFUSED;
}

static uint64_t in_vain_unit(const struct conversation_rules *rules)
{
    return rules->max_message > 0 ? rules->max_message : IN_VAIN_UNIT;
}

/* A transfer counts as one unit at most: one that was far too large must not cost the sound ones
 * behind it. */
static void count_in_vain(struct conversation *conversation,
                          const struct conversation_rules *rules)
{
    uint64_t octets = conversation->transfer.declared;
    if (octets > in_vain_unit(rules))
        octets = in_vain_unit(rules);
    conversation->declared_in_vain = add_saturated(conversation->declared_in_vain, octets);
}

/* Puts the judgement of the message at hand into the result and starts afresh. */
static void hand_out(struct step *step, struct judgement judgement)
{
    struct conversation *conversation = step->conversation;
    struct conversation_result *result = step->result;
    if (was_in_vain(judgement.verdict))
        count_in_vain(conversation, step->rules);
    result->has_ended = true;
    result->was_judged = conversation->judged;
    result->judgement = judgement;
    result->ended = conversation->transfer;
    result->ended.evidence = judgement.evidence;
    reset_message(conversation);
}

static void settle_bdat(struct step *step, enum transfer_ending ending, bool foreign)
{
    struct conversation *conversation = step->conversation;
    struct judgement judgement = conversation->judgement;
    if (!conversation->judged)
        judgement = transfer_judge_ending(&conversation->transfer, ending, step->seen,
                                          step->now_ms, step->rules->stall_seconds);
    else if (foreign && verdict_strikes(judgement.verdict) < verdict_strikes(VERDICT_OVERRUN))
        judgement.verdict = VERDICT_OVERRUN;
    if (foreign)
        judgement.evidence |= EVIDENCE_FOREIGN_INPUT;
    hand_out(step, judgement);
}

static void settle_data(struct step *step, enum transfer_ending ending)
{
    const struct transfer *transfer = &step->conversation->transfer;
    if (transfer->admitted) {
        bool vanished = ending == TRANSFER_ENDED_BY_SESSION && !transfer->command_followed &&
                        step->seen->milter;
        step->result->data_over = true;
        step->result->data_ended = transfer->has_received || vanished;
        step->result->data_succeeded = transfer->has_received;
        step->result->ended = *transfer;
    }
    reset_message(step->conversation);
}

/* Keeps the first line behind a chunk that is worth a word; never what may be credentials. */
static void note_line(struct step *step)
{
    struct transfer *transfer = &step->conversation->transfer;
    if (transfer->followed_by[0] != '\0' || step->conversation->credentials_may_follow)
        return;
    transfer_copy_printable(transfer->followed_by, sizeof(transfer->followed_by), step->line,
                            step->length);
    if (step->length == 0)
        strcpy(transfer->followed_by, "(an empty line)");
}

static void begin_transfer(struct step *step, enum transfer_mode mode)
{
    struct conversation *conversation = step->conversation;
    struct transfer *transfer = &conversation->transfer;
    transfer->mode = mode;
    transfer->whole = conversation->whole;
    transfer->offered = conversation->offered;
    transfer->has_client = conversation->has_client;
    transfer->client = conversation->client;
    transfer->started_ms = transfer->last_chunk_ms = step->now_ms;
    transfer->started_wall_ms = step->now_wall_ms;
    memcpy(transfer->helo, conversation->helo, sizeof(transfer->helo));
    if (transfer->body_type == SMTP_BODY_BINARYMIME)
        transfer->evidence |= EVIDENCE_BINARYMIME;
    if (mode == TRANSFER_BDAT)
        conversation->used_bdat = true;
    else
        conversation->used_data = true;
}

static bool exceeds(uint64_t value, uint64_t limit)
{
    return limit > 0 && value > limit;
}

/* The limits this chunk breaks, evidence bits. */
static unsigned check_chunk(const struct conversation *conversation,
                            const struct conversation_rules *rules, uint64_t octets, bool last)
{
    const struct transfer *transfer = &conversation->transfer;
    unsigned broken = 0;
    if (exceeds(transfer->chunk_count + 1, rules->max_chunks))
        broken |= EVIDENCE_MAX_CHUNKS;
    if (exceeds(octets, rules->max_chunk))
        broken |= EVIDENCE_MAX_CHUNK;
    if (octets < rules->min_chunk && !last)
        broken |= EVIDENCE_MIN_CHUNK;
    if (exceeds(add_saturated(transfer->declared, octets), rules->max_message))
        broken |= EVIDENCE_MAX_MESSAGE;
    return broken;
}

/* What the guard puts in place of this BDAT; NULL = let it pass. A first chunk that is too large
 * is left to the policy service, whose answer can name the limit. */
static const char *guard_bdat(const struct step *step, unsigned broken)
{
    const struct conversation *conversation = step->conversation;
    const struct conversation_rules *rules = step->rules;
    if (!rules->guard)
        return NULL;
    if (broken & EVIDENCE_MAX_CHUNKS)
        return GUARD_BDAT_MAX_CHUNKS;
    if ((broken & EVIDENCE_MAX_MESSAGE) && conversation->transfer.chunk_count > 0)
        return GUARD_BDAT_MAX_MESSAGE;
    if (conversation->declared_in_vain / IN_VAIN_FACTOR > in_vain_unit(rules))
        return GUARD_BDAT_IN_VAIN;
    return NULL;
}

/* Ends the message at hand here and now. A command hands out one transfer: where it has ended
 * another one already, this one is left to the next. */
static void settle_now(struct step *step, enum conversation_state next)
{
    if (step->result->has_ended || step->result->data_over)
        return;
    settle_bdat(step, TRANSFER_ENDED_BY_COMMAND, false);
    set_state(step->conversation, next);
}

static void count_chunk(struct step *step)
{
    struct conversation *conversation = step->conversation;
    struct transfer *transfer = &conversation->transfer;
    const struct smtp_command *command = step->command;
    transfer_add_chunk(transfer, command->octets, command->last, step->now_ms);
    conversation->declared = add_saturated(conversation->declared, command->octets);
    if (command->last)
        conversation->spent = true;
    else if (command->octets == 0 && transfer->chunk_count == 1)
        conversation->unasked = true;
    set_state(conversation, command->last ? CONVERSATION_LAST : CONVERSATION_CHUNKS);
    if (!transfer->offered)
        settle_now(step, CONVERSATION_ENDED); /* answered 521 and a hang-up */
    else if (transfer->refused && command->last)
        settle_now(step, CONVERSATION_GREETED); /* the payload is read and dropped */
}

static void take_bdat(struct step *step)
{
    struct conversation *conversation = step->conversation;
    struct transfer *transfer = &conversation->transfer;
    const struct smtp_command *command = step->command;
    conversation->chunks++;
    if (conversation->spent && step->rules->guard) {
        step->result->replacement = GUARD_BDAT_NEEDS_MAIL;
        set_state(conversation, CONVERSATION_ENDED);
        return;
    }
    if (transfer->mode == TRANSFER_NONE)
        begin_transfer(step, TRANSFER_BDAT);
    if (command->malformed) {
        transfer->evidence |= EVIDENCE_MALFORMED;
        note_line(step);
        set_state(conversation, CONVERSATION_CHUNKS);
        settle_now(step, CONVERSATION_ENDED);
        return;
    }
    unsigned broken = check_chunk(conversation, step->rules, command->octets, command->last);
    const char *replacement = guard_bdat(step, broken);
    transfer->evidence |= broken;
    if (replacement != NULL) {
        transfer->evidence |= EVIDENCE_GUARDED;
        step->result->replacement = replacement;
        set_state(conversation, CONVERSATION_CHUNKS);
        settle_now(step, CONVERSATION_ENDED);
        return;
    }
    count_chunk(step);
}

static void take_mail(struct step *step)
{
    struct conversation *conversation = step->conversation;
    struct transfer *transfer = &conversation->transfer;
    const struct smtp_command *command = step->command;
    if (command->malformed)
        return; /* Postfix answers 501 and stays where it was */
    conversation->whole = true;
    conversation->spent = false;
    reset_message(conversation);
    conversation->has_envelope = true;
    transfer->has_size = command->has_size;
    transfer->size = command->size;
    transfer->body_type = command->body;
    transfer_copy_printable(transfer->sender, sizeof(transfer->sender), command->argument.text,
                            command->argument.length);
    set_state(conversation, CONVERSATION_ENVELOPE);
}

static void take_hello(struct step *step)
{
    struct conversation *conversation = step->conversation;
    if (step->command->malformed)
        return; /* Postfix answers 501 and stays where it was */
    transfer_copy_printable(conversation->helo, sizeof(conversation->helo),
                            step->command->argument.text, step->command->argument.length);
    if (!conversation->announced)
        conversation->has_client = false; /* it may be the next one already */
    reset_message(conversation);
    set_state(conversation, CONVERSATION_GREETED);
}

/* After a BDAT transfer Postfix may still hold its recipients, but no queue file. A client that has
 * sent a new MAIL is in order, whatever Postfix makes of it and of the RCPTs behind it: should DATA
 * or BDAT follow without a queue file, the policy service knows by the missing queue id. */
static void take_rcpt(struct step *step)
{
    if (step->conversation->spent && step->rules->guard)
        step->result->replacement = GUARD_COMMAND;
}

static void take_rset(struct step *step)
{
    struct conversation *conversation = step->conversation;
    if (step->command->malformed)
        return; /* Postfix answers 501 and stays where it was */
    conversation->spent = conversation->unasked = false;
    reset_message(conversation);
    set_state(conversation, CONVERSATION_GREETED);
}

static void take_data(struct step *step)
{
    struct conversation *conversation = step->conversation;
    if (conversation->spent && step->rules->guard) {
        step->result->replacement = GUARD_COMMAND;
        return;
    }
    begin_transfer(step, TRANSFER_DATA);
    set_state(conversation, CONVERSATION_DATA);
}

/* Message text read as a command. */
static bool is_foreign(const struct smtp_command *command)
{
    return command->verb == SMTP_VERB_NONE || command->prose;
}

/* A line between the chunks of a transfer. True when the transfer is over with it. */
static bool interrupts_chunks(struct step *step)
{
    struct transfer *transfer = &step->conversation->transfer;
    if (is_foreign(step->command))
        transfer->evidence |= EVIDENCE_FOREIGN_INPUT;
    switch (step->command->verb) {
    case SMTP_VERB_BDAT:
        return false;
    case SMTP_VERB_QUIT:
        note_line(step);
        return true;
    case SMTP_VERB_RSET:
    case SMTP_VERB_EHLO:
    case SMTP_VERB_HELO:
        note_line(step);
        if (!step->command->malformed)
            return true;
        break; /* Postfix answers 501 and stays in the message */
    case SMTP_VERB_MAIL:
        /* Postfix answers "nested MAIL" and stays in the message: what follows is added to it. */
        note_line(step);
        if (!step->command->prose)
            transfer->evidence |= EVIDENCE_NESTED_MAIL;
        break;
    default:
        if (is_foreign(step->command))
            note_line(step);
        break;
    }
    transfer->command_followed = true;
    return false;
}

/* Ends the message at hand where this command shows that it is over. */
static void settle_before(struct step *step)
{
    struct conversation *conversation = step->conversation;
    bool foreign = is_foreign(step->command);
    switch (conversation->state) {
    case CONVERSATION_CHUNKS:
        if (interrupts_chunks(step)) {
            settle_bdat(step, TRANSFER_ENDED_BY_COMMAND, false);
            set_state(conversation, CONVERSATION_GREETED);
        }
        break;
    case CONVERSATION_LAST:
        if (foreign)
            note_line(step);
        settle_bdat(step, TRANSFER_ENDED_BY_COMMAND, foreign);
        set_state(conversation, CONVERSATION_GREETED);
        break;
    case CONVERSATION_DATA:
        settle_data(step, TRANSFER_ENDED_BY_COMMAND);
        set_state(conversation, CONVERSATION_GREETED);
        break;
    case CONVERSATION_ENDED:
        set_state(conversation, CONVERSATION_GREETED);
        break;
    default:
        break;
    }
}

static void take_command(struct step *step)
{
    struct conversation *conversation = step->conversation;
    bool in_chunks = conversation->state == CONVERSATION_CHUNKS;
    switch (step->command->verb) {
    case SMTP_VERB_BDAT:
        take_bdat(step);
        break;
    case SMTP_VERB_MAIL:
        if (!in_chunks)
            take_mail(step);
        break;
    case SMTP_VERB_EHLO:
    case SMTP_VERB_HELO:
        take_hello(step);
        break;
    case SMTP_VERB_RCPT:
        if (!in_chunks)
            take_rcpt(step);
        break;
    case SMTP_VERB_DATA:
        if (!in_chunks)
            take_data(step);
        break;
    case SMTP_VERB_RSET:
        take_rset(step);
        break;
    case SMTP_VERB_QUIT:
        set_state(conversation, CONVERSATION_ENDED);
        break;
    default:
        break;
    }
}

void conversation_take_command(struct conversation *conversation, const char *line,
                               size_t length, const struct conversation_rules *rules,
                               const struct hooks_seen *seen, int64_t now_ms,
                               int64_t now_wall_ms, struct conversation_result *result)
{
    struct smtp_command command;
    smtp_command_parse(line, length, &command);
    struct step step = {
        .conversation = conversation, .rules = rules,     .seen = seen,
        .result = result,             .command = &command, .line = line,
        .length = length,             .now_ms = now_ms,   .now_wall_ms = now_wall_ms,
    };
    clear_result(result);
    if (command.verb == SMTP_VERB_AUTH)
        conversation->credentials_may_follow = true;
    else if (command.verb != SMTP_VERB_NONE && command.verb != SMTP_VERB_OTHER)
        conversation->credentials_may_follow = false;
    settle_before(&step);
    take_command(&step);
}

unsigned conversation_broken_limits(const struct conversation *conversation)
{
    return conversation->transfer.evidence & EVIDENCE_OF_LIMITS;
}

void conversation_identify(struct conversation *conversation, const char *queue_id,
                           const char *client_name, const struct address *client)
{
    struct transfer *transfer = &conversation->transfer;
    transfer_copy_printable(transfer->queue_id, sizeof(transfer->queue_id), queue_id,
                            strlen(queue_id));
    transfer_copy_printable(transfer->client_name, sizeof(transfer->client_name), client_name,
                            strlen(client_name));
    if (client == NULL)
        return;
    conversation->client = transfer->client = *client;
    conversation->has_client = transfer->has_client = true;
}

void conversation_admit(struct conversation *conversation)
{
    struct transfer *transfer = &conversation->transfer;
    transfer->admitted = true;
    if (!conversation->has_envelope)
        transfer->whole = false; /* Postfix knows of a MAIL that we did not see */
}

void conversation_refuse(struct conversation *conversation,
                         const struct conversation_rules *rules, const struct hooks_seen *seen,
                         int64_t now_ms, struct conversation_result *result)
{
    struct step step = {
        .conversation = conversation, .rules = rules, .seen = seen,
        .result = result,             .now_ms = now_ms,
    };
    clear_result(result);
    conversation->transfer.refused = true;
    if (conversation->state == CONVERSATION_LAST)
        settle_now(&step, CONVERSATION_GREETED);
}

void conversation_receive(struct conversation *conversation, const char *queue_id,
                          uint64_t received, uint64_t recipients)
{
    struct transfer *transfer = &conversation->transfer;
    if (transfer->queue_id[0] != '\0' && strcmp(transfer->queue_id, queue_id) != 0)
        return;
    transfer->has_received = true;
    transfer->received = received;
    /* Of a message without octets Postfix tells the SIZE of MAIL instead (smtpd_check.c). */
    if (transfer->chunk_count > 0 && transfer->declared == 0)
        transfer->received = 0;
    transfer->recipients = recipients;
}

void conversation_take_judgement(struct conversation *conversation, uint64_t transfer_id,
                                 const struct judgement *judgement)
{
    if (conversation->transfer.id != transfer_id)
        return;
    conversation->judged = true;
    conversation->judgement = *judgement;
}

void conversation_take_abort(struct conversation *conversation, int64_t now_ms)
{
    if (conversation->transfer.aborted_ms == 0)
        conversation->transfer.aborted_ms = now_ms;
}

bool conversation_is_in_the_air(const struct conversation *conversation)
{
    const struct transfer *transfer = &conversation->transfer;
    return (conversation->state == CONVERSATION_CHUNKS ||
            conversation->state == CONVERSATION_LAST) &&
           !conversation->judged && transfer->admitted && !transfer->has_received &&
           !transfer->command_followed;
}

void conversation_end(struct conversation *conversation, const struct conversation_rules *rules,
                      const struct hooks_seen *seen, int64_t now_ms,
                      struct conversation_result *result)
{
    struct step step = {
        .conversation = conversation, .rules = rules, .seen = seen,
        .result = result,             .now_ms = now_ms,
    };
    clear_result(result);
    if (conversation->state == CONVERSATION_CHUNKS || conversation->state == CONVERSATION_LAST)
        settle_bdat(&step, TRANSFER_ENDED_BY_SESSION, false);
    else if (conversation->state == CONVERSATION_DATA)
        settle_data(&step, TRANSFER_ENDED_BY_SESSION);
    set_state(conversation, CONVERSATION_ENDED);
}

enum session_mode conversation_mode(const struct conversation *conversation)
{
    if (conversation->used_bdat)
        return conversation->used_data ? SESSION_MIXED : SESSION_BDAT;
    return conversation->used_data ? SESSION_DATA : SESSION_NONE;
}

const char *conversation_state_name(enum conversation_state state)
{
    return state_names[state];
}

const char *session_mode_name(enum session_mode mode)
{
    return mode_names[mode];
}
