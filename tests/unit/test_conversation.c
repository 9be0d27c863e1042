/*
 * Conversations: what is said and asked in one session, as small scripts, and what comes of it.
 *
 * A script is one event a line:
 *   > LINE        the client's command
 *   admit ID      the policy service is asked at the begin of a message
 *   refuse        … and answers that a limit is broken
 *   receive ID N  the policy service is asked at its end, R = N
 *   name ID       … and it had not been asked at the begin
 *   largest N     R of the largest message ever
 *   judge WORD    the milter's verdict on the message at hand
 *   wait MS       time passes
 *   milter        the milter saw the message at hand
 *   end           the session is over
 *   begin         the next session of this process (begin unoffered: without CHUNKING)
 * What comes of it is written down as words: a verdict (with * if the milter had judged before, and
 * +evidence), data:ok or data:failed, guard:WORD for a command replaced, and at the end =STATE.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "milter/conversation.h"

struct play {
    struct conversation conversation;
    struct conversation_rules rules;
    struct hooks_seen seen;
    struct conversation_result result;
    struct transfer ended; /* the last that did */
    int64_t now_ms;
    char outcome[1024];
};

static void say(struct play *play, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct play *play, const char *format, ...)
{
    size_t used = strlen(play->outcome);
    va_list arguments;
    va_start(arguments, format);
    if (used > 0 && used < sizeof(play->outcome) - 1)
        play->outcome[used++] = ' ';
    vsnprintf(play->outcome + used, sizeof(play->outcome) - used, format, arguments);
    va_end(arguments);
}

static void say_evidence(struct play *play, unsigned evidence)
{
    for (unsigned bit = 0; bit < EVIDENCE_BITS; bit++)
        if (evidence & (1u << bit)) {
            strcat(play->outcome, "+");
            strcat(play->outcome, evidence_name(bit));
        }
}

static void note_result(struct play *play)
{
    const struct conversation_result *result = &play->result;
    if (result->has_ended) {
        say(play, "%s%s", verdict_name(result->judgement.verdict), result->was_judged ? "*" : "");
        say_evidence(play, result->judgement.evidence);
        assert_int_equal(result->ended.evidence, result->judgement.evidence);
    }
    if (result->data_ended)
        say(play, "data:%s", result->data_succeeded ? "ok" : "failed");
    if (result->has_ended || result->data_ended) {
        play->ended = result->ended;
        play->seen.milter = false;
    }
    if (result->replacement != NULL)
        say(play, "guard:%.4s", result->replacement);
}

/* As the ehlo lookup has it, and as the policy service has it. */
static const struct address the_client = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1}};
static const struct address real_client = {
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 9}};

static void take_event(struct play *play, const char *line, size_t length)
{
    struct conversation *conversation = &play->conversation;
    char event[160], word[32] = "", more[96] = "";
    assert_true(length < sizeof(event));
    memcpy(event, line, length);
    event[length] = '\0';
    if (event[0] == '>') {
        conversation_take_command(conversation, event + 2, length - 2, &play->rules, &play->seen,
                                  play->now_ms, play->now_ms + 1000000, &play->result);
        note_result(play);
        return;
    }
    assert_true(sscanf(event, "%31s %95[^\n]", word, more) >= 1);
    if (strcmp(word, "admit") == 0) {
        conversation_identify(conversation, more, "mx.example.org", &real_client);
        conversation_admit(conversation);
    } else if (strcmp(word, "name") == 0) {
        conversation_identify(conversation, more, "mx.example.org", &real_client);
    } else if (strcmp(word, "largest") == 0) {
        play->seen.largest = strtoull(more, NULL, 10);
    } else if (strcmp(word, "refuse") == 0) {
        conversation_refuse(conversation, &play->rules, &play->seen, play->now_ms, &play->result);
        note_result(play);
    } else if (strcmp(word, "receive") == 0) {
        char *number = strchr(more, ' ');
        assert_non_null(number);
        *number = '\0';
        conversation_receive(conversation, more, strtoull(number + 1, NULL, 10), 1);
    } else if (strcmp(word, "judge") == 0) {
        struct judgement judgement = {verdict_from_name(more), 0};
        assert_int_not_equal(judgement.verdict, VERDICT_NONE);
        conversation_take_judgement(conversation, conversation->transfer.id, &judgement);
    } else if (strcmp(word, "wait") == 0) {
        play->now_ms += strtoll(more, NULL, 10);
    } else if (strcmp(word, "milter") == 0) {
        play->seen.milter = true;
    } else if (strcmp(word, "abort") == 0) {
        conversation_take_abort(conversation, play->now_ms);
    } else if (strcmp(word, "gone") == 0) {
        conversation->transfer.server_gone = true;
    } else if (strcmp(word, "end") == 0) {
        conversation_end(conversation, &play->rules, &play->seen, play->now_ms, &play->result);
        note_result(play);
    } else if (strcmp(word, "begin") == 0) {
        conversation_begin(conversation, &the_client, more[0] == '\0', play->now_ms);
    } else {
        fail_msg("no such event: %s", event);
    }
}

static void run(struct play *play, const char *script)
{
    while (*script != '\0') {
        size_t length = strcspn(script, "\n");
        take_event(play, script, length);
        script += length + (script[length] == '\n');
    }
}

static void start(struct play *play)
{
    memset(play, 0, sizeof(*play));
    play->rules = (struct conversation_rules){.guard = true, .stall_seconds = 30};
    play->seen.policy = true;
    play->now_ms = 1000;
    /* A process whose session's begin was not seen; most scripts begin a new one. */
    conversation_begin(&play->conversation, NULL, true, 0);
}

/* ---- sequences ---- */

