/*
 * A whole session, in one of two ways.
 *
 * A script of lines, so that any order of events is tried: "> LINE" is a command that Postfix takes
 * if it can, "< LINE" one that it refuses for a reason of its own; "aID", "f", "rN", "jC", "wN",
 * "m", "e" and "b" are the policy requests and a refusal, the milter's judgement, time, the
 * milter's begin, the end of the session and the next one; "iID" is a request at the end of a
 * message that had none at its begin; "gN" is the size of the largest message received, "p" a
 * server without policy service, "l" sets limits. A small model of smtpd
 * says where Postfix would write to a queue file that it does not have: the guard must have kept
 * the command away.
 *
 * An input that begins with "C" is a list of decisions of a client and a server that both keep to
 * RFC 5321 and RFC 3030: the guard never fires.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "milter/conversation.h"
#include "tests/fuzz/require.h"

#define SECRET "c2VjcmV0LXBhc3N3b3Jk"

static const struct address client = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What of smtpd's state decides whether a command is safe (smtpd.c of Postfix 3.7). */
struct smtpd {
    bool sender;
    unsigned recipients;
    bool queue_file;
    bool processing_bdat;
    bool discarding; /* a BDAT was refused: so are the rest, up to LAST (SMTPD_BDAT_STAT_ERROR) */
    bool hung_up;
    bool mail_tried;  /* well-formed, since the queue file was closed */
    bool had_queue_id; /* the policy service was told one in this session */
};

struct play {
    struct conversation conversation;
    struct conversation_rules rules;
    struct hooks_seen seen;
    struct smtpd smtpd;
    struct judgement judged;
    uint64_t judged_id;
    uint64_t last_id; /* of the transfer handed out last */
    int64_t now_ms;
    bool conforming;
};

/* ---- what always holds ---- */

static void check_text(const char *text, size_t size)
{
    size_t length = strnlen(text, size);
    require(length < size, "texts end");
    for (size_t i = 0; i < length; i++)
        require(text[i] >= ' ' && text[i] <= '~', "texts are printable");
}

static void check_transfer(const struct transfer *transfer)
{
    check_text(transfer->queue_id, sizeof(transfer->queue_id));
    check_text(transfer->client_name, sizeof(transfer->client_name));
    check_text(transfer->helo, sizeof(transfer->helo));
    check_text(transfer->sender, sizeof(transfer->sender));
    check_text(transfer->followed_by, sizeof(transfer->followed_by));
    uint64_t sum = 0;
    for (uint64_t i = 0; i < transfer->chunk_count && i < TRANSFER_CHUNKS_KEPT; i++)
        sum = transfer->chunks[i] > UINT64_MAX - sum ? UINT64_MAX : sum + transfer->chunks[i];
    require(sum <= transfer->declared, "chunks add up to what was declared");
    if (transfer->chunk_count <= TRANSFER_CHUNKS_KEPT)
        require(sum == transfer->declared, "few chunks are all of it");
}

static void check_secret(const void *block, size_t size)
{
    const char *octets = block;
    const char *at = octets;
    while ((at = memchr(at, SECRET[0], size - (size_t)(at - octets))) != NULL) {
        require(size - (size_t)(at - octets) < strlen(SECRET) ||
                    memcmp(at, SECRET, strlen(SECRET)) != 0,
                "credentials are not kept");
        at++;
    }
}

static bool is_judged_by_ending(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_MATCH:
    case VERDICT_NORMALIZED:
    case VERDICT_MISMATCH:
    case VERDICT_TRUNCATED:
    case VERDICT_SWALLOWED:
    case VERDICT_DOT_STUFFED:
    case VERDICT_SIZE_EXCEEDED:
    case VERDICT_OVERRUN:
    case VERDICT_NONE:
        return false;
    default:
        return true;
    }
}

