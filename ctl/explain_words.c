#include "config.h"

#include "ctl/explain_words.h"

#include <string.h>

static const struct verdict_words verdicts[] = {
    {"match",
     "Every octet that was declared arrived, and nothing else did. This is a sound transfer.",
     "Nothing: all is well."},
    {"normalized",
     "The counts differ, but only because mail servers store line ends in one form, whatever form "
     "they arrived in (see the evidence). No part of the message is missing.",
     "Nothing is urgent. Software that ends each line in CR LF and the message in a line end "
     "would show no difference at all."},
    {"mismatch",
     "The number of octets that arrived differs from the number declared, and line ends do not "
     "explain the difference. Part of the message may be missing, or something else may have been "
     "read as part of it.",
     "Find out what counts the octets of BDAT: the mail software, or a box in the path "
     "(anti-virus, "
     "firewall with SMTP inspection, load balancer) that changes the message after it was counted. "
     "Update the software, exempt SMTP from inspection, or switch CHUNKING off in the sending "
     "software."},
    {"truncated",
     "The message stops in the middle of a line, and a part of it that was opened (a MIME "
     "multipart) is never closed. The client most likely declared fewer octets than the message "
     "has, so its end is missing.",
     "The sending software counts too few octets: typically it counts a line end as one octet and "
     "sends two (CR LF), or counts before it converts the text. Update it, or switch CHUNKING off "
     "in it."},
    {"swallowed",
     "The message ends in lines that are SMTP commands, and the SIZE that was announced says that "
     "the message is shorter by just those octets. The client declared more octets than it sent, "
     "so "
     "the server took the client's next commands for the rest of the message.",
     "The sending software counts too many octets: typically it counts line ends as two octets (CR "
     "LF) and sends one (LF), or counts before it shortens the text. Update it, or switch CHUNKING "
     "off in it."},
    {"dot_stuffed",
     "The message ends in a line that is a single dot. That is how DATA marks the end of a "
     "message; "
     "with BDAT the count marks it, and the dot becomes part of the text.",
     "The sending software prepares the message for DATA and then sends it by BDAT. The message is "
     "readable, but a signature over it may break. Update the software, or switch CHUNKING off in "
     "it."},
    {"size_exceeded",
     "The client declared clearly more octets by BDAT than it had announced with SIZE at MAIL "
     "FROM. "
     "SIZE is an estimate, so this alone is no fault of the transfer.",
     "Nothing is urgent. A SIZE that is far too small defeats the server's check for free space."},
    {"refused", "The transfer broke a limit that this server sets for BDAT (see the evidence).",
     "Keep to the limit. If the mail is legitimate, the server's administrator can raise it: "
     "limits in bdat-milter.conf."},
    {"stalled",
     "The client announced octets with BDAT, and then they did not come: the session stood still "
     "until one side gave up. Nothing was delivered.",
     "The octets were held back on the way, or the sending software sent fewer than it announced "
     "and waited for an answer. Look at firewalls with SMTP inspection (they often do not know "
     "BDAT), at the path's MTU (does mail of a few hundred octets pass where larger mail stalls?), "
     "and at how the software counts line ends. Until then, switch CHUNKING off in it."},
    {"lost",
     "The connection broke before the announced octets had arrived. Nothing was delivered. Once in "
     "a while that is ordinary network trouble; again and again it is not.",
     "If it repeats, look at firewalls, SMTP inspection and time limits between the two servers, "
     "and in the sender's log for the moment the connection ended."},
    {"desynchronized",
     "Between the chunks of one message the server expected a command and got something else (see "
     "what followed). A chunk was longer or shorter than declared, so the two sides no longer "
     "agreed on where it ended.",
     "The sending software declares other sizes than it sends: most often line ends are counted in "
     "one form and sent in another. Update it, or switch CHUNKING off in it."},
    {"abandoned",
     "The client began a message and gave it up of its own accord (RSET, QUIT, a new MAIL FROM or "
     "the end of the session) before the last chunk. Nothing was delivered; nothing is wrong.",
     "Nothing, unless mail is missing: then the sender's log says why it gave up."},
    {"overrun",
     "After the last chunk more octets came that are no SMTP command. The client sent more than it "
     "had declared. THE MESSAGE HAD ALREADY BEEN ACCEPTED BY THEN AND ITS END MAY BE MISSING.",
     "The sending software counts too few octets: typically it counts a line end as one octet and "
     "sends two (CR LF). Ask the sender to send this message again another way, and update the "
     "software or switch CHUNKING off in it."},
    {"not_offered",
     "The client used BDAT although this server had not offered CHUNKING to it, so the server "
     "refused it.",
     "The sending software must read the EHLO reply of each session: BDAT may be used only if "
     "CHUNKING stands in it. Some software remembers an older reply; restart or update it."},
    {"failed_elsewhere",
     "The octets arrived, but the mail server or another filter refused the transfer (no valid "
     "recipient, greylisting, a full disk, spam …). BDAT is not at fault.",
     "Look at the reply that the sender was given: it says what was refused."},
    {"unverified",
     "The transfer could not be checked: its command lines or its octet count were not seen, "
     "because a hook in Postfix is missing, or because the session began before bdat-milter did.",
     "Nothing: this concerns the receiving server only. Its administrator runs: bdatctl check"},
};