#define HELLO "begin\n> EHLO client.example.org\n"
#define MAIL "> MAIL FROM:<a@example.org> SIZE=50\n> RCPT TO:<b@example.org>\n"
#define SENT "> BDAT 50 LAST\nadmit Q1\nmilter\nreceive Q1 50\njudge match\n"

struct row {
    const char *name;
    const char *script;
    const char *outcome;
    struct conversation_rules rules; /* guard on and stall_seconds 30 are added */
    bool no_guard, no_policy;
};

static const struct row rows[] = {
    /* sound sessions */
    {"nothing", "begin", "=connected", {0}, false, false},
    {"a greeting", HELLO, "=greeted", {0}, false, false},
    {"an envelope", HELLO MAIL, "=envelope", {0}, false, false},
    {"a transfer", HELLO MAIL SENT "> QUIT", "match* =ended", {0}, false, false},
    {"settled by the end", HELLO MAIL SENT "end", "match* =ended", {0}, false, false},
    {"ended twice", HELLO MAIL SENT "end\nend", "match* =ended", {0}, false, false},
    {"two messages", HELLO MAIL SENT MAIL SENT "> QUIT", "match* match* =ended", {0}, false, false},
    {"RSET between",
     HELLO MAIL SENT "> RSET\n" MAIL SENT "> QUIT",
     "match* match* =ended",
     {0},
     false,
     false},
    {"NOOP, VRFY and EHLO between",
     HELLO MAIL SENT "> NOOP\n> VRFY a\n> EHLO x\n" MAIL SENT "> QUIT",
     "match* match* =ended",
     {0},
     false,
     false},
    {"taken back by Postfix, then the client goes",
     HELLO MAIL "> BDAT 50 LAST\nadmit Q1\nmilter\nabort\nwait 10\nend",
     "failed_elsewhere =ended",
     {0},
     false,
     false},
    {"the client goes, so Postfix takes it back",
     HELLO MAIL "> BDAT 50 LAST\nadmit Q1\nmilter\nabort\nwait 9\nend",
     "lost =ended",
     {0},
     false,
     false},
    {"taken back by Postfix after a while, then silence",
     HELLO MAIL "> BDAT 50 LAST\nadmit Q1\nmilter\nwait 10\nabort\nwait 300000\nend",
     "failed_elsewhere =ended",
     {0},
     false,
     false},
    {"refused at its begin by another, then silence",
     HELLO MAIL "> BDAT 50 LAST\nadmit Q1\nwait 300000\nend",
     "failed_elsewhere =ended",
     {0},
     false,
     false},
    {"Postfix is stopped",
     HELLO MAIL "> BDAT 50 LAST\nadmit Q1\nmilter\nabort\ngone\nend",
     "failed_elsewhere+server_gone =ended",
     {0},
     false,
     false},
    {"two sessions of one process",
     HELLO MAIL SENT "end\n" HELLO MAIL SENT "end",
     "match* match* =ended",
     {0},
     false,
     false},
    {"chunks",
     HELLO MAIL "> BDAT 10\nadmit Q1\nmilter\n> BDAT 20\n> BDAT 20 LAST\n"
                "receive Q1 50\njudge match\n> QUIT",
     "match* =ended",
     {0},
     false,
     false},
    {"NOOP between chunks",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> NOOP\n> BDAT 40 LAST\nmilter\n"
                "receive Q1 50\njudge match\n> QUIT",
     "match* =ended",
     {0},
     false,
     false},
    {"an empty last chunk",
     HELLO MAIL "> BDAT 50\nadmit Q1\nmilter\n> BDAT 0 LAST\n"
                "receive Q1 50\njudge match\n> QUIT",
     "match* =ended",
     {0},
     false,
     false},
    {"no client known", "> EHLO x\n" MAIL SENT "> QUIT", "match* =ended", {0}, false, false},
    {"STARTTLS first",
     HELLO "> STARTTLS\n> EHLO x\n" MAIL SENT "> QUIT",
     "match* =ended",
     {0},
     false,
     false},
    {"an address refused, another tried",
     HELLO "> MAIL FROM:<x@y>\n" MAIL SENT "> QUIT",
     "match* =ended",
     {0},
     false,
     false},
    {"all recipients refused, BDAT pipelined",
     HELLO MAIL "> BDAT 50 LAST\n" MAIL SENT "> QUIT",
     "failed_elsewhere match* =ended",
     {0},
     false,
     false},
    {"refused by another filter",
     HELLO MAIL "> BDAT 50 LAST\nadmit Q1\nmilter\nreceive Q1 50\n"
                "> RSET\n" MAIL SENT "> QUIT",
     "failed_elsewhere match* =ended",
     {0},
     false,
     false},
    {"a chunk refused, RSET",
     HELLO MAIL "> BDAT 50\n> RSET\n" MAIL SENT "> QUIT",
     "failed_elsewhere match* =ended",
     {0},
     false,
     false},
    {"a null chunk, which Postfix refuses",
     HELLO MAIL "> BDAT 0\n> BDAT 50 LAST\n> QUIT",
     "failed_elsewhere =ended",
     {0},
     false,
     false},
    {"the same, and nobody knows of a policy service",
     HELLO MAIL "> BDAT 0\n> BDAT 50 LAST\nend",
     "failed_elsewhere =ended",
     {0},
     false,
     true},
    {"a null chunk in the middle, then the client goes",
     HELLO MAIL "> BDAT 50\nadmit Q1\nmilter\n> BDAT 0\nwait 300000\nend",
     "failed_elsewhere =ended",
     {0},
     false,
     false},
    {"a null chunk in the middle, then LAST and RSET",
     HELLO MAIL "> BDAT 50\nadmit Q1\nmilter\n> BDAT 0\n> BDAT 9 LAST\n> RSET\n" MAIL SENT "end",
     "failed_elsewhere match* =ended",
     {0},
     false,
     false},
    {"a null chunk costs the next message nothing",
     HELLO MAIL "> BDAT 0\n> RSET\n" MAIL "> BDAT 50 LAST\nadmit Q1\nmilter\nend",
     "failed_elsewhere lost =ended",
     {0},
     false,
     false},
    {"too large for Postfix, maybe",
     HELLO MAIL "> BDAT 10240001 LAST\nadmit Q1\nmilter\nwait 300000\nend",
     "failed_elsewhere+size_unknown =ended",
     {0},
     false,
     false},
    {"too large by its second chunk, maybe",
     HELLO MAIL "> BDAT 10240000\nadmit Q1\nmilter\n> BDAT 1\nend",
     "failed_elsewhere+size_unknown =ended",
     {0},
     false,
     false},
    {"not too large: larger ones were received",
     HELLO MAIL "largest 20000000\n> BDAT 10240001 LAST\nadmit Q1\nmilter\nend",
     "lost =ended",
     {0},
     false,
     false},
    {"not too large: MAIL was taken with that SIZE",
     HELLO "> MAIL FROM:<a@b> SIZE=10240001\n> RCPT TO:<c@d>\n> BDAT 10240001 LAST\nadmit Q1\n"
           "milter\nend",
     "lost =ended",
     {0},
     false,
     false},
    {"the policy service is asked at the end only",
     HELLO MAIL "> BDAT 50 LAST\nname Q1\nreceive Q1 50\n> QUIT",
     "unverified =ended",
     {0},
     false,
     false},
    {"a session without mail", HELLO "> QUIT", "=ended", {0}, false, false},
    {"the milter was not asked",
     HELLO MAIL "> BDAT 50 LAST\nadmit Q1\nreceive Q1 50\n> QUIT",
     "unverified =ended",
     {0},
     false,
     false},
    {"the policy service is not asked",
     HELLO MAIL "> BDAT 50 LAST\n> QUIT",
     "unverified =ended",
     {0},
     false,
     true},
    /* DATA */
    {"DATA",
     HELLO MAIL "> DATA\nadmit Q1\nreceive Q1 50\n> QUIT",
     "data:ok =ended",
     {0},
     false,
     false},
    {"DATA, then BDAT",
     HELLO MAIL "> DATA\nadmit Q1\nreceive Q1 50\n" MAIL SENT "> QUIT",
     "data:ok match* =ended",
     {0},
     false,
     false},
    {"DATA lost",
     HELLO MAIL "> DATA\nadmit Q1\nmilter\nend",
     "data:failed =ended",
     {0},
     false,
     false},
    {"DATA refused", HELLO MAIL "> DATA\n> RSET", "=greeted", {0}, false, false},
    {"DATA taken, then refused",
     HELLO MAIL "> DATA\nadmit Q1\n> RSET",
     "=greeted",
     {0},
     false,
     false},
    {"DATA between chunks",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> DATA\n> BDAT 40 LAST\nmilter\n"
                "receive Q1 50\njudge match\n> QUIT",
     "match* =ended",
     {0},
     false,
     false},
    /* sessions that break */
    {"stalled",
     HELLO MAIL "> BDAT 2728 LAST\nadmit Q1\nmilter\nwait 30000\nend",
     "stalled =ended",
     {0},
     false,
     false},
    {"lost",
     HELLO MAIL "> BDAT 2728 LAST\nadmit Q1\nmilter\nwait 29999\nend",
     "lost =ended",
     {0},
     false,
     false},
    {"lost between chunks",
     HELLO MAIL "> BDAT 10\nadmit Q1\nmilter\nend",
     "lost =ended",
     {0},
     false,
     false},
    {"time counts from the last chunk",
     HELLO MAIL "> BDAT 10\nadmit Q1\nmilter\nwait 60000\n> BDAT 10\nwait 100\nend",
     "lost =ended",
     {0},
     false,
     false},
    {"stalled, and the next session begins",
     HELLO MAIL "> BDAT 2728 LAST\nadmit Q1\nmilter\nwait 300000\n"
                "end\n" HELLO,
     "stalled =greeted",
     {0},
     false,
     false},
    {"refused, then silence",
     HELLO MAIL "> BDAT 2728 LAST\nwait 300000\nend",
     "failed_elsewhere =ended",
     {0},
     false,
     false},
    {"NOOP after a chunk, then silence",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> NOOP\nwait 300000\nend",
     "abandoned =ended",
     {0},
     false,
     false},
    {"given up by RSET",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> RSET",
     "abandoned =greeted",
     {0},
     false,
     false},
    {"given up by QUIT",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> QUIT",
     "abandoned =ended",
     {0},
     false,
     false},
    {"given up by EHLO",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> EHLO x",
     "abandoned =greeted",
     {0},
     false,
     false},
    {"given up by STARTTLS",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> STARTTLS\n> EHLO x",
     "abandoned =greeted",
     {0},
     false,
     false},
    {"RSET with an argument changes nothing",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> RSET x\n"
                "> BDAT 40 LAST\nmilter\nreceive Q1 50\njudge match\n> QUIT",
     "match* =ended",
     {0},
     false,
     false},
    {"EHLO without a name changes nothing",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> EHLO\n"
                "> BDAT 40 LAST\nmilter\nreceive Q1 50\njudge match\n> QUIT",
     "match* =ended",
     {0},
     false,
     false},
    {"EHLO without a name in an envelope", HELLO MAIL "> EHLO", "=envelope", {0}, false, false},
    {"MAIL that Postfix cannot read", HELLO MAIL "> MAIL FROM <x>", "=envelope", {0}, false, false},
    {"desynchronized",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> the rest of a line\n> RSET",
     "desynchronized+foreign_input =greeted",
     {0},
     false,
     false},
    {"desynchronized, and yet judged",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> rest\n> BDAT 9 LAST\n"
                "milter\nreceive Q1 19\njudge desynchronized\n> QUIT",
     "desynchronized* =ended",
     {0},
     false,
     false},
    {"an empty line between chunks",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> \n> RSET",
     "desynchronized+foreign_input =greeted",
     {0},
     false,
     false},
    {"foreign lines after a refused chunk",
     HELLO MAIL "> BDAT 10\n> the rest\n> RSET",
     "failed_elsewhere+foreign_input =greeted",
     {0},
     false,
     false},
    {"MAIL between chunks",
     HELLO MAIL "> BDAT 10\nadmit Q1\n" MAIL "> BDAT 40 LAST\nmilter\n"
                "receive Q1 50\njudge desynchronized\n> QUIT",
     "desynchronized* =ended",
     {0},
     false,
     false},
    {"MAIL after a chunk, then QUIT",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> MAIL FROM:<x@y>\n> QUIT",
     "abandoned+nested_mail =ended",
     {0},
     false,
     false},
    {"overrun",
     HELLO MAIL SENT "> the rest of a line\n> QUIT",
     "overrun*+foreign_input =ended",
     {0},
     false,
     false},
    {"overrun by an empty line",
     HELLO MAIL SENT "> \n> QUIT",
     "overrun*+foreign_input =ended",
     {0},
     false,
     false},
    {"overrun by a sentence that begins with a verb",
     HELLO MAIL SENT "> Data is what we have\n> and more of it\n> QUIT",
     "overrun*+foreign_input guard:BDAT =ended",
     {0},
     false,
     false},
    {"overrun by a sentence that ends the session",
     HELLO MAIL SENT "> Quit smoking now\nend",
     "overrun*+foreign_input =ended",
     {0},
     false,
     false},
    {"what may be a command is none",
     HELLO MAIL SENT "> Help me with the rest\n> QUIT",
     "match* =ended",
     {0},
     false,
     false},
    {"private verbs are no overrun",
     HELLO MAIL SENT "> CLIENTID UUID 23bf83be\n> X-ANONYMOUSTLS\n> QUIT",
     "match* =ended",
     {0},
     false,
     false},
    {"private verbs of nobody knows whom",
     HELLO MAIL SENT "> XSHADOWREQUEST\n" MAIL SENT "> XWHATEVER x\n> QUIT",
     "match* match* =ended",
     {0},
     false,
     false},
    {"a sentence between the chunks",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> Mail was sent today\n> rset it now\n> QUIT",
     "desynchronized+foreign_input =ended",
     {0},
     false,
     false},
    {"a sentence between the chunks that ends the session",
     HELLO MAIL "> BDAT 10\nadmit Q1\n> quit smoking now\nend",
     "desynchronized+foreign_input =ended",
     {0},
     false,
     false},
    {"overrun once, whatever more comes",
     HELLO MAIL SENT "> rest\n> more\n> and more\n> QUIT",
     "overrun*+foreign_input =ended",
     {0},
     false,
     false},
    {"foreign lines behind a refused message",
     HELLO MAIL "> BDAT 50 LAST\n> the rest\n> QUIT",
     "failed_elsewhere+foreign_input =ended",
     {0},
     false,
     false},
    {"a foreign line after other commands is none of ours",
     HELLO MAIL SENT "> NOOP\n> hello there\n> QUIT",
     "match* =ended",
     {0},
     false,
     false},
    {"malformed right after a message",
     HELLO MAIL SENT "> BDAT x LAST\nend",
     "match* guard:BDAT =ended",
     {0},
     false,
     false},
    {"the same unguarded",
     HELLO MAIL SENT "> BDAT x LAST\nend",
     "match* failed_elsewhere+malformed =ended",
     {0},
     true,
     false},
    {"malformed right after DATA",
     HELLO MAIL "> DATA\nadmit Q1\nreceive Q1 50\n> BDAT x\nend",
     "data:ok failed_elsewhere+malformed =ended",
     {0},
     false,
     false},
    {"hung up, then nothing more",
     HELLO MAIL "> BDAT x LAST\nend\n" HELLO MAIL SENT "> QUIT",
     "failed_elsewhere+malformed match* =ended",
     {0},
     false,
     false},
    {"malformed",
     HELLO MAIL "> BDAT x LAST\nend",
     "failed_elsewhere+malformed =ended",
     {0},
     false,
     false},
    {"not offered",
     "begin unoffered\n> EHLO x\n" MAIL "> BDAT 50 LAST\nend",
     "not_offered =ended",
     {0},
     false,
     false},
    {"not offered, and DATA",
     "begin unoffered\n> EHLO x\n" MAIL "> DATA\nadmit Q1\nreceive Q1 50\n> QUIT",
     "data:ok =ended",
     {0},
     false,
     false},
    /* restarts: no begin was seen */
    {"in the middle of a transfer",
     "> BDAT 10 LAST\nadmit Q1\nmilter\nreceive Q1 900\n"
     "judge unverified\n> QUIT",
     "unverified* =ended",
     {0},
     false,
     false},
    {"in the middle, refused", "> BDAT 10 LAST\n> QUIT", "unverified =ended", {0}, false, false},
    {"the next message is whole again",
     "> BDAT 10 LAST\n" MAIL SENT "> QUIT",
     "unverified match* =ended",
     {0},
     false,
     false},
    {"in the middle of an envelope",
     "> RCPT TO:<a@b>\n> BDAT 50 LAST\nadmit Q1\nmilter\nend",
     "lost =ended",
     {0},
     false,
     false},
    {"foreign lines are none of ours", "> the rest of a line\n> QUIT", "=ended", {0}, false, false},
    /* the guard */
    {"DATA after a transfer",
     HELLO MAIL "> BDAT 99 LAST\n> DATA",
     "failed_elsewhere guard:BDAT "
     "=greeted",
     {0},
     false,
     false},
    {"RCPT after a transfer",
     HELLO MAIL SENT "> RCPT TO:<c@d>",
     "match* guard:BDAT =greeted",
     {0},
     false,
     false},
    {"BDAT after a transfer",
     HELLO MAIL SENT "> BDAT 5 LAST",
     "match* guard:BDAT =ended",
     {0},
     false,
     false},
    {"and again",
     HELLO MAIL SENT "> BDAT 5 LAST\n> BDAT 5\nend",
     "match* guard:BDAT guard:BDAT =ended",
     {0},
     false,
     false},
    {"the guard is off",
     HELLO MAIL "> BDAT 99 LAST\n> DATA\n> RSET",
     "failed_elsewhere =greeted",
     {0},
     true,
     false},
    {"MAIL that cannot be read does not help",
     HELLO MAIL "> BDAT 99 LAST\n> MAIL FROM :<x>\n> DATA",
     "failed_elsewhere guard:BDAT =greeted",
     {0},
     false,
     false},
    {"MAIL helps, whatever becomes of the recipients",
     HELLO MAIL "> BDAT 99 LAST\n> MAIL FROM:<x>\n> DATA\n> RSET",
     "failed_elsewhere =greeted",
     {0},
     false,
     false},
    {"RCPTs that cannot be read are answered by Postfix, and so is BDAT behind them",
     HELLO MAIL "> BDAT 99 LAST\n> MAIL FROM:<x>\n> RCPT TO <y>\n> RCPT\n> BDAT 1 LAST\n> NOOP",
     "failed_elsewhere failed_elsewhere =greeted",
     {0},
     false,
     false},
    {"MAIL helps but once",
     HELLO MAIL "> BDAT 99 LAST\n> MAIL FROM:<x>\n> BDAT 1 LAST\n> BDAT 1 LAST",
     "failed_elsewhere failed_elsewhere guard:BDAT =ended",
     {0},
     false,
     false},
    {"RSET with an argument does not help",
     HELLO MAIL "> BDAT 99 LAST\n> RSET x\n> DATA",
     "failed_elsewhere guard:BDAT =greeted",
     {0},
     false,
     false},
    {"RSET helps",
     HELLO MAIL "> BDAT 99 LAST\n> RSET\n> DATA\n> RSET",
     "failed_elsewhere =greeted",
     {0},
     false,
     false},
    {"blanks do not fool it",
     HELLO MAIL "> BDAT\v99\fLAST\n> DATA\t",
     "failed_elsewhere guard:BDAT "
     "=greeted",
     {0},
     false,
     false},
    {"EHLO alone does not clear it",
     HELLO MAIL "> BDAT 99 LAST\n> EHLO x\n> DATA",
     "failed_elsewhere guard:BDAT =greeted",
     {0},
     false,
     false},
    {"too many chunks",
     HELLO MAIL "> BDAT 1\nadmit Q1\n> BDAT 1\n> BDAT 1\nend",
     "refused+max_chunks+guarded guard:BDAT =ended",
     {.max_chunks = 2},
     false,
     false},
    {"as many as allowed",
     HELLO MAIL "> BDAT 1\nadmit Q1\n> BDAT 1 LAST\nmilter\nreceive Q1 2\n"
                "judge match\n> QUIT",
     "match* =ended",
     {.max_chunks = 2},
     false,
     false},
    {"too many octets in later chunks",
     HELLO MAIL "> BDAT 60\nadmit Q1\n> BDAT 41\nend",
     "refused+max_message+guarded guard:BDAT =ended",
     {.max_message = 100},
     false,
     false},
    {"as many octets as allowed",
     HELLO MAIL "> BDAT 60\nadmit Q1\nmilter\n> BDAT 40 LAST\n"
                "receive Q1 100\njudge match\n> QUIT",
     "match* =ended",
     {.max_message = 100},
     false,
     false},
    {"a first chunk too large is the policy service's",
     HELLO MAIL "> BDAT 101 LAST\n> QUIT",
     "refused+max_message =ended",
     {.max_message = 100},
     false,
     false},
    {"octets in vain, few",
     HELLO MAIL "> BDAT 60\n> RSET\n" MAIL "> BDAT 60\n> RSET\n" MAIL "> BDAT 1\nend",
     "failed_elsewhere failed_elsewhere failed_elsewhere =ended",
     {.max_message = 100},
     false,
     false},
    {"octets in vain, one message far too large",
     HELLO MAIL "> BDAT 110000 LAST\nrefuse\n" MAIL SENT "> QUIT",
     "refused+max_message match* =ended",
     {.max_message = 100},
     false,
     false},
    {"octets of accepted messages are not in vain",
     HELLO MAIL "> BDAT 60 LAST\nadmit Q1\njudge dot_stuffed\n" MAIL
                "> BDAT 60 LAST\nadmit Q1\njudge unverified\n" MAIL "> BDAT 60 LAST\nadmit Q1\n"
                "judge size_exceeded\n" MAIL SENT "> QUIT",
     "dot_stuffed* unverified* size_exceeded* match* =ended",
     {.max_message = 100},
     false,
     false},
    {"nor of those that nobody could judge",
     HELLO MAIL "> BDAT 90 LAST\n" MAIL "> BDAT 90 LAST\n" MAIL "> BDAT 90 LAST\n> QUIT",
     "unverified unverified unverified =ended",
     {.max_message = 100},
     false,
     true},
    {"refused by the policy service",
     HELLO MAIL "> BDAT 11 LAST\nrefuse",
     "refused+max_chunk =greeted",
     {.max_chunk = 10},
     false,
     false},
    {"refused, and lines that nobody asked for",
     HELLO MAIL "> BDAT 11 LAST\nrefuse\n> rest\n> DATA\n> QUIT",
     "refused+max_chunk guard:BDAT =ended",
     {.max_chunk = 10},
     false,
     false},
    {"refused at the first of three chunks",
     HELLO MAIL "> BDAT 11\nrefuse\n> BDAT 2\n> BDAT 3 LAST",
     "refused+max_chunk =greeted",
     {.max_chunk = 10},
     false,
     false},
    {"refused at the first chunk, the session ends",
     HELLO MAIL "> BDAT 11\nrefuse\nwait 300000\nend",
     "refused+max_chunk =ended",
     {.max_chunk = 10},
     false,
     false},
    {"refused, and a smaller message after it",
     HELLO MAIL "> BDAT 51 LAST\nrefuse\n" MAIL SENT "> QUIT",
     "refused+max_chunk match* =ended",
     {.max_chunk = 50},
     false,
     false},
    {"a chunk too large",
     HELLO MAIL "> BDAT 11 LAST\n> QUIT",
     "refused+max_chunk =ended",
     {.max_chunk = 10},
     false,
     false},
    {"a chunk too small",
     HELLO MAIL "> BDAT 9\n> RSET",
     "refused+min_chunk =greeted",
     {.min_chunk = 10},
     false,
     false},
    {"the last chunk may be small",
     HELLO MAIL "> BDAT 9 LAST\n> QUIT",
     "failed_elsewhere =ended",
     {.min_chunk = 10},
     false,
     false},
    {"BINARYMIME",
     HELLO "> MAIL FROM:<a@b> BODY=BINARYMIME\n> RCPT TO:<c@d>\n> BDAT 9 LAST\n> QUIT",
     "refused+binarymime =ended",
     {0},
     false,
     false},
};