/* Who has used BDAT as the standard has it, or may have been refused, gets no strike. */
static void check_blame(const struct play *play, const struct transfer *ended, enum verdict verdict)
{
    uint64_t known =
        ended->has_size && ended->size > play->seen.largest ? ended->size : play->seen.largest;
    bool large = ended->declared > TRANSFER_DEFAULT_SIZE_LIMIT && ended->declared > known;
    bool vanished = verdict == VERDICT_LOST || verdict == VERDICT_STALLED;
    if (vanished)
        require(ended->admitted && play->seen.milter, "what was lost had been taken");
    if (vanished)
        require(!large && !ended->null_chunk, "a refusal may look like that");
    if (ended->evidence & EVIDENCE_SIZE_UNKNOWN)
        require(large && verdict == VERDICT_FAILED_ELSEWHERE, "only large ones may be too large");
    if (ended->has_received && verdict == VERDICT_FAILED_ELSEWHERE)
        require(ended->admitted || (ended->evidence & (EVIDENCE_MALFORMED | EVIDENCE_GUARDED)),
                "received without a begin: nobody knows");
    if (!play->seen.policy && !ended->admitted && verdict == VERDICT_FAILED_ELSEWHERE)
        require(ended->null_chunk || (ended->evidence & (EVIDENCE_MALFORMED | EVIDENCE_GUARDED)),
                "a refusal is told from a missing policy service");
}

static void check_ended(struct play *play, const struct conversation_result *result)
{
    const struct transfer *ended = &result->ended;
    require(ended->mode == TRANSFER_BDAT, "what ends with a verdict is a BDAT transfer");
    require(ended->id > play->last_id, "no transfer is handed out twice");
    require(ended->id < play->conversation.transfer.id, "the message at hand is another");
    require(ended->evidence == result->judgement.evidence, "evidence is told alike");
    require(result->judgement.verdict < VERDICT_COUNT, "a verdict is one of the list");
    if (result->was_judged) {
        require(play->judged_id == ended->id, "what was judged is what ends");
        require(result->judgement.verdict == play->judged.verdict ||
                    result->judgement.verdict == VERDICT_OVERRUN,
                "a judgement stands, or an overrun follows it");
    } else {
        require(is_judged_by_ending(result->judgement.verdict), "nothing clean without milter");
        check_blame(play, ended, result->judgement.verdict);
    }
    if (result->judgement.verdict == VERDICT_DESYNCHRONIZED && !result->was_judged)
        require(ended->evidence & EVIDENCE_FOREIGN_INPUT, "desynchronized by a foreign line");
    if (!ended->offered && !result->was_judged)
        require(result->judgement.verdict == VERDICT_NOT_OFFERED, "not offered is not_offered");
    play->last_id = ended->id;
    check_transfer(ended);
    check_secret(ended, sizeof(*ended));
}

static void check_result(struct play *play, const struct conversation_result *result)
{
    const struct conversation *conversation = &play->conversation;
    require(conversation->state < CONVERSATION_STATES, "a state is one of the list");
    require(!(result->has_ended && result->data_ended), "one message ends at a time");
    if (result->has_ended)
        check_ended(play, result);
    check_transfer(&conversation->transfer);
    check_text(conversation->helo, sizeof(conversation->helo));
    check_secret(conversation, sizeof(*conversation));
    if (!play->rules.guard)
        require(result->replacement == NULL, "no guard, no replacement");
    if (play->conforming)
        require(result->replacement == NULL, "who keeps to the standard never meets the guard");
}

/* ---- smtpd ---- */

static void reset_mail(struct smtpd *smtpd)
{
    smtpd->sender = smtpd->queue_file = false;
    smtpd->processing_bdat = smtpd->discarding = false;
}

static void reset_all(struct smtpd *smtpd)
{
    reset_mail(smtpd);
    smtpd->recipients = 0;
}

/* DATA or the first BDAT is about to write: with recipients left over from a refused transfer there
 * may be no queue file. Then the policy service is the last to say no, which it knows by the
 * missing queue id of a session that had one, or should have had; without MAIL before, the guard
 * must have stepped in. */
