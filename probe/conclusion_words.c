/* The words of each conclusion. */
#include "probe/conclusion_words.h"

#include "probe/options.h"

#define RECEIVER_OFF                                                                               \
    "To stop offering CHUNKING, at the receiving side:\n"                                          \
    "- Postfix: smtpd_discard_ehlo_keywords = chunking, silent-discard (for single senders: "      \
    "smtpd_discard_ehlo_keyword_address_maps)\n"                                                   \
    "- Exim: chunking_advertise_hosts = (empty, in the main section)\n"                            \
    "- Exchange: Set-ReceiveConnector NAME -ChunkingEnabled $false -BinaryMimeEnabled $false\n"    \
    "- IIS SMTP, Exchange 2003: take 3145728 (CHUNKING and BINARYMIME) off "                       \
    "SmtpInboundCommandSupportOptions, so that 7697601 becomes 4551873, and restart the service\n" \
    "- a gateway or firewall: look for its CHUNKING, BDAT or ESMTP inspection setting"
#define SENDER_OFF                                                                              \
    "To stop using it, at the sending side:\n"                                                  \
    "- Exim: hosts_try_chunking = (empty, in the smtp transport)\n"                             \
    "- Exchange: Set-SendConnector NAME -ForceHELO $true (this turns off all SMTP extensions, " \
    "TLS as well)\n"                                                                            \
    "- IIS SMTP, Exchange 2003: the same numbers off SmtpOutboundCommandSupportOptions\n"       \
    "- Exchange Online: cannot be told; it uses BDAT wherever it is offered\n"                  \
    "- Postfix and Sendmail never send BDAT"
#define RECEIVER_MUST                                                                             \
    "The receiving side must act: its server, or the gateway or firewall in front of it, offers " \
    "CHUNKING and does not handle it. Either repair or update it, or stop offering CHUNKING: "    \
    "every sender then uses DATA. (One loss: Exchange Online bounces the rare message with bare " \
    "line feeds, 550 5.6.11, where CHUNKING is not offered.)"
#define SHOW_THEM                                                                                \
    "Until then mail waits in the queues of senders that use BDAT (Exchange, Exim and others); " \
    "tests by hand, which use DATA, show nothing."

static const char *const advice_none[] = {NULL};
const char *const advice_deliver[] = {
    "Nothing was delivered, so it was not seen whether the server accepts a message at its final "
    "chunk. bdat-probe --deliver ADDRESS sees that, too.",
    NULL};
static const char *const advice_bdat[] = {RECEIVER_MUST, SHOW_THEM, RECEIVER_OFF, SENDER_OFF, NULL};
static const char *const advice_payload[] = {
    "The receiving side must act, soon: the text of a message can reach the server as commands, "
    "so that one sender can smuggle in mail under the name of others. Update the server or "
    "gateway; until then stop "
    "offering CHUNKING.",
    RECEIVER_OFF, NULL};
static const char *const advice_path[] = {
    "Switching CHUNKING off would not help: DATA fails as well. Look at the path: MTU and path "
    "MTU discovery (ICMP 'fragmentation needed' must pass), firewalls and boxes that inspect "
    "SMTP; then at the server's own log.",
    NULL};
static const char *const advice_server[] = {
    "Switching CHUNKING off would not help: DATA fails as well. Look at the server's log.", NULL};
static const char *const advice_large[] = {
    "The receiving side must act: a limit of the server or a box in the path (content "
    "inspection, intrusion prevention) stops large chunks. bdat-probe run from a host beside "
    "the server tells which of the two. Until it is mended, stop offering CHUNKING.",
    RECEIVER_OFF, SENDER_OFF, NULL};
static const char *const advice_slow[] = {
    "Senders give up after some minutes (RFC 5321, section 4.5.3.2), so this may still work, but "
    "something scans each chunk. If senders report timeouts after BDAT, stop offering CHUNKING.",
    RECEIVER_OFF, NULL};
static const char *const advice_partly[] = {
    "The failures are the receiving side's to mend: send it this report. Where senders "
    "have trouble with it, stop offering CHUNKING meanwhile.",
    RECEIVER_OFF, SENDER_OFF, NULL};
static const char *const advice_binary[] = {
    "The receiving side must act: stop offering BINARYMIME, or repair it. CHUNKING itself can "
    "stay: senders then encode binary messages.",
    "To stop offering BINARYMIME, at the receiving side:\n"
    "- Exchange: Set-ReceiveConnector NAME -BinaryMimeEnabled $false\n"
    "- a gateway or firewall: look for its BINARYMIME or ESMTP inspection setting\n"
    "- Postfix and Exim do not offer it",
    NULL};
static const char *const advice_data[] = {
    "This is not a trouble of CHUNKING, and switching it off would make it worse: senders would "
    "use DATA. Look at the server's log, and at gateways and firewalls in front of it.",
    NULL};
static const char *const advice_selection[] = {
    "None of these cases has the server take a chunk, so whether CHUNKING works here is not "
    "known. Run all cases, or --only data,one-chunk,data-large,large.",
    NULL};
static const char *const advice_select[] = {"Select others: --list says what each case shows.",
                                            NULL};
static const char *const advice_recipient[] = {
    "Name a recipient that the server accepts: --to ADDRESS (nothing is delivered to it).", NULL};