static void test_sequences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct play play;
        start(&play);
        play.rules = row->rules;
        play.rules.guard = !row->no_guard;
        play.rules.stall_seconds = 30;
        play.seen.policy = !row->no_policy;
        run(&play, row->script);
        say(&play, "=%s", conversation_state_name(play.conversation.state));
        if (strcmp(play.outcome, row->outcome) != 0)
            fail_msg("%s: got \"%s\", wanted \"%s\"", row->name, play.outcome, row->outcome);
    }
}

/* An endless row of transfers given up is cut: after ten times max_message. */
static void test_octets_in_vain(void **state)
{
    (void)state;
    struct play play;
    start(&play);
    play.rules.max_message = 100;
    run(&play, HELLO);
    for (int message = 0; message < 11; message++) {
        play.outcome[0] = '\0';
        run(&play, MAIL "> BDAT 100\nadmit Q1\n> RSET\n");
        assert_string_equal(play.outcome, "abandoned");
    }
    play.outcome[0] = '\0';
    run(&play, MAIL "> BDAT 1\n");
    assert_string_equal(play.outcome, "failed_elsewhere+guarded guard:BDAT");
    /* The next session begins anew. */
    play.outcome[0] = '\0';
    run(&play, "end\n" HELLO MAIL SENT "> QUIT");
    assert_string_equal(play.outcome, "match*");
}

