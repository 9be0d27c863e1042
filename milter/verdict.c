#include "milter/verdict.h"

#include <string.h>

struct verdict_row {
    const char *name;
    const char *meaning;
    enum action preset;
    unsigned strikes;
    bool clean;
    bool answerable;
};

static const struct verdict_row verdicts[VERDICT_COUNT] = {
    [VERDICT_MATCH] = {"match", "received octets equal declared octets", ACTION_ACCEPT, 0, true,
                       false},
    [VERDICT_NORMALIZED] = {"normalized",
                            "the difference is wholly explained by line ends; nothing is missing",
                            ACTION_ACCEPT, 0, true, true},
    [VERDICT_MISMATCH] = {"mismatch", "received octets differ from declared octets beyond what "
                                      "line ends explain",
                          ACTION_TEMPFAIL, 2, false, true},
    [VERDICT_TRUNCATED] = {"truncated",
                           "the last line is cut and a MIME multipart is never closed",
                           ACTION_TEMPFAIL, 2, false, true},
    [VERDICT_SWALLOWED] = {"swallowed",
                           "the content ends in SMTP commands that the client meant as commands",
                           ACTION_TEMPFAIL, 2, false, true},
    [VERDICT_DOT_STUFFED] = {"dot_stuffed",
                             "the client framed the message as for DATA inside BDAT",
                             ACTION_ACCEPT, 1, false, true},
    [VERDICT_SIZE_EXCEEDED] = {"size_exceeded",
                               "more octets than SIZE announced, beyond the slack", ACTION_ACCEPT,
                               0, false, true},
    [VERDICT_REFUSED] = {"refused", "a configured limit was broken", ACTION_REJECT, 1, false,
                         true},
    [VERDICT_STALLED] = {"stalled",
                         "the announced octets never came and the session timed out",
                         ACTION_ACCEPT, 2, false, false},
    [VERDICT_LOST] = {"lost", "the connection was lost before the announced octets had come",
                      ACTION_ACCEPT, 1, false, false},
    [VERDICT_DESYNCHRONIZED] = {"desynchronized",
                                "a line that is no SMTP command came between the chunks",
                                ACTION_TEMPFAIL, 2, false, true},
    [VERDICT_ABANDONED] = {"abandoned", "the client gave the transfer up before LAST",
                           ACTION_ACCEPT, 0, false, false},
    [VERDICT_OVERRUN] = {"overrun",
                         "octets followed the last chunk beyond what was declared; the message "
                         "had been accepted by then and may be cut",
                         ACTION_ACCEPT, 2, false, false},
    [VERDICT_NOT_OFFERED] = {"not_offered", "BDAT from a client that was not offered CHUNKING",
                             ACTION_TEMPFAIL, 0, false, true},
    [VERDICT_FAILED_ELSEWHERE] = {"failed_elsewhere",
                                  "the mail server or another filter refused the transfer",
                                  ACTION_ACCEPT, 0, false, false},
    [VERDICT_UNVERIFIED] = {"unverified",
                            "no command table or no policy count was seen for this session",
                            ACTION_ACCEPT, 0, false, true},
};

static const char *const actions[ACTION_COUNT] = {
    [ACTION_ACCEPT] = "accept",     [ACTION_TAG] = "tag",       [ACTION_HOLD] = "hold",
    [ACTION_TEMPFAIL] = "tempfail", [ACTION_REJECT] = "reject",
};

static const char *const evidences[EVIDENCE_BITS] = {
    "bare_lf",         "unterminated",   "long_lines",   "extra_cr",
    "command_tail",    "open_multipart", "lone_dot",     "size_exceeded",
    "foreign_input",   "max_chunks",     "max_chunk",    "min_chunk",
    "max_message",     "binarymime",     "guarded",      "changed_body",
    "malformed",       "nested_mail",    "server_gone",  "insisted",
    "size_unknown",
};

const char *verdict_name(enum verdict verdict)
{
    return verdict == VERDICT_NONE ? "none" : verdicts[verdict].name;
}

enum verdict verdict_from_name(const char *name)
{
    for (int i = 0; i < VERDICT_COUNT; i++)
        if (strcmp(verdicts[i].name, name) == 0)
            return (enum verdict)i;
    return VERDICT_NONE;
}

unsigned verdict_strikes(enum verdict verdict)
{
    return verdicts[verdict].strikes;
}

bool verdict_is_clean(enum verdict verdict)
{
    return verdicts[verdict].clean;
}

bool verdict_is_answerable(enum verdict verdict)
{
    return verdicts[verdict].answerable;
}

enum action verdict_default_action(enum verdict verdict)
{
    return verdicts[verdict].preset;
}

const char *verdict_meaning(enum verdict verdict)
{
    return verdicts[verdict].meaning;
}

const char *action_name(enum action action)
{
    return actions[action];
}

bool action_from_name(const char *name, enum action *action)
{
    for (int i = 0; i < ACTION_COUNT; i++) {
        if (strcmp(actions[i], name) == 0) {
            *action = (enum action)i;
            return true;
        }
    }
    return false;
}

const char *evidence_name(unsigned bit)
{
    return evidences[bit];
}