static const struct {
    const char *evidence;
    struct verdict_words words;
} specials[] = {
    {"max_chunks",
     {"refused", "The transfer had more chunks than this server takes (limits.max_chunks).",
      "Send fewer, larger chunks. If the mail is legitimate, the server's administrator can raise "
      "limits.max_chunks in bdat-milter.conf."}},
    {"max_chunk",
     {"refused", "A chunk was larger than this server takes (limits.max_chunk).",
      "Send smaller chunks. If the mail is legitimate, the server's administrator can raise "
      "limits.max_chunk in bdat-milter.conf."}},
    {"min_chunk",
     {"refused",
      "A chunk was smaller than this server takes (limits.min_chunk; the last chunk may "
      "be).",
      "Send larger chunks. If the mail is legitimate, the server's administrator can lower "
      "limits.min_chunk in bdat-milter.conf."}},
    {"max_message",
     {"refused", "The message was larger than this server takes (limits.max_message).",
      "Send a smaller message. If the mail is legitimate, the server's administrator can raise "
      "limits.max_message in bdat-milter.conf."}},
    {"binarymime",
     {"refused",
      "The client said BODY=BINARYMIME, which this server does not offer: it could not "
      "keep such a message as it is.",
      "The sending software may use BINARYMIME only where it stands in the EHLO reply (RFC 3030, "
      "section 3); elsewhere it must convert the message, to base64 for example. Update it, or "
      "switch BINARYMIME off in it; CHUNKING may stay."}},
};

struct pair {
    const char *word, *text;
};

static const struct pair evidences[] = {
    {"bare_lf", "lines ended in LF alone, not CR LF; the server adds one octet to each"},
    {"unterminated", "the last line had no line end; the server adds one (two octets)"},
    {"long_lines", "lines were longer than Postfix keeps whole (line_length_limit), so it broke "
                   "them"},
    {"extra_cr", "lines ended in more than one CR before LF; the server drops the spare ones"},
    {"command_tail", "the text ends in lines that look like SMTP commands. Unless the SIZE "
                     "announced says that they do not belong to it, they are taken for text, as "
                     "in a mailed transcript"},
    {"open_multipart", "a MIME multipart is opened and never closed"},
    {"lone_dot", "the last line is a single dot, as DATA would end"},
    {"size_exceeded", "more octets than the SIZE announced at MAIL FROM"},
    {"foreign_input", "a line came that is no SMTP command"},
    {"max_chunks", "more chunks than limits.max_chunks allows"},
    {"max_chunk", "a chunk was larger than limits.max_chunk"},
    {"min_chunk", "a chunk was smaller than limits.min_chunk"},
    {"max_message", "the message was larger than limits.max_message"},
    {"binarymime", "BODY=BINARYMIME was used, which Postfix does not offer"},
    {"guarded", "the guard kept a command away from Postfix that could have harmed it"},
    {"changed_body", "a filter in front had changed the body, so its text was not judged"},
    {"malformed", "a BDAT command breaks the syntax of RFC 3030"},
    {"nested_mail", "a new MAIL came between the chunks, so two messages may be mixed up"},
    {"server_gone",
     "the process that served the session ended with it: Postfix was stopped, maybe"},
    {"insisted", "the same message had been sent back three times and came again just as it was, "
                 "so it was let in"},
    {"size_unknown", "more octets were declared than this server was ever seen to take: it may "
                     "have refused them for message_size_limit, of which nothing tells but the "
                     "reply"},
};

static const struct pair actions[] = {
    {"none", "There was nothing to answer: the session had ended, or the server itself answered."},
    {"accept", "The message was accepted and delivered as usual."},
    {"tag", "The message was accepted, with a header added that names the verdict."},
    {"hold", "The message was accepted into Postfix's hold queue: look at it with postcat, let it "
             "go with postsuper -H, or delete it with postsuper -d."},
    {"tempfail", "It was answered with a temporary failure: nothing was delivered, and nothing is "
                 "lost. The sender keeps the message and tries again."},
    {"reject", "It was answered with a permanent failure: nothing was delivered, and the sender "
               "gets a bounce."},
};

const struct verdict_words *explain_verdict(const char *verdict)
{
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
        if (strcmp(verdicts[i].verdict, verdict) == 0)
            return &verdicts[i];
    return NULL;
}

const struct verdict_words *explain_verdict_by(const char *verdict, const char *evidence)
{
    for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++)
        if (strcmp(specials[i].evidence, evidence) == 0 &&
            strcmp(specials[i].words.verdict, verdict) == 0)
            return &specials[i].words;
    return NULL;
}

static const char *find(const struct pair *pairs, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(pairs[i].word, word) == 0)
            return pairs[i].text;
    return NULL;
}

const char *explain_evidence(const char *evidence)
{
    return find(evidences, sizeof(evidences) / sizeof(evidences[0]), evidence);
}

const char *explain_action(const char *action)
{
    return find(actions, sizeof(actions) / sizeof(actions[0]), action);
}