/* The same without max_message: after 10 GiB, of which each transfer is 1 GiB at most. */
static void test_octets_in_vain_without_a_limit(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        int rounds; /* that pass */
    } cases[] = {
        {MAIL "> BDAT 200000000\nadmit Q1\n> RSET\n", 54},
        {MAIL "> BDAT 900000000000 LAST\n> RSET\n", 11},
        {MAIL "> BDAT 5 LAST\n> RSET\n", 1000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct play play;
        start(&play);
        run(&play, HELLO);
        int rounds = 0;
        while (rounds < 1000 && strstr(play.outcome, "guard") == NULL) {
            play.outcome[0] = '\0';
            run(&play, cases[i].script);
            rounds += strstr(play.outcome, "guard") == NULL;
        }
        assert_int_equal(rounds, cases[i].rounds);
        run(&play, "end\n" HELLO);
        play.outcome[0] = '\0';
        run(&play, MAIL SENT "> QUIT");
        assert_string_equal(play.outcome, "match*");
    }
}

/* A long session of messages that were taken, or that nobody could judge, meets no guard. */
static void test_octets_taken_are_not_in_vain(void **state)
{
    (void)state;
    static const char *const endings[] = {
        "admit Q1\njudge match\n",       "admit Q1\njudge normalized\n",
        "admit Q1\njudge dot_stuffed\n", "admit Q1\njudge size_exceeded\n",
        "admit Q1\njudge unverified\n",  "admit Q1\nreceive Q1 100\n",
    };
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        struct play play;
        start(&play);
        play.rules.max_message = 100;
        run(&play, HELLO);
        for (int message = 0; message < 40; message++) {
            play.outcome[0] = '\0';
            run(&play, MAIL "> BDAT 100 LAST\n");
            run(&play, endings[i]);
            if (strstr(play.outcome, "guard") != NULL)
                fail_msg("message %d: %s", message, play.outcome);
        }
    }
}

