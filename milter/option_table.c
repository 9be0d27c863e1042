/* The table of options.h, and what the strings in it must be like. */
#include "milter/options.h"

#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "milter/complaint.h"
#include "milter/reply.h"

/* What a path or a name may have at most. */
#define PATH_OCTETS_MAX 4095
#define NAME_OCTETS_MAX 255

#define FIELD(member) offsetof(struct settings, member), sizeof(((struct settings *)0)->member)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *mode_word(int i)
{
    static const char *const words[] = {[MODE_ENFORCE] = "enforce", [MODE_OBSERVE] = "observe"};
    return words[i];
}

static const char *mta_word(int i)
{
    return mta_name((enum mta)i);
}

static const char *store_word(int i)
{
    static const char *const words[] = {[STORE_NONE] = "none", [STORE_SQLITE] = "sqlite"};
    return words[i];
}

static const char *chunking_word(int i)
{
    static const char *const words[] = {
        [CHUNKING_ADAPTIVE] = "adaptive", [CHUNKING_NEVER] = "never", [CHUNKING_ALWAYS] = "always"};
    return words[i];
}

static const char *action_word(int i)
{
    return action_name((enum action)i);
}

static const char *target_word(int i)
{
    return log_target_name((enum log_target)i);
}

static const char *level_word(int i)
{
    return log_level_name((enum log_level)i);
}

/* What words there are: a function that names them, and how many. */
static const struct option_words mode_words = {mode_word, 2};
static const struct option_words mta_words = {mta_word, MTA_COUNT};
static const struct option_words store_words = {store_word, 2};
static const struct option_words target_words = {target_word, LOG_TARGET_COUNT};
static const struct option_words level_words = {level_word, LOG_LEVEL_COUNT};
const struct option_words option_chunking_words = {chunking_word, 3};
const struct option_words option_action_words = {action_word, ACTION_COUNT};

static int check_path(const char *value, char *error, size_t error_size)
{
    if (value[0] != '/')
        return complain(error, error_size, "must be an absolute path");
    if (strlen(value) > PATH_OCTETS_MAX)
        return complain(error, error_size, "is longer than %d octets", PATH_OCTETS_MAX);
    return 0;
}

/* A path that fits the address of a Unix socket, which is shorter than others. */
static int check_socket(const char *value, char *error, size_t error_size)
{
    size_t room = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

    if (check_path(value, error, error_size) != 0)
        return -1;
    if (strlen(value) > room)
        return complain(error, error_size,
                        "is longer than %zu octets, which is all that the address of a Unix "
                        "socket holds",
                        room);
    return 0;
}

/* A user or group, by name or number. */
static int check_account(const char *value, char *error, size_t error_size)
{
    if (strlen(value) > NAME_OCTETS_MAX || value[strcspn(value, " \t/:,")] != '\0')
        return complain(error, error_size, "is no name of an account");
    return 0;
}

/* EHLO keywords as smtpd_discard_ehlo_keywords of postconf(5) takes them. */
static int check_keywords(const char *value, char *error, size_t error_size)
{
    bool has_chunking = false;

    if (strlen(value) > NAME_OCTETS_MAX)
        return complain(error, error_size, "is longer than %d octets", NAME_OCTETS_MAX);
    for (const char *p = value; *(p += strspn(p, " ,")) != '\0';) {
        size_t length = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-");
        if (p[length] != '\0' && p[length] != ' ' && p[length] != ',')
            return complain(error, error_size,
                            "is no list of EHLO keywords such as \"chunking, silent-discard\"");
        has_chunking |= length == strlen("chunking") && strncasecmp(p, "chunking", length) == 0;
        p += length;
    }
    if (!has_chunking)
        return complain(error, error_size,
                        "must name chunking, or a suppressed client would still be offered it");
    return 0;
}

static int check_reply(const char *value, char *error, size_t error_size)
{
    struct reply reply;

    return reply_parse(value, &reply, error, error_size);
}

/* A target that this build has. */
static int check_target(const char *value, char *error, size_t error_size)
{
    if (strcmp(value, log_target_name(LOG_TARGET_JOURNAL)) == 0 &&
        !log_target_is_built_in(LOG_TARGET_JOURNAL))
        return complain(error, error_size,
                        "\"%s\" is not possible: this program was built without libsystemd", value);
    return 0;
}

/* clang-format off */
#define SOCKET(key, member, path, text) \
    {key, OPTION_STRING, FIELD(member), path, .check = check_socket, .help = text}