static void check_queue_file(struct play *play)
{
    struct smtpd *smtpd = &play->smtpd;
    if (play->rules.guard && !smtpd->queue_file) {
        require(smtpd->mail_tried, "no queue file, and no guard");
        require(smtpd->had_queue_id || play->conversation.unasked, "no queue file, and none knows");
    }
    smtpd->had_queue_id |= smtpd->queue_file;
}

static void run_bdat(struct play *play, const struct smtp_command *command, bool taken)
{
    struct smtpd *smtpd = &play->smtpd;
    if (command->malformed || !play->conversation.offered) {
        smtpd->hung_up = true;
        return;
    }
    bool null = command->octets == 0 && !command->last;
    if (!smtpd->processing_bdat && smtpd->recipients > 0 && !null)
        check_queue_file(play);
    if (smtpd->discarding || !taken || smtpd->recipients == 0 || null) {
        if (command->last)
            reset_mail(smtpd); /* skip_bdat(): the recipients stay */
        else
            smtpd->processing_bdat = smtpd->discarding = true;
    } else if (command->last) {
        reset_all(smtpd);
    } else {
        smtpd->processing_bdat = true;
    }
    if (command->last)
        smtpd->mail_tried = false;
}

static void run_mail(struct smtpd *smtpd, const struct smtp_command *command, bool taken)
{
    if (command->malformed || smtpd->processing_bdat)
        return;
    smtpd->mail_tried = true;
    if (taken)
        smtpd->sender = true;
}

static void run_rcpt(struct smtpd *smtpd, const struct smtp_command *command, bool taken)
{
    if (command->malformed || smtpd->processing_bdat)
        return;
    if (smtpd->sender && taken) {
        smtpd->recipients++;
        smtpd->queue_file = true;
    }
}

/* What smtpd makes of the command that the table let pass. */
static void run_command(struct play *play, const char *line, size_t length, bool taken)
{
    struct smtp_command command;
    struct smtpd *smtpd = &play->smtpd;
    smtp_command_parse(line, length, &command);
    switch (command.verb) {
    case SMTP_VERB_BDAT:
        run_bdat(play, &command, taken);
        break;
    case SMTP_VERB_MAIL:
        run_mail(smtpd, &command, taken);
        break;
    case SMTP_VERB_RCPT:
        run_rcpt(smtpd, &command, taken);
        break;
    case SMTP_VERB_DATA:
        if (!command.malformed && !smtpd->processing_bdat && smtpd->recipients > 0) {
            check_queue_file(play);
            if (taken)
                reset_all(smtpd);
        }
        break;
    case SMTP_VERB_RSET:
    case SMTP_VERB_EHLO:
    case SMTP_VERB_HELO:
        if (!command.malformed)
            reset_all(smtpd);
        break;
    case SMTP_VERB_QUIT:
        smtpd->hung_up = true;
        break;
    default:
        break;
    }
}

/* ---- events ---- */

static void take_line(struct play *play, const char *line, size_t length, bool taken)
{
    struct conversation_result result;
    if (play->smtpd.hung_up)
        return;
    conversation_take_command(&play->conversation, line, length, &play->rules, &play->seen,
                              play->now_ms, play->now_ms, &result);
    check_result(play, &result);
    if (result.has_ended)
        play->seen.milter = false;
    if (result.replacement != NULL) {
        line = result.replacement;
        length = strlen(line);
    }
    run_command(play, line, length, taken);
}

static void end_session(struct play *play)
{
    struct conversation_result result;
    conversation_end(&play->conversation, &play->rules, &play->seen, play->now_ms, &result);
    check_result(play, &result);
    conversation_end(&play->conversation, &play->rules, &play->seen, play->now_ms, &result);
    require(!result.has_ended && !result.data_ended, "a session ends once");
    play->smtpd.hung_up = true;
}

static void begin_session(struct play *play, bool known, bool offered)
{
    end_session(play);
    conversation_begin(&play->conversation, known ? &client : NULL, offered, play->now_ms);
    play->smtpd = (struct smtpd){0};
}