/* ---- the ledger that is handed out ---- */

static void test_the_ledger(void **state)
{
    (void)state;
    struct play play;
    start(&play);
    run(&play, HELLO "> MAIL FROM:<a@example.org> SIZE=51 BODY=8BITMIME\n> RCPT TO:<b@c>\n"
                     "wait 5\n> BDAT 10\nadmit Q1\nwait 7\n> BDAT 40 LAST\nreceive Q1 52\n> QUIT");
    const struct transfer *ended = &play.ended;
    assert_int_equal(ended->mode, TRANSFER_BDAT);
    assert_string_equal(ended->queue_id, "Q1");
    assert_string_equal(ended->helo, "client.example.org");
    assert_string_equal(ended->sender, "a@example.org");
    assert_string_equal(ended->client_name, "mx.example.org");
    assert_memory_equal(&ended->client, &real_client, sizeof(real_client));
    assert_int_equal(ended->chunk_count, 2);
    assert_int_equal(ended->chunks[1], 40);
    assert_int_equal(ended->declared, 50);
    assert_int_equal(ended->received, 52);
    assert_int_equal(ended->recipients, 1);
    assert_int_equal(ended->size, 51);
    assert_int_equal(ended->body_type, SMTP_BODY_8BITMIME);
    assert_int_equal(ended->started_ms, 1005);
    assert_int_equal(ended->last_chunk_ms, 1012);
    assert_true(ended->has_size && ended->has_received && ended->last && ended->whole);
    assert_int_equal(conversation_mode(&play.conversation), SESSION_BDAT);
    assert_int_equal(play.conversation.chunks, 2);
    assert_int_equal(play.conversation.declared, 50);
}

