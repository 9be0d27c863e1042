/* From results to a conclusion. */
#include "probe/conclusion.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
static const char *const advice_deliver[] = {
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
    "The failures above are the receiving side's to mend: send it this report. Where senders "
    "have trouble with it, stop offering CHUNKING meanwhile.",
    RECEIVER_OFF, SENDER_OFF, NULL};
static const char *const advice_recipient[] = {
    "Name a recipient that the server accepts: --to ADDRESS (nothing is delivered to it).", NULL};
static const char *const advice_session[] = {
    "Check host, port, --tls and whether the server wants to talk to this machine; the dialog "
    "above shows how far it came.",
    NULL};

static const struct {
    const char *name;
    const char *summary;
    const char *const *advice;
    int exit_status;
} kinds[CONCLUSION_COUNT] = {
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
    [CONCLUSION_PARTLY] = {"partly", "CHUNKING works in part", advice_partly, EXIT_FAILED},
    [CONCLUSION_INCOMPLETE] = {"incomplete", "CHUNKING could not be tried fully", advice_recipient,
                               EXIT_FAILED},
    [CONCLUSION_NO_SESSION] = {"no_session", "No SMTP session could be opened", advice_session,
                               EXIT_NO_SMTP},
};

const char *conclusion_name(enum conclusion_kind kind)
{
    return kinds[kind].name;
}

/* The results, as the rules below want to see them. */
struct view {
    const struct case_result *results;
    size_t count;
    unsigned passed, warned, failed, skipped;
    unsigned slow;
    const struct case_result *data, *data_large, *large;
    const struct case_result *worst; /* the first failure of a BDAT case */
    unsigned bdat_run, bdat_good;    /* BDAT cases run; and passed */
};

static bool is_data(const struct case_result *result)
{
    return (result->definition->needs & NEED_NOT_CHUNKING) != 0;
}

static bool failed(const struct case_result *result)
{
    return result && result->status == STATUS_FAIL;
}

static bool passed(const struct case_result *result)
{
    return result && (result->status == STATUS_PASS || result->status == STATUS_WARN);
}

static void note_result(struct view *view, const struct case_result *result)
{
    const char *name = result->definition->name;
    view->passed += result->status == STATUS_PASS;
    view->warned += result->status == STATUS_WARN;
    view->failed += result->status == STATUS_FAIL;
    view->skipped += result->status == STATUS_SKIP;
    if (strcmp(name, "data") == 0)
        view->data = result;
    else if (strcmp(name, "data-large") == 0)
        view->data_large = result;
    else if (strcmp(name, "large") == 0)
        view->large = result;
    if (is_data(result) || result->status == STATUS_SKIP)
        return;
    view->bdat_run++;
    view->bdat_good += passed(result);
    view->slow += result->finding == FINDING_SLOW;
    if (failed(result) && !view->worst)
        view->worst = result;
}

static const struct case_result *with_finding(const struct view *view, enum finding finding)
{
    for (size_t i = 0; i < view->count; i++)
        if (failed(&view->results[i]) && !is_data(&view->results[i]) &&
            view->results[i].finding == finding)
            return &view->results[i];
    return NULL;
}

/* The kind for the first failed BDAT case, when nothing graver was found. */
static enum conclusion_kind kind_of_worst(const struct view *view)
{
    enum finding finding = view->worst->finding;
    bool hard = finding == FINDING_DROPPED || finding == FINDING_STALLED ||
                finding == FINDING_REFUSED || finding == FINDING_GARBAGE;
    if (hard && failed(view->data))
        return CONCLUSION_SERVER;
    if (hard && view->worst == view->large && view->bdat_good > 0)
        return failed(view->data_large) ? CONCLUSION_PATH : CONCLUSION_LARGE_CHUNKS;
    if (view->bdat_good > 0)
        return CONCLUSION_PARTLY;
    switch (finding) {
    case FINDING_DROPPED:
        return CONCLUSION_BDAT_DROPPED;
    case FINDING_STALLED:
        return CONCLUSION_BDAT_STALLS;
    case FINDING_REFUSED:
        return CONCLUSION_BDAT_REFUSED;
    case FINDING_GARBAGE:
        return CONCLUSION_NOT_SMTP;
    default:
        return CONCLUSION_PARTLY;
    }
}