static void judge(struct play *play, unsigned number)
{
    struct conversation *conversation = &play->conversation;
    if (conversation->transfer.mode != TRANSFER_BDAT)
        return; /* the milter judges what was begun by BDAT */
    play->judged = (struct judgement){(enum verdict)(number % VERDICT_COUNT), 0};
    play->judged_id = conversation->transfer.id;
    conversation_take_judgement(conversation, play->judged_id, &play->judged);
    struct judgement late = {VERDICT_MATCH, 0};
    if (play->judged_id > 1) /* a letter that comes late falls on no other message */
        conversation_take_judgement(conversation, play->judged_id - 1, &late);
    require(conversation->judgement.verdict == play->judged.verdict, "late letters change nothing");
}

/* The policy service answers that a limit is broken. */
static void refuse(struct play *play)
{
    struct conversation *conversation = &play->conversation;
    struct conversation_result result;
    if (conversation->transfer.admitted || conversation_broken_limits(conversation) == 0)
        return;
    conversation_refuse(conversation, &play->rules, &play->seen, play->now_ms, &result);
    require(result.replacement == NULL, "a refusal replaces nothing");
    check_result(play, &result);
}

static void take_credentials(struct play *play, bool at_once)
{
    char line[64];
    int length = snprintf(line, sizeof(line), "AUTH %s%s", at_once ? "PLAIN " : "LOGIN",
                          at_once ? SECRET : "");
    take_line(play, line, (size_t)length, true);
    take_line(play, SECRET, strlen(SECRET), true);
}

static void take_event(struct play *play, const char *line, size_t length)
{
    char text[64] = "";
    size_t rest = length - 1 < sizeof(text) - 1 ? length - 1 : sizeof(text) - 1;
    memcpy(text, line + 1, rest);
    unsigned number = (unsigned)strtoul(text, NULL, 10);
    switch (line[0]) {
    case 'a':
        conversation_identify(&play->conversation, text, text, NULL);
        conversation_admit(&play->conversation);
        break;
    case 'i':
        conversation_identify(&play->conversation, text, text, number % 2 ? &client : NULL);
        conversation_receive(&play->conversation, play->conversation.transfer.queue_id, number, 1);
        break;
    case 'g':
        play->seen.largest = number;
        break;
    case 'p':
        play->seen.policy = number % 2 == 1;
        break;
    case 'f':
        refuse(play);
        break;
    case 'r':
        conversation_receive(&play->conversation, play->conversation.transfer.queue_id, number, 1);
        break;
    case 'j':
        judge(play, number);
        break;
    case 'w':
        play->now_ms += number;
        break;
    case 'm':
        play->seen.milter = true;
        break;
    case 'e':
        end_session(play);
        break;
    case 'b':
        begin_session(play, number % 2 == 0, number < 2);
        break;
    case 'l':
        play->rules.max_chunks = number % 4;
        play->rules.max_message = number % 7 * 50;
        play->rules.min_chunk = number % 3;
        play->rules.guard = number % 5 != 4;
        break;
    case 's':
        take_credentials(play, number % 2 == 0);
        break;
    default:
        break;
    }
}

static void run_script(struct play *play, const char *script, size_t size)
{
    while (size > 0) {
        const char *end = memchr(script, '\n', size);
        size_t length = end != NULL ? (size_t)(end - script) : size;
        size_t used = end != NULL ? length + 1 : length;
        bool command = length >= 1 && (script[0] == '>' || script[0] == '<');
        size_t skip = length >= 2 && script[1] == ' ' ? 2 : 1;
        if (command && memchr(script, '\0', length) == NULL)
            take_line(play, script + skip, length - skip, script[0] == '>');
        else if (length >= 1 && !command)
            take_event(play, script, length);
        script += used;
        size -= used;
    }
}

/* ---- a client and a server that keep to the standards ---- */

struct decisions {
    const uint8_t *data;
    size_t left;
};