/* Nothing of one message stays for the next. */
static void test_two_messages_do_not_mix(void **state)
{
    (void)state;
    struct play play;
    start(&play);
    run(&play, HELLO "> MAIL FROM:<a@b> SIZE=51 BODY=8BITMIME\n> RCPT TO:<b@c>\n> BDAT 10\n"
                     "admit Q1\n> BDAT 40 LAST\nreceive Q1 52\n> MAIL FROM:<>\n");
    uint64_t first = play.ended.id;
    run(&play, "> RCPT TO:<b@c>\n> BDAT 7 LAST\nadmit Q2\nreceive Q2 7\n> QUIT");
    assert_int_equal(play.ended.id, first + 2); /* one number is used up by MAIL itself */
    assert_string_equal(play.ended.queue_id, "Q2");
    assert_string_equal(play.ended.sender, "");
    assert_int_equal(play.ended.chunk_count, 1);
    assert_int_equal(play.ended.declared, 7);
    assert_false(play.ended.has_size);
    assert_int_equal(play.ended.body_type, SMTP_BODY_7BIT);
}

static void test_who_the_client_is(void **state)
{
    (void)state;
    struct play play;
    start(&play);
    run(&play, HELLO "> XCLIENT ADDR=192.0.2.9\n> EHLO x\n" MAIL "> BDAT 5 LAST\nadmit Q1\n> QUIT");
    assert_memory_equal(&play.ended.client, &real_client, sizeof(real_client));
    start(&play);
    run(&play, "> EHLO x\n" MAIL "> BDAT 5 LAST\nadmit Q1\n> QUIT");
    assert_true(play.ended.has_client);
    assert_memory_equal(&play.ended.client, &real_client, sizeof(real_client));
    start(&play);
    run(&play, "> EHLO x\n" MAIL "> BDAT 5 LAST\n> QUIT");
    assert_false(play.ended.has_client);
    /* Refused at its begin, or received without a request there: the request names it as well. */
    start(&play);
    play.rules.max_chunk = 4;
    run(&play, "> EHLO x\n" MAIL "> BDAT 5 LAST\nname Q1\nrefuse");
    assert_true(play.ended.has_client);
    start(&play);
    run(&play, "> BDAT 5 LAST\nname Q1\nreceive Q1 5\n> QUIT");
    assert_memory_equal(&play.ended.client, &real_client, sizeof(real_client));
    assert_string_equal(play.ended.queue_id, "Q1");
    assert_string_equal(play.ended.client_name, "mx.example.org");
    /* Without the ehlo lookup, a greeting may be that of another client. */
    start(&play);
    run(&play, "> EHLO x\n" MAIL SENT "> NOOP\n> EHLO y\n" MAIL "> BDAT 5 LAST\n> QUIT");
    assert_false(play.ended.has_client);
    start(&play);
    run(&play, HELLO MAIL SENT "> NOOP\n> EHLO y\n" MAIL "> BDAT 5 LAST\n> QUIT");
    assert_true(play.ended.has_client);
}