static enum conclusion_kind choose(const struct view *view, const struct survey *survey,
                                   const struct case_result **cause)
{
    static const struct {
        enum finding finding;
        enum conclusion_kind kind;
    } gravest_first[] = {{FINDING_RAN_PAYLOAD, CONCLUSION_RUNS_PAYLOAD},
                         {FINDING_MISCOUNTED, CONCLUSION_MISCOUNTS},
                         {FINDING_TWICE, CONCLUSION_ANSWERS_TWICE}};
    *cause = NULL;
    if (survey->opening != OPENING_DONE)
        return CONCLUSION_NO_SESSION;
    for (size_t i = 0; i < sizeof(gravest_first) / sizeof(gravest_first[0]); i++)
        if ((*cause = with_finding(view, gravest_first[i].finding)) != NULL)
            return gravest_first[i].kind;
    if ((*cause = view->worst) != NULL)
        return kind_of_worst(view);
    if (failed(view->data) || failed(view->data_large)) {
        *cause = failed(view->data) ? view->data : view->data_large;
        return failed(view->data) ? CONCLUSION_SERVER : CONCLUSION_PATH;
    }
    if (!survey->current.chunking)
        return CONCLUSION_NOT_OFFERED;
    if (view->bdat_run == 0 || !survey->recipient_found)
        return CONCLUSION_INCOMPLETE;
    return view->slow > 0 ? CONCLUSION_WORKS_SLOWLY : CONCLUSION_WORKS;
}

__attribute__((format(printf, 2, 3))) static void say(struct conclusion *conclusion,
                                                      const char *format, ...)
{
    size_t length = strlen(conclusion->explanation);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(conclusion->explanation + length, sizeof(conclusion->explanation) - length, format,
              arguments);
    va_end(arguments);
}

/* The finding that matters: what DATA does where BDAT fails. */
static void compare_with_data(struct conclusion *conclusion, const struct view *view,
                              const struct case_result *cause, bool delivered)
{
    const struct case_result *data = cause == view->large ? view->data_large : view->data;
    const char *verb = cause->finding == FINDING_STALLED   ? "stalls"
                       : cause->finding == FINDING_DROPPED ? "breaks off"
                       : cause->finding == FINDING_REFUSED ? "is refused"
                                                           : "fails";
    if (passed(data))
        say(conclusion, " The same message works by DATA and %s by BDAT%s.", verb,
            delivered ? "" : " (as far as can be seen without delivering it)");
    else if (failed(data))
        say(conclusion, " By DATA it fails as well: %s", data->meaning);
    else
        say(conclusion, " DATA could not be tried to compare.");
}

static void explain_not_offered(struct conclusion *conclusion, const struct survey *survey)
{
    say(conclusion, "Senders use DATA here, so BDAT cannot be what goes wrong.");
    if (survey->plain.chunking && survey->tls[0])
        say(conclusion, " It is offered before STARTTLS but not after, which is odd: senders "
                        "without TLS do use BDAT. Probe that with --tls never.");
    if (survey->plain.masked || survey->current.masked)
        say(conclusion, " A box in the path blots out EHLO keywords (lines of XXXX), so the "
                        "server may offer more than is seen from here.");
}

static void explain(struct conclusion *conclusion, const struct view *view,
                    const struct survey *survey, const struct case_result *cause, bool delivered)
{
    switch (conclusion->kind) {
    case CONCLUSION_NO_SESSION:
        if (survey->opening != OPENING_UNREACHABLE)
            say(conclusion, "%s: ", survey->endpoint.text);
        say(conclusion, "%s.", survey->why);
        return;
    case CONCLUSION_NOT_OFFERED:
        explain_not_offered(conclusion, survey);
        return;
    case CONCLUSION_INCOMPLETE:
        if (!survey->recipient_found)
            say(conclusion,
                "The server accepted no recipient (%s), so most cases could not be run.",
                survey->recipient_reply);
        else
            say(conclusion, "None of the cases that use BDAT could be run.");
        return;
    case CONCLUSION_WORKS:
    case CONCLUSION_WORKS_SLOWLY:
        say(conclusion, "%u case%s passed", view->passed, view->passed == 1 ? "" : "s");
        if (view->warned > 0)
            say(conclusion, ", %u %s a warning that is worth a look but stops no sound sender",
                view->warned, view->warned == 1 ? "has" : "have");
        say(conclusion, ", none failed.");
        return;
    default:
        say(conclusion, "Case %s: %s", cause->definition->name, cause->meaning);
        if (!is_data(cause) && conclusion->kind != CONCLUSION_RUNS_PAYLOAD)
            compare_with_data(conclusion, view, cause, delivered);
    }
}

void conclusion_draw(struct conclusion *conclusion, const struct survey *survey,
                     const struct case_result *results, size_t count, bool delivered)
{
    struct view view = {.results = results, .count = count};
    const struct case_result *cause;
    for (size_t i = 0; i < count; i++)
        note_result(&view, &results[i]);
    memset(conclusion, 0, sizeof(*conclusion));
    conclusion->kind = choose(&view, survey, &cause);
    conclusion->summary = kinds[conclusion->kind].summary;
    conclusion->advice = kinds[conclusion->kind].advice;
    conclusion->exit_status = kinds[conclusion->kind].exit_status;
    if (conclusion->kind == CONCLUSION_WORKS && !delivered)
        conclusion->advice = advice_deliver;
    explain(conclusion, &view, survey, cause, delivered);
}