static const char *const advice_sender[] = {
    "Name a sender that the server accepts: --from ADDRESS. (A server that refuses the null "
    "sender <> refuses all bounces: RFC 5321, section 4.5.5.)",
    NULL};
static const char *const advice_auth[] = {
    "This server wants to know who sends: give it a name and password with --auth, or, if mail "
    "from the Internet is meant, probe the mail exchanger at port 25.",
    NULL};
static const char *const advice_deferred[] = {
    "The server puts unknown senders off (greylisting, or a limit): run bdat-probe again with the "
    "same --from and --to after some minutes, or name a recipient who is exempted: --to ADDRESS.",
    NULL};
static const char *const advice_turned_away[] = {
    "The server limits sessions or messages from one client. Have this machine exempted from "
    "that, or wait (limits often last an hour) and run what is left: --only with the names above, "
    "commas between them. A longer --pause between the sessions may do as well.",
    NULL};
static const char *const advice_time[] = {
    "Give the cases more time: a longer --timeout (a session may take ten times as long), and "
    "--only with the names above, commas between them.",
    NULL};
static const char *const advice_session[] = {
    "Check host, port, --tls and whether the server wants to talk to this machine.", NULL};

const struct conclusion_words conclusion_words[CONCLUSION_COUNT] = {
    [CONCLUSION_WORKS] = {"works", "CHUNKING works here", advice_none, EXIT_PASSED},
    [CONCLUSION_WORKS_SLOWLY] = {"works_slowly", "CHUNKING works here, but slowly", advice_slow,
                                 EXIT_PASSED},
    [CONCLUSION_NOT_OFFERED] = {"not_offered", "CHUNKING is not offered here", advice_none,
                                EXIT_PASSED},
    [CONCLUSION_BDAT_DROPPED] = {"bdat_dropped",
                                 "CHUNKING is offered, but the connection is dropped at BDAT",
                                 advice_bdat, EXIT_FAILED},
    [CONCLUSION_BDAT_STALLS] = {"bdat_stalls", "CHUNKING is offered, but BDAT stalls", advice_bdat,
                                EXIT_FAILED},
    [CONCLUSION_BDAT_REFUSED] = {"bdat_refused", "CHUNKING is offered, but BDAT is refused",
                                 advice_bdat, EXIT_FAILED},
    [CONCLUSION_MISCOUNTS] = {"miscounts", "The server miscounts the octets of BDAT", advice_bdat,
                              EXIT_FAILED},
    [CONCLUSION_RUNS_PAYLOAD] = {"runs_payload", "Message text is run as SMTP commands",
                                 advice_payload, EXIT_FAILED},
    [CONCLUSION_ANSWERS_TWICE] = {"answers_twice",
                                  "The server gives more replies than there are commands",
                                  advice_bdat, EXIT_FAILED},
    [CONCLUSION_NOT_SMTP] = {"not_smtp", "BDAT is not answered in SMTP", advice_bdat, EXIT_FAILED},
    [CONCLUSION_LARGE_CHUNKS] = {"large_chunks", "Small chunks pass, large ones do not",
                                 advice_large, EXIT_FAILED},
    [CONCLUSION_PATH] = {"path", "Large messages do not pass, whether by BDAT or by DATA",
                         advice_path, EXIT_FAILED},
    [CONCLUSION_SERVER] = {"server", "Messages do not pass, whether by BDAT or by DATA",
                           advice_server, EXIT_FAILED},
    [CONCLUSION_DATA] = {"data_fails", "Messages do not pass by DATA", advice_data, EXIT_FAILED},
    [CONCLUSION_DATA_LARGE] = {"data_large_fails", "Large messages do not pass by DATA",
                               advice_data, EXIT_FAILED},
    [CONCLUSION_BINARY] = {"binary_fails", "CHUNKING works here, but BINARYMIME does not",
                           advice_binary, EXIT_FAILED},
    [CONCLUSION_PARTLY] = {"partly", "CHUNKING works in part", advice_partly, EXIT_FAILED},
    [CONCLUSION_SELECTION] = {"selection", "The selected cases passed", advice_selection,
                              EXIT_PASSED},
    [CONCLUSION_INCOMPLETE] = {"incomplete", "CHUNKING could not be tried fully", advice_select,
                               EXIT_FAILED},
    [CONCLUSION_NO_SESSION] = {"no_session", "No SMTP session could be opened", advice_session,
                               EXIT_NO_SMTP},
};

/* What to do when MAIL or RCPT was refused, by its code; the first row that fits. */
static const struct {
    int low, high;
    bool sender; /* fits MAIL only */
    const char *const *advice;
} refusal_rows[] = {
    {530, 530, false, advice_auth},     {534, 538, false, advice_auth},
    {400, 499, false, advice_deferred}, {0, 599, true, advice_sender},
    {0, 599, false, advice_recipient},
};

const char *const *advice_after_refusal(bool sender, int code)
{
    for (size_t i = 0; i < sizeof(refusal_rows) / sizeof(refusal_rows[0]); i++)
        if (code >= refusal_rows[i].low && code <= refusal_rows[i].high &&
            (sender || !refusal_rows[i].sender))
            return refusal_rows[i].advice;
    return advice_recipient;
}

const char *const *advice_for_left_out(enum finding finding)
{
    return finding == FINDING_UNFINISHED ? advice_time : advice_turned_away;
}