static void test_numbers_tell_messages_apart(void **state)
{
    (void)state;
    struct play play;
    struct judgement match = {VERDICT_MATCH, 0};
    start(&play);
    run(&play, HELLO MAIL "> BDAT 50 LAST\nadmit Q1\nmilter\nreceive Q1 50\n");
    uint64_t first = play.conversation.transfer.id, generation = play.conversation.generation;
    run(&play, MAIL);
    assert_true(play.conversation.transfer.id > first);
    /* A judgement that comes late does not fall on the next message. */
    conversation_take_judgement(&play.conversation, first, &match);
    assert_false(play.conversation.judged);
    /* Nor does a count with another queue id. */
    run(&play, "> BDAT 9 LAST\nadmit Q2\nreceive Q1 50");
    assert_false(play.conversation.transfer.has_received);
    run(&play, "receive Q2 9");
    assert_true(play.conversation.transfer.has_received);
    uint64_t second = play.conversation.transfer.id;
    run(&play, "end\nbegin");
    assert_true(play.conversation.transfer.id > second);
    assert_int_equal(play.conversation.generation, generation + 1);
}

/* Of a message without octets Postfix tells SIZE as what was received. */
static void test_an_empty_message(void **state)
{
    (void)state;
    struct play play;
    struct content content;
    start(&play);
    run(&play, HELLO MAIL "> BDAT 0 LAST\nadmit Q1\nreceive Q1 50\n");
    assert_int_equal(play.conversation.transfer.received, 0);
    content_reset(&content);
    content_finish(&content);
    assert_int_equal(transfer_judge_message(&play.conversation.transfer, &content, 1).verdict,
                     VERDICT_MATCH);
}

/* Postfix takes a BDAT that we saw no MAIL for: we are out of step, and say so. */
static void test_out_of_step(void **state)
{
    (void)state;
    struct play play;
    start(&play);
    run(&play, HELLO "> BDAT 10\nadmit Q1\n> BDAT 40 LAST\nreceive Q1 5000\n");
    assert_false(play.conversation.transfer.whole);
    start(&play);
    run(&play, HELLO MAIL "> BDAT 10\nadmit Q1\n");
    assert_true(play.conversation.transfer.whole);
}