#define ACTION(key, of) \
    {key, OPTION_WORD, FIELD(actions[of]), NULL, .words = &option_action_words, \
     .verdict = of, .reloadable = true}
#define REPLY(key, of, text) \
    {key, OPTION_STRING, FIELD(replies[of]), text, .check = check_reply, .verdict = of, \
     .reloadable = true, .help = "reply when the action on this verdict is tempfail or reject"}
/* clang-format on */

#define OCTETS_MAX INT64_MAX
#define YEAR (366LL * 86400)

const struct option options[] = {
    {"mode", OPTION_WORD, FIELD(mode), "enforce", .words = &mode_words, .reloadable = true,
     .help = "enforce, or observe: judge and record, but answer and suppress nothing"},
    {"mta", OPTION_WORD, FIELD(mta), "auto", .words = &mta_words,
     .help = "the mail server: postfix, sendmail, or auto: what the first connection shows"},
    SOCKET("milter.socket", milter_socket, "/var/spool/postfix/bdat-milter/milter.sock",
           "Unix socket for smtpd_milters"),
    SOCKET("tables.socket", tables_socket, "/var/spool/postfix/bdat-milter/tables.sock",
           "Unix socket for the socketmap tables command and ehlo"),
    SOCKET("policy.socket", policy_socket, "/var/spool/postfix/bdat-milter/policy.sock",
           "Unix socket for check_policy_service"),
    SOCKET("control.socket", control_socket, "/run/bdat-milter/control.sock",
           "Unix socket for bdatctl"),
    {"socket_group", OPTION_STRING, FIELD(socket_group), "postfix", .check = check_account,
     .help = "group of the sockets; empty leaves it as it is"},
    {"socket_mode", OPTION_MODE, FIELD(socket_mode), "0660", .help = "access bits of the sockets"},
    {"user", OPTION_STRING, FIELD(user), "", .check = check_account,
     .help = "whom to become when started as root; empty: nobody else"},

    ACTION("actions.normalized", VERDICT_NORMALIZED),
    ACTION("actions.mismatch", VERDICT_MISMATCH),
    ACTION("actions.truncated", VERDICT_TRUNCATED),
    ACTION("actions.swallowed", VERDICT_SWALLOWED),
    ACTION("actions.dot_stuffed", VERDICT_DOT_STUFFED),
    ACTION("actions.size_exceeded", VERDICT_SIZE_EXCEEDED),
    ACTION("actions.refused", VERDICT_REFUSED),
    ACTION("actions.desynchronized", VERDICT_DESYNCHRONIZED),
    ACTION("actions.not_offered", VERDICT_NOT_OFFERED),
    ACTION("actions.unverified", VERDICT_UNVERIFIED),

    REPLY("replies.normalized", VERDICT_NORMALIZED,
          "BDAT message has line ends other than CRLF (declared %d, received %r)"),
    REPLY("replies.mismatch", VERDICT_MISMATCH,
          "BDAT transfer does not add up (declared %d, received %r); please retry"),
    REPLY("replies.truncated", VERDICT_TRUNCATED,
          "BDAT message ends in the middle (declared %d octets); please retry"),
    REPLY("replies.swallowed", VERDICT_SWALLOWED,
          "BDAT declared %d octets and took SMTP commands into the message; please retry"),
    REPLY("replies.dot_stuffed", VERDICT_DOT_STUFFED,
          "BDAT message ends in a lone dot, as only DATA wants it"),
    REPLY("replies.size_exceeded", VERDICT_SIZE_EXCEEDED,
          "message of %r octets, but SIZE announced %s"),
    REPLY("replies.refused", VERDICT_REFUSED, "BDAT transfer of %d octets is beyond a local limit"),
    REPLY("replies.desynchronized", VERDICT_DESYNCHRONIZED,
          "BDAT chunk was not as long as declared; please retry"),
    REPLY("replies.not_offered", VERDICT_NOT_OFFERED, "CHUNKING was not offered; use DATA"),
    REPLY("replies.unverified", VERDICT_UNVERIFIED,
          "BDAT transfer could not be verified; please retry"),

    {"limits.max_chunks", OPTION_COUNT_OF, FIELD(limits.max_chunks), "100000", 0, 1000000000,
     .reloadable = true, .help = "BDAT commands in one transfer; 0 = no limit"},
    {"limits.max_chunk", OPTION_SIZE, FIELD(limits.max_chunk), "0", 0, OCTETS_MAX,
     .reloadable = true, .help = "octets of one chunk at most; 0 = no limit"},
    {"limits.min_chunk", OPTION_SIZE, FIELD(limits.min_chunk), "0", 0, OCTETS_MAX,
     .reloadable = true, .help = "octets of one chunk at least, the last apart; 0 = no limit"},
    {"limits.max_message", OPTION_SIZE, FIELD(limits.max_message), "0", 0, OCTETS_MAX,
     .reloadable = true, .help = "octets of all chunks together; 0 = no limit"},
    {"limits.size_slack", OPTION_SIZE, FIELD(limits.size_slack), "64K", 0, OCTETS_MAX,
     .reloadable = true, .help = "octets that chunks may exceed SIZE by without a word"},
    {"limits.stall_seconds", OPTION_TIME, FIELD(limits.stall_seconds), "30s", 1, 86400,
     .reloadable = true, .help = "silence after BDAT from which a lost session counts as stalled"},

    {"suppression.enabled", OPTION_BOOLEAN, FIELD(suppression.enabled), "true", .reloadable = true,
     .help = "stop offering CHUNKING to clients that cannot do it"},
    {"suppression.threshold", OPTION_COUNT_OF, FIELD(suppression.threshold), "2", 1, 100,
     .reloadable = true, .help = "strikes within the window that suppress a client"},
    {"suppression.proven_threshold", OPTION_COUNT_OF, FIELD(suppression.proven_threshold), "6", 1,
     100, .reloadable = true, .help = "the same for a client with a clean transfer in the window"},
    {"suppression.window", OPTION_TIME, FIELD(suppression.window), "1h", 1, YEAR,
     .reloadable = true, .help = "how long a strike counts"},
    {"suppression.hold", OPTION_TIME, FIELD(suppression.hold), "1d", 1, 10 * YEAR,
     .reloadable = true, .help = "how long a client is suppressed the first time"},
    {"suppression.max_hold", OPTION_TIME, FIELD(suppression.max_hold), "30d", 1, 10 * YEAR,
     .reloadable = true, .help = "how long at most, after doubling"},
    {"suppression.ipv4_prefix", OPTION_COUNT_OF, FIELD(suppression.ipv4_prefix), "32", 8, 32,
     .reloadable = true, .help = "bits of an IPv4 address that make a client"},
    {"suppression.ipv6_prefix", OPTION_COUNT_OF, FIELD(suppression.ipv6_prefix), "64", 16, 128,
     .reloadable = true, .help = "bits of an IPv6 address that make a client"},
    {"suppression.max_clients", OPTION_COUNT_OF, FIELD(suppression.max_clients), "1000000", 1,
     100000000, .reloadable = true,
     .help = "clients remembered; beyond, the least recently seen are forgotten"},
    {"suppression.keywords", OPTION_STRING, FIELD(suppression.keywords), "chunking, silent-discard",
     .check = check_keywords, .reloadable = true,
     .help = "EHLO keywords kept from a suppressed client"},

    {"guard.enabled", OPTION_BOOLEAN, FIELD(guard_enabled), "true", .reloadable = true,
     .help = "keep command sequences from the mail server that harm it"},
    {"rules", OPTION_LIST, FIELD(rules), "( )", .reloadable = true,
     .help = "exceptions for networks of clients"},
    {"store.type", OPTION_WORD, FIELD(store_type), "sqlite", .words = &store_words,
     .help = "where suppressed clients and incidents survive a restart: sqlite or none"},
    {"store.path", OPTION_STRING, FIELD(store_path), "/var/lib/bdat-milter/state.db",
     .check = check_path, .help = "the database file"},
    {"store.keep", OPTION_TIME, FIELD(store_keep), "90d", 1, 10 * YEAR, .reloadable = true,
     .help = "how long incidents are kept"},
    {"log.target", OPTION_WORD, FIELD(log_target), "syslog", .words = &target_words,
     .check = check_target, .reloadable = true,
     .help = "syslog (facility mail), stderr or journal"},
    {"log.level", OPTION_WORD, FIELD(log_level), "info", .words = &level_words, .reloadable = true,
     .help = "error, warning, info or debug: that and what is graver"},
};
const size_t option_count = COUNT(options);

const char *const option_groups[] = {
    "milter", "tables",      "policy", "control", "actions", "replies",
    "limits", "suppression", "guard",  "store",   "log",
};
const size_t option_group_count = COUNT(option_groups);