static unsigned decide(struct decisions *decisions, unsigned choices)
{
    if (decisions->left == 0)
        return 0;
    decisions->left--;
    return *decisions->data++ % choices;
}

static void say(struct play *play, bool taken, const char *line)
{
    take_line(play, line, strlen(line), taken);
}

/* RFC 5321 section 4.1.4: these may come at any time outside a mail transaction, and in it. */
static void say_aside(struct play *play, struct decisions *decisions)
{
    static const char *const asides[] = {"NOOP", "VRFY a", "HELP", "NOOP x", "EXPN b", "NOOP"};
    if (decide(decisions, 4) == 3)
        say(play, true, asides[decide(decisions, 6)]);
}

static void be_told(struct play *play, struct decisions *decisions, bool end)
{
    if (!end) {
        conversation_identify(&play->conversation, "Q1", "client", NULL);
        conversation_admit(&play->conversation);
        play->seen.milter = true;
        return;
    }
    conversation_receive(&play->conversation, "Q1", play->conversation.transfer.declared, 1);
    judge(play, decide(decisions, VERDICT_COUNT));
}

/* A client that has learnt that its message was refused may say so by RSET, or go on with MAIL. */
static void send_bdat(struct play *play, struct decisions *decisions)
{
    char line[48];
    bool taken = play->smtpd.recipients > 0 && play->smtpd.queue_file && decide(decisions, 3) != 2;
    unsigned chunks = decide(decisions, 4);
    for (unsigned i = 0; i <= chunks; i++) {
        snprintf(line, sizeof(line), "BDAT %u%s", decide(decisions, 200) + 1,
                 i == chunks ? " LAST" : "");
        say(play, taken, line);
        if (i == 0 && taken)
            be_told(play, decisions, false);
        if (i < chunks)
            say_aside(play, decisions);
        if (i < chunks && decide(decisions, 6) == 5) {
            say(play, true, "RSET");
            return;
        }
    }
    if (taken)
        be_told(play, decisions, true);
}

static void send_message(struct play *play, struct decisions *decisions)
{
    say(play, decide(decisions, 5) != 4, "MAIL FROM:<a@example.org> SIZE=100");
    say_aside(play, decisions);
    for (unsigned i = decide(decisions, 3) + 1; i > 0; i--)
        say(play, decide(decisions, 3) != 2, "RCPT TO:<b@example.org>");
    say_aside(play, decisions);
    switch (decide(decisions, 5)) {
    case 0:
        say(play, true, "RSET");
        break;
    case 1:
        say(play, decide(decisions, 3) != 2, "DATA");
        break;
    default:
        send_bdat(play, decisions);
        break;
    }
    if (decide(decisions, 4) == 3)
        say(play, true, decide(decisions, 2) ? "RSET" : "EHLO client.example.org");
}

static void run_conforming(struct play *play, struct decisions *decisions)
{
    play->conforming = true;
    while (decisions->left > 0) {
        begin_session(play, true, true);
        say(play, true, "EHLO client.example.org");
        if (decide(decisions, 3) == 2) {
            say(play, true, "STARTTLS");
            say(play, true, "EHLO client.example.org");
        }
        for (unsigned i = decide(decisions, 6); i > 0; i--)
            send_message(play, decisions);
        if (decide(decisions, 2))
            say(play, true, "QUIT");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct play play;
    if (size >= strlen(SECRET) && memmem(data, size, SECRET, strlen(SECRET)) != NULL)
        return 0; /* what stands elsewhere is no credential */
    memset(&play, 0, sizeof(play));
    play.rules = (struct conversation_rules){.guard = true, .stall_seconds = 30};
    play.seen.policy = true;
    conversation_begin(&play.conversation, NULL, true, 0);
    if (size > 0 && data[0] == 'C')
        run_conforming(&play, &(struct decisions){data + 1, size - 1});
    else
        run_script(&play, (const char *)data, size);
    end_session(&play);
    return 0;
}