/* ---- what must never be kept ---- */

static bool holds(const void *block, size_t size, const char *secret)
{
    for (size_t i = 0; i + strlen(secret) <= size; i++)
        if (memcmp((const char *)block + i, secret, strlen(secret)) == 0)
            return true;
    return false;
}

static void test_credentials_are_not_kept(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        HELLO "> AUTH PLAIN c2VjcmV0\n" MAIL SENT "> QUIT",
        HELLO "> AUTH LOGIN\n> c2VjcmV0\n> c2VjcmV0\n" MAIL SENT "> QUIT",
        HELLO "> auth plain c2VjcmV0\n> c2VjcmV0\nend",
        HELLO MAIL "> BDAT 10\nadmit Q1\n> AUTH PLAIN c2VjcmV0\n> c2VjcmV0\n> RSET",
        HELLO MAIL SENT "> AUTH LOGIN\n> c2VjcmV0\n> QUIT",
        HELLO MAIL "> BDAT 10\nadmit Q1\n> AUTH LOGIN\n> c2VjcmV0\n> BDAT 9 LAST\nend",
        HELLO "> AUTH LOGIN\n> *\n> AUTH CRAM-MD5\n> c2VjcmV0 c2VjcmV0\n" MAIL "end",
    };
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        struct play play;
        start(&play);
        run(&play, scripts[i]);
        if (holds(&play.conversation, sizeof(play.conversation), "c2VjcmV0") ||
            holds(&play.result, sizeof(play.result), "c2VjcmV0") ||
            holds(&play.ended, sizeof(play.ended), "c2VjcmV0"))
            fail_msg("script %zu keeps credentials", i);
    }
}

static void test_the_line_behind_a_chunk(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        const char *noted;
    } cases[] = {
        {HELLO MAIL SENT "> QUIT", ""},
        {HELLO MAIL SENT "> the rest\n> QUIT", "the rest"},
        {HELLO MAIL SENT "> \n> QUIT", "(an empty line)"},
        {HELLO MAIL SENT "> a\x1b[31m\x80\x7f z\n> QUIT", "a?[31m?? z"},
        {HELLO MAIL "> BDAT 5\nadmit Q1\n> first\n> second\n> RSET", "first"},
        {HELLO MAIL "> BDAT 5\nadmit Q1\n> NOOP\n> QUIT", "QUIT"},
        {HELLO MAIL "> BDAT 5x\nend", "BDAT 5x"},
        {HELLO MAIL SENT "> "
                         "0123456789012345678901234567890123456789012345678901234567890123456789"
                         "01234567890123456789\n> QUIT",
         "0123456789012345678901234567890123456789012345678901234567890123456789"
         "0123456789012"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct play play;
        start(&play);
        run(&play, cases[i].script);
        assert_string_equal(play.ended.followed_by, cases[i].noted);
    }
}

static void test_modes(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        enum session_mode mode;
    } cases[] = {
        {HELLO MAIL, SESSION_NONE},
        {HELLO MAIL SENT "> QUIT", SESSION_BDAT},
        {HELLO MAIL "> DATA\n> QUIT", SESSION_DATA},
        {HELLO MAIL SENT MAIL "> DATA\n> QUIT", SESSION_MIXED},
        {HELLO MAIL SENT "end\nbegin", SESSION_NONE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct play play;
        start(&play);
        run(&play, cases[i].script);
        assert_int_equal(conversation_mode(&play.conversation), cases[i].mode);
    }
    assert_string_equal(session_mode_name(SESSION_NONE), "none");
    assert_string_equal(session_mode_name(SESSION_MIXED), "mixed");
    assert_string_equal(conversation_state_name(CONVERSATION_CHUNKS), "chunks");
}

static void test_limits_are_named_at_the_policy_request(void **state)
{
    (void)state;
    struct play play;
    start(&play);
    play.rules.max_chunk = 10;
    run(&play, HELLO MAIL "> BDAT 10\n");
    assert_int_equal(conversation_broken_limits(&play.conversation), 0);
    run(&play, "> RSET\n" MAIL "> BDAT 11\n");
    assert_int_equal(conversation_broken_limits(&play.conversation), EVIDENCE_MAX_CHUNK);
    start(&play);
    play.rules.max_chunk = 10;
    play.rules.max_message = 5;
    run(&play, HELLO MAIL "> BDAT 11\n");
    assert_int_equal(conversation_broken_limits(&play.conversation),
                     EVIDENCE_MAX_CHUNK | EVIDENCE_MAX_MESSAGE);
}

/* Whoever waits for a message by its queue id must hear of each end, also of one that is no news. */
static void test_each_end_of_data_is_told(void **state)
{
    (void)state;
    static const char *const ends[] = {"> RSET", "> QUIT", "end"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct play play;
        start(&play);
        run(&play, HELLO MAIL "> DATA\nadmit Q1\n");
        run(&play, ends[i]);
        assert_true(play.result.data_over);
        assert_false(play.result.data_ended);
        assert_string_equal(play.result.ended.queue_id, "Q1");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_end_of_data_is_told),
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_octets_in_vain),
        cmocka_unit_test(test_octets_in_vain_without_a_limit),
        cmocka_unit_test(test_octets_taken_are_not_in_vain),
        cmocka_unit_test(test_the_ledger),
        cmocka_unit_test(test_two_messages_do_not_mix),
        cmocka_unit_test(test_who_the_client_is),
        cmocka_unit_test(test_numbers_tell_messages_apart),
        cmocka_unit_test(test_an_empty_message),
        cmocka_unit_test(test_out_of_step),
        cmocka_unit_test(test_credentials_are_not_kept),
        cmocka_unit_test(test_the_line_behind_a_chunk),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_limits_are_named_at_the_policy_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
