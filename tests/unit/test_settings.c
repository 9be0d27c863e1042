/* The configuration: what each bad file is told, defaults, the dump that loads again, rules. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "milter/options.h"
#include "milter/reply.h"
#include "milter/settings.h"
#include "tests/unit/settings_dump.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEN "0123456789"
#define A_HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static struct settings *load(const char *text, char *error, size_t size)
{
    error[0] = '\0';
    return settings_load_text("f", text, strlen(text), error, size);
}

/* Loads a text that must be fine. */
static const struct settings *must_load(const char *text)
{
    char error[SETTINGS_ERROR_SIZE];
    struct settings *settings = load(text, error, sizeof(error));

    if (settings == NULL)
        fail_msg("refused: %s", error);
    return settings;
}

/* -- what is refused, and in which words --------------------------------------------------- */

struct refusal {
    const char *text;
    const char *error;
};

static const struct refusal refusals[] = {
    /* Keys */
    {"mdoe = \"enforce\";", "f:1: unknown key \"mdoe\", did you mean \"mode\"?"},
    {"\nlimits = {\n  max_chunck = 5;\n};",
     "f:3: unknown key \"limits.max_chunck\", did you mean \"limits.max_chunk\"?"},
    {"limit = { max_chunk = 5; };", "f:1: unknown key \"limit\", did you mean \"limits\"?"},
    {"max_chunk = 5;", "f:1: unknown key \"max_chunk\", did you mean \"limits.max_chunk\"?"},
    {"limits = { threshold = 5; };",
     "f:1: unknown key \"limits.threshold\", did you mean \"suppression.threshold\"?"},
    {"modus = \"observe\";", "f:1: unknown key \"modus\", did you mean \"mode\"?"},
    {"sockets = 1;", "f:1: unknown key \"sockets\""},
    {"socket = \"/x\";", "f:1: unknown key \"socket\""},
    {"actions = { mismatches = \"accept\"; };",
     "f:1: unknown key \"actions.mismatches\", did you mean \"actions.mismatch\"?"},
    {"actions = { stalled = \"accept\"; };",
     "f:1: actions.stalled: nothing can be answered to this verdict"},
    {"replies = { lost = \"x\"; };", "f:1: replies.lost: nothing can be answered to this verdict"},
    {"mode = \"enforce\";\nmode = \"observe\";", "f:2: mode is set twice, first at f:1"},
    {"limits = { max_chunk = 1; };\nlimits = { max_chunks = 1; };",
     "f:2: limits is set twice, first at f:1"},
    {"# x\nlimits = { max_chunk = 1; min_chunk = 0; max_chunk = 2; }; mode = \"observe\";",
     "f:2: limits.max_chunk is set twice, first at f:2"},
    {"log = {\n level = \"info\"; };\nreplies = { mismatch = \"451 \\\" level = 1 level = 2\";\n"
     "/* mismatch = 3 */ swallowed = \"451 x\"; mismatch : \"451 y\"; };",
     "f:4: replies.mismatch is set twice, first at f:3"},
    {"rules = ( { clients = [\"192.0.2.1\"]; chunking = \"never\"; },\n"
     "          { clients = [\"192.0.2.2\"]; chunking = \"never\"; chunking = \"always\"; } );",
     "f:2: rules.chunking is set twice, first at f:2"},
    {"limits = { max_chunk = { a = 1; }; };",
     "f:1: limits.max_chunk: must be a number of octets, or a size in quotes such as \"64K\", "
     "not a group"},
    /* Kinds */
    {"limits = 5;", "f:1: limits: must be a group { ... }, not a number"},
    {"limits = ();", "f:1: limits: must be a group { ... }, not a list"},
    {"limits = [ 1, 2 ];", "f:1: limits: must be a group { ... }, not an array"},
    {"mode = { };", "f:1: mode: must be a word in quotes, not a group"},
    {"mode = 1;", "f:1: mode: must be a word in quotes, not a number"},
    {"mode = true;", "f:1: mode: must be a word in quotes, not true"},
    {"mode = ( \"enforce\" );", "f:1: mode: must be a word in quotes, not a list"},
    {"user = 5;", "f:1: user: must be a text in quotes, not a number"},
    {"socket_mode = 0660;",
     "f:1: socket_mode: must be octal access bits in quotes such as \"0660\", not a number"},
    {"guard = { enabled = \"yes\"; };",
     "f:1: guard.enabled: must be true or false, not a text in quotes"},
    {"guard = { enabled = 1; };", "f:1: guard.enabled: must be true or false, not a number"},
    {"limits = { max_chunks = \"5\"; };",
     "f:1: limits.max_chunks: must be a whole number, not a text in quotes"},
    {"limits = { max_chunks = 5.0; };",
     "f:1: limits.max_chunks: must be a whole number, not a fraction"},
    {"limits = { max_chunk = false; };",
     "f:1: limits.max_chunk: must be a number of octets, or a size in quotes such as \"64K\", "
     "not false"},
    {"store = { keep = 1.5; };",
     "f:1: store.keep: must be a number of seconds, or a time in quotes such as \"1d\", "
     "not a fraction"},
    {"rules = { };", "f:1: rules: must be a list ( { ... }, ... ), not a group"},
    {"rules = [ ];", "f:1: rules: must be a list ( { ... }, ... ), not an array"},
    /* Words */
    {"mode = \"enforse\";",
     "f:1: mode: \"enforse\" is not one of \"enforce\", \"observe\"; did you mean \"enforce\"?"},
    {"mode = \"\";", "f:1: mode: \"\" is not one of \"enforce\", \"observe\""},
    {"mode = \"Observe\";",
     "f:1: mode: \"Observe\" is not one of \"enforce\", \"observe\"; did you mean \"observe\"?"},
    {"mta = \"exim\";", "f:1: mta: \"exim\" is not one of \"auto\", \"postfix\", \"sendmail\""},
    {"actions = { mismatch = \"discard\"; };",
     "f:1: actions.mismatch: \"discard\" is not one of \"accept\", \"tag\", \"hold\", "
     "\"tempfail\", \"reject\""},
    {"store = { type = \"sqlit\"; };",
     "f:1: store.type: \"sqlit\" is not one of \"none\", \"sqlite\"; did you mean \"sqlite\"?"},
    {"log = { target = \"file\"; };",
     "f:1: log.target: \"file\" is not one of \"syslog\", \"stderr\", \"journal\""},
    {"log = { level = \"warn\"; };",
     "f:1: log.level: \"warn\" is not one of \"error\", \"warning\", \"info\", \"debug\""},
    {"mode = \"a\\x1b[31m\\n\";", "f:1: mode: \"a?[31m?\" is not one of \"enforce\", \"observe\""},
    /* Numbers, sizes, times */
    {"suppression = { threshold = 0; };",
     "f:1: suppression.threshold: 0 is out of range, must be at least 1"},
    {"suppression = { threshold = -1; };",
     "f:1: suppression.threshold: -1 is out of range, must be at least 1"},
    {"suppression = { ipv4_prefix = 33; };",
     "f:1: suppression.ipv4_prefix: 33 is out of range, must be at most 32"},
    {"suppression = { ipv6_prefix = 129; };",
     "f:1: suppression.ipv6_prefix: 129 is out of range, must be at most 128"},
    {"limits = { max_chunks = 4294967297; };",
     "f:1: limits.max_chunks: 4294967297 is out of range, must be at most 1000000000"},
    {"limits = { max_chunks = 0x100000001; };",
     "f:1: limits.max_chunks: 4294967297 is out of range, must be at most 1000000000"},
    {"limits = { max_chunk = 99999999999999999999; };",
     "f:1: the number 99999999999999999999 is too large"},
    {"limits = { max_chunk = 1" A_HUNDRED "; };",
     "f:1: the number 10123456789012345678... is too large"},
    {"limits = { max_chunk = -5; };",
     "f:1: limits.max_chunk: -5 is out of range, must be at least 0"},
    {"limits = { max_chunk = \"-5\"; };", "f:1: limits.max_chunk: \"-5\" is negative"},
    {"limits = { max_chunk = \"5X\"; };",
     "f:1: limits.max_chunk: \"5X\" has a suffix other than K, M or G"},
    {"limits = { max_chunk = \"5 MB\"; };",
     "f:1: limits.max_chunk: \"5 MB\" is no size such as 1000, 64K, 10M or 1G"},
    {"limits = { max_chunk = \"9999999999999G\"; };",
     "f:1: limits.max_chunk: \"9999999999999G\" is too large"},
    {"limits = { max_chunk = \"\"; };", "f:1: limits.max_chunk: \"\" is empty"},
    {"limits = { stall_seconds = 0; };",
     "f:1: limits.stall_seconds: 0 is out of range, must be at least 1s"},
    {"limits = { stall_seconds = \"2d\"; };",
     "f:1: limits.stall_seconds: 2d is out of range, must be at most 1d"},
    {"suppression = { hold = \"1y\"; };",
     "f:1: suppression.hold: \"1y\" has a suffix other than s, m, h, d or w"},
    {"suppression = { hold = \"1h30m\"; };",
     "f:1: suppression.hold: \"1h30m\" is no time such as 90s, 10m, 1h, 1d or 2w"},
    /* Strings */
    {"milter = { socket = \"milter.sock\"; };", "f:1: milter.socket: must be an absolute path"},
    {"milter = { socket = \"\"; };", "f:1: milter.socket: must be an absolute path"},
    {"milter = { socket = \"unix:/x\"; };", "f:1: milter.socket: must be an absolute path"},
    {"policy = { socket = \"/" A_HUNDRED "12345678\"; };",
     "f:1: policy.socket: is longer than 107 octets, which is all that the address of a Unix "
     "socket holds"},
    {"store = { path = \"state.db\"; };", "f:1: store.path: must be an absolute path"},
    {"store = { path = \"/a\\nb\"; };", "f:1: store.path: must not contain a control character"},
    {"socket_mode = \"0888\";", "f:1: socket_mode: \"0888\" is no octal number from 0000 to 0777"},
    {"socket_mode = \"1777\";", "f:1: socket_mode: \"1777\" is no octal number from 0000 to 0777"},
    {"socket_mode = \"\";", "f:1: socket_mode: \"\" is no octal number from 0000 to 0777"},
    {"socket_mode = \"0460\";",
     "f:1: socket_mode: \"0460\" keeps the owner from reading and writing"},
    {"user = \"a b\";", "f:1: user: is no name of an account"},
    {"socket_group = \"a:b\";", "f:1: socket_group: is no name of an account"},
    {"suppression = { keywords = \"dsn\"; };",
     "f:1: suppression.keywords: must name chunking, or a suppressed client would still be "
     "offered it"},
    {"suppression = { keywords = \"chunking; dsn\"; };",
     "f:1: suppression.keywords: is no list of EHLO keywords such as \"chunking, "
     "silent-discard\""},
    {"replies = { mismatch = \"250 fine\"; };",
     "f:1: replies.mismatch: begins with 250, but a reply code is 4yz or 5yz with y from 0 to 5"},
    {"replies = { mismatch = \"451 5.1.1 x\"; };",
     "f:1: replies.mismatch: has the reply code 451 and the enhanced status code 5.1.1, which "
     "are not of one class"},
    {"replies = { mismatch = \"\"; };", "f:1: replies.mismatch: has no text"},
    {"replies = { mismatch = \"a\\r\\nb\"; };",
     "f:1: replies.mismatch: must not contain a control character"},
    {"replies = { mismatch = \"%x\"; };",
     "f:1: replies.mismatch: has \"%x\", which is none of %d, %r, %s, %q, %v and %%"},
    /* Relations */
    {"limits = {\nmin_chunk = 10;\nmax_chunk = 5; };",
     "f:2: limits.min_chunk: is larger than limits.max_chunk"},
    {"limits = { min_chunk = \"1K\"; max_message = 1023; };",
     "f:1: limits.min_chunk: is larger than limits.max_message"},
    {"suppression = { hold = \"31d\"; };",
     "f:1: suppression.hold: is longer than suppression.max_hold"},
    {"suppression = {\n max_hold = \"1h\"; };",
     "f:2: suppression.hold: is longer than suppression.max_hold"},
    {"suppression = { proven_threshold = 1; };",
     "f:1: suppression.proven_threshold: is lower than suppression.threshold"},
    {"tables = { socket = \"/a\"; };\npolicy = { socket = \"/a\"; };",
     "f:2: policy.socket: is the same as tables.socket"},
    {"\ntables = { socket = \"/run/bdat-milter/control.sock\"; };",
     "f:2: control.socket: is the same as tables.socket"},
    {"actions = { mismatch = \"reject\"; };\nreplies = { mismatch = \"451 x\"; };",
     "f:1: actions.mismatch: \"reject\" needs a reply 5yz, but replies.mismatch begins with 451"},
    {"\nreplies = { mismatch = \"554 x\"; };",
     "f:2: actions.mismatch: \"tempfail\" needs a reply 4yz, but replies.mismatch begins with "
     "554"},
    /* Rules */
    {"rules = ( 5 );", "f:1: rules: a rule must be a group { ... }, not a number"},
    {"rules = (\n { chunking = \"never\"; } );", "f:2: rules: a rule without clients"},
    {"rules = ( { clients = [ \"192.0.2.1\" ]; } );",
     "f:1: rules: a rule with neither chunking nor actions"},
    {"rules = ( { clients = [ ]; chunking = \"never\"; } );",
     "f:1: rules.clients: names no network"},
    {"rules = ( { clients = \"192.0.2.1\"; chunking = \"never\"; } );",
     "f:1: rules.clients: must be a list of networks such as [\"192.0.2.0/24\"], not a text in "
     "quotes"},
    {"rules = ( { clients = [ 5 ]; chunking = \"never\"; } );",
     "f:1: rules.clients: a network must be in quotes, not a number"},
    {"rules = ( { chunking = \"never\"; clients = [ \"192.0.2.0/24\",\n \"192.0.2.1/24\" ]; } );",
     "f:2: rules.clients: 192.0.2.1/24 has host bits set; 192.0.2.0/24 is meant"},
    {"rules = ( { chunking = \"never\"; clients = [ \"example.com\" ]; } );",
     "f:1: rules.clients: 'example.com' is no IP address or network"},
    {"rules = ( { clients = [ \"192.0.2.1\" ]; chunking = \"nevr\"; } );",
     "f:1: rules.chunking: \"nevr\" is not one of \"adaptive\", \"never\", \"always\"; did you "
     "mean \"never\"?"},
    {"rules = ( { clients = [ \"192.0.2.1\" ]; chunking = false; } );",
     "f:1: rules.chunking: must be a word in quotes, not false"},
    {"rules = ( { client = [ \"192.0.2.1\" ]; chunking = \"never\"; } );",
     "f:1: unknown key \"rules.client\", did you mean \"clients\"?"},
    {"rules = ( { clients = [ \"192.0.2.1\" ]; actions = \"accept\"; } );",
     "f:1: rules.actions: must be a group { ... }, not a text in quotes"},
    {"rules = ( { clients = [ \"192.0.2.1\" ]; actions = { swallow = \"accept\"; }; } );",
     "f:1: unknown key \"rules.actions.swallow\", did you mean \"swallowed\"?"},
    {"rules = ( { clients = [ \"192.0.2.1\" ]; actions = { lost = \"accept\"; }; } );",
     "f:1: rules.actions.lost: nothing can be answered to this verdict"},
    {"rules = ( { clients = [ \"192.0.2.1\" ]; actions = { swallowed = 5; }; } );",
     "f:1: rules.actions.swallowed: must be a word in quotes, not a number"},
    {"rules = ( { clients = [ \"192.0.2.1\" ]; actions = { swallowed = \"acept\"; }; } );",
     "f:1: rules.actions.swallowed: \"acept\" is not one of \"accept\", \"tag\", \"hold\", "
     "\"tempfail\", \"reject\"; did you mean \"accept\"?"},
    {"replies = { swallowed = \"451 x\"; };\n"
     "rules = ( { clients = [ \"192.0.2.1\" ]; actions = { swallowed = \"reject\"; }; } );",
     "f:2: rules.actions.swallowed: \"reject\" needs a reply 5yz, but replies.swallowed begins "
     "with 451"},
    /* Syntax */
    {"mode = ;", "f:1: syntax error here or in the line before"},
    {"mode\n\n= \"enforce\"\n}", "f:4: syntax error here or in the line before"},
    {"limits = { max_chunk = 1;", "f:1: syntax error here or in the line before"},
    {"a = [ 1, \"x\" ];", "f:1: the elements of an array [ ... ] must be of one type"},
    {"\nmode = \"enforce;\n", "f:2: a string is not closed on its line"},
    {"mode = \"enforce\\\"", "f:1: a string is not closed on its line"},
    {"/* a\n\n b", "f:3: a comment is not closed"},
    {"mode = \"enforce\\x00x\";", "f:1: a string must not contain NUL"},
    {"\n@include \"x\"\n", "f:2: @include is not possible here"},
    {"@include x\n", "f:1: @include wants a file name in quotes"},
    {"@include \"\"\n", "f:1: @include wants a file name in quotes"},
    {"/* c\n */ @include \"/\"\n", "f:2: @include must stand alone on its line"},
    {"mode = \"observe\"; @include \"/\"\n", "f:1: @include must stand alone on its line"},
    {"@include \"x\" mode = \"observe\";\n", "f:1: @include must stand alone on its line"},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        char error[SETTINGS_ERROR_SIZE];
        assert_null(load(refusals[i].text, error, sizeof(error)));
        assert_string_equal(error, refusals[i].error);
    }
}

static void test_octets_that_are_no_text(void **state)
{
    static const char text[] = "mode = \"enforce\";\n\0";
    char error[SETTINGS_ERROR_SIZE];
    (void)state;
    assert_null(settings_load_text("f", text, sizeof(text), error, sizeof(error)));
    assert_string_equal(error, "f:2: a NUL octet; is this a configuration file?");
}

/* However little room the error has, it ends in NUL within it. */
static void test_errors_are_cut(void **state)
{
    (void)state;
    for (size_t size = 1; size < 40; size++) {
        char error[41];
        memset(error, 'X', sizeof(error));
        assert_null(settings_load_text("f", "mdoe = 1;", 9, error, size));
        assert_int_equal(strlen(error), size - 1);
    }
}

/* -- defaults ------------------------------------------------------------------------------ */

static void test_an_empty_file_gives_the_defaults(void **state)
{
    const struct settings *s = must_load("");
    (void)state;
    assert_int_equal(s->mode, MODE_ENFORCE);
    assert_int_equal(s->mta, MTA_AUTO);
    assert_string_equal(s->milter_socket, "/var/spool/postfix/bdat-milter/milter.sock");
    assert_string_equal(s->tables_socket, "/var/spool/postfix/bdat-milter/tables.sock");
    assert_string_equal(s->policy_socket, "/var/spool/postfix/bdat-milter/policy.sock");
    assert_string_equal(s->control_socket, "/run/bdat-milter/control.sock");
    assert_string_equal(s->socket_group, "postfix");
    assert_int_equal(s->socket_mode, 0660);
    assert_string_equal(s->user, "");
    assert_int_equal(s->limits.max_chunks, 100000);
    assert_int_equal(s->limits.max_chunk, 0);
    assert_int_equal(s->limits.min_chunk, 0);
    assert_int_equal(s->limits.max_message, 0);
    assert_int_equal(s->limits.size_slack, 65536);
    assert_int_equal(s->limits.stall_seconds, 30);
    assert_true(s->suppression.enabled);
    assert_int_equal(s->suppression.threshold, 2);
    assert_int_equal(s->suppression.proven_threshold, 6);
    assert_int_equal(s->suppression.window, 3600);
    assert_int_equal(s->suppression.hold, 86400);
    assert_int_equal(s->suppression.max_hold, 30 * 86400);
    assert_int_equal(s->suppression.ipv4_prefix, 32);
    assert_int_equal(s->suppression.ipv6_prefix, 64);
    assert_int_equal(s->suppression.max_clients, 1000000);
    assert_string_equal(s->suppression.keywords, "chunking, silent-discard");
    assert_true(s->guard_enabled);
    assert_null(s->rules);
    assert_int_equal(s->store_type, STORE_SQLITE);
    assert_string_equal(s->store_path, "/var/lib/bdat-milter/state.db");
    assert_int_equal(s->store_keep, 90 * 86400);
    assert_int_equal(s->log_target, LOG_TARGET_SYSLOG);
    assert_int_equal(s->log_level, LOG_LEVEL_INFO);
    settings_unref(&s);
    assert_null(s);
    settings_unref(&s);
}

/* Each verdict that can be answered has its two options, and no other verdict has any. */
static void test_the_table_knows_every_verdict(void **state)
{
    const struct settings *settings = must_load("");
    (void)state;
    for (int i = 0; i < VERDICT_COUNT; i++) {
        enum verdict verdict = (enum verdict)i;
        char name[64], error[200];
        struct reply reply;
        for (int j = 0; j < 2; j++) {
            snprintf(name, sizeof(name), "%s.%s", j ? "replies" : "actions", verdict_name(verdict));
            const struct option *option = option_find(name);
            assert_int_equal(option != NULL, verdict_is_answerable(verdict));
            if (option != NULL)
                assert_int_equal(option->verdict, verdict);
        }
        assert_int_equal(settings->actions[i], verdict_default_action(verdict));
        assert_int_equal(settings->replies[i] != NULL, verdict_is_answerable(verdict));
        if (settings->replies[i] == NULL)
            continue;
        assert_int_equal(reply_parse(settings->replies[i], &reply, error, sizeof(error)), 0);
        assert_string_equal(reply.code, ""); /* fits whatever action is chosen */
    }
    settings_unref(&settings);
}

static void test_the_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < option_count; i++) {
        const char *name = options[i].name;
        char group[64];
        assert_ptr_equal(option_find(name), &options[i]);
        snprintf(group, sizeof(group), "%.*s", (int)strcspn(name, "."), name);
        assert_int_equal(option_group_exists(group), strchr(name, '.') != NULL);
        assert_int_equal(options[i].type == OPTION_WORD, options[i].words != NULL);
        assert_non_null(option_preset(&options[i]));
        if (options[i].help == NULL)
            assert_true(strncmp(name, "actions.", 8) == 0);
    }
    for (size_t i = 0; i < option_group_count; i++) {
        size_t length = strlen(option_groups[i]), used = 0;
        for (size_t j = 0; j < option_count; j++)
            used += strncmp(options[j].name, option_groups[i], length) == 0 &&
                    options[j].name[length] == '.';
        assert_true(used > 0);
    }
    assert_null(option_find("limits"));
    assert_false(option_group_exists("mode"));
}

/* -- values -------------------------------------------------------------------------------- */

static void test_values(void **state)
{
    const struct settings *s = must_load(
        "# comment \" here\n// and 'here'\n/* and \" \n here */ mode = \"observe\"; /* x */\n"
        "mta = \"send\" \"mail\"; socket_mode = \"666\"; user = \"\"; socket_group = \"\"\n"
        "limits : { max_chunks = 0; max_chunk = 5000000000; min_chunk = \"10k\";\r\n"
        "  max_message = 0x200000000; size_slack = 7L; stall_seconds = \"2m\" };\n"
        "suppression = { enabled = FALSE; window = 90; hold = \"2h\"; max_hold = \"1w\";\n"
        "  keywords = \"CHUNKING,dsn\"; };\n"
        "actions = { mismatch = \"reject\"; normalized = \"tag\"; };\n"
        "replies = { mismatch = \"554 5.6.0 \\\"%d\\\" \\\\ %r\"; };\n"
        "store = { type = \"none\"; path = \"/a # b // c /* d\"; };\n"
        "log = { target = \"stderr\"; level = \"debug\"; };");
    (void)state;
    assert_int_equal(s->mode, MODE_OBSERVE);
    assert_int_equal(s->mta, MTA_SENDMAIL);
    assert_int_equal(s->socket_mode, 0666);
    assert_string_equal(s->socket_group, "");
    assert_int_equal(s->limits.max_chunks, 0);
    assert_int_equal(s->limits.max_chunk, 5000000000);
    assert_int_equal(s->limits.min_chunk, 10240);
    assert_int_equal(s->limits.max_message, 0x200000000);
    assert_int_equal(s->limits.size_slack, 7);
    assert_int_equal(s->limits.stall_seconds, 120);
    assert_false(s->suppression.enabled);
    assert_int_equal(s->suppression.window, 90);
    assert_int_equal(s->suppression.max_hold, 604800);
    assert_string_equal(s->suppression.keywords, "CHUNKING,dsn");
    assert_int_equal(s->actions[VERDICT_MISMATCH], ACTION_REJECT);
    assert_int_equal(s->actions[VERDICT_NORMALIZED], ACTION_TAG);
    assert_int_equal(s->actions[VERDICT_TRUNCATED], ACTION_TEMPFAIL);
    assert_string_equal(s->replies[VERDICT_MISMATCH], "554 5.6.0 \"%d\" \\ %r");
    assert_int_equal(s->store_type, STORE_NONE);
    assert_string_equal(s->store_path, "/a # b // c /* d");
    assert_int_equal(s->log_target, LOG_TARGET_STDERR);
    assert_int_equal(s->log_level, LOG_LEVEL_DEBUG);
    settings_unref(&s);
}

static void test_the_journal_needs_libsystemd(void **state)
{
    char error[SETTINGS_ERROR_SIZE];
    const struct settings *settings =
        load("log = { target = \"journal\"; };", error, sizeof(error));
    (void)state;
    if (log_target_is_built_in(LOG_TARGET_JOURNAL))
        assert_int_equal(settings->log_target, LOG_TARGET_JOURNAL);
    else
        assert_string_equal(error, "f:1: log.target: \"journal\" is not possible: this program "
                                   "was built without libsystemd");
    settings_unref(&settings);
}

static struct address address_of(const char *text)
{
    struct address address;
    assert_true(address_parse(text, strlen(text), &address));
    return address;
}

static void test_rules_come_before_actions(void **state)
{
    const struct settings *s = must_load(
        "actions = { mismatch = \"hold\"; };\n"
        "rules = ( { clients = [\"192.0.2.0/24\", \"2001:db8::/32\"]; chunking = \"never\"; },\n"
        " { clients = (\"192.0.2.7\"); actions = { mismatch = \"accept\"; }; } );");
    struct address seven = address_of("192.0.2.7"), eight = address_of("192.0.2.8"),
                   other = address_of("198.51.100.7"), six = address_of("2001:db8::5");
    (void)state;
    assert_int_equal(settings_match_rules(s, &seven).chunking, CHUNKING_NEVER);
    assert_int_equal(settings_match_rules(s, &six).chunking, CHUNKING_NEVER);
    assert_int_equal(settings_match_rules(s, &other).chunking, CHUNKING_ADAPTIVE);
    assert_int_equal(settings_action(s, &seven, VERDICT_MISMATCH), ACTION_ACCEPT);
    assert_int_equal(settings_action(s, &eight, VERDICT_MISMATCH), ACTION_HOLD);
    assert_int_equal(settings_action(s, &other, VERDICT_MISMATCH), ACTION_HOLD);
    assert_int_equal(settings_action(s, &seven, VERDICT_TRUNCATED), ACTION_TEMPFAIL);
    settings_unref(&s);
    s = must_load("rules = ( );");
    assert_int_equal(settings_match_rules(s, &seven).chunking, CHUNKING_ADAPTIVE);
    assert_int_equal(settings_action(s, &seven, VERDICT_MISMATCH), ACTION_TEMPFAIL);
    settings_unref(&s);
}

static void test_what_needs_a_restart(void **state)
{
    const struct settings *running = must_load(""), *loaded;
    size_t cursor = 0;
    (void)state;
    loaded = must_load("mode = \"observe\"; limits = { max_chunk = 7; };");
    assert_null(settings_next_restart(running, loaded, &cursor));
    settings_unref(&loaded);
    loaded = must_load("mode = \"observe\"; socket_mode = \"0600\"; store = { path = \"/x\"; };");
    cursor = 0;
    assert_string_equal(settings_next_restart(running, loaded, &cursor), "socket_mode");
    assert_string_equal(settings_next_restart(running, loaded, &cursor), "store.path");
    assert_null(settings_next_restart(running, loaded, &cursor));
    assert_null(settings_next_restart(running, loaded, &cursor));
    settings_unref(&loaded);
    settings_unref(&running);
}

/* -- the dump ------------------------------------------------------------------------------ */

static void test_the_dump_loads_again(void **state)
{
    static const char *const texts[] = {
        "",
        "mode = \"observe\"; mta = \"sendmail\"; socket_mode = \"0600\"; user = \"bdat\";\n"
        "limits = { max_chunks = 7; max_chunk = 5000000000; min_chunk = 1000; max_message = "
        "\"9G\"; size_slack = 0; stall_seconds = 90; };\n"
        "suppression = { enabled = false; threshold = 3; ipv4_prefix = 24; hold = 61; };\n"
        "replies = { mismatch = \"451 4.5.0 \\\"quoted\\\" back\\\\slash %d %%\"; };\n"
        "actions = { mismatch = \"tempfail\"; unverified = \"tag\"; };\n"
        "rules = ( { clients = [\"192.0.2.0/24\", \"2001:DB8:0::/32\"]; chunking = \"never\"; },\n"
        "  { clients = [\"198.51.100.7/32\"]; actions = { swallowed = \"accept\"; mismatch = "
        "\"hold\"; }; chunking = \"adaptive\"; } );\n"
        "store = { type = \"none\"; path = \"/gr\xc3\xbc\xc3\x9f/\\\\x\"; keep = \"2w\"; };\n"
        "log = { target = \"stderr\"; level = \"error\"; };",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        const struct settings *first = must_load(texts[i]);
        char *text = settings_dump(first);
        const struct settings *second = must_load(text);
        struct option_view view;
        assert_true(settings_are_equal(first, second));
        for (size_t j = 0; j < settings_option_count(); j++) {
            settings_option_view(second, j, &view);
            assert_true(view.line > 0);
            assert_string_equal(view.file, "f");
        }
        free(text);
        settings_unref(&first);
        settings_unref(&second);
    }
}

static void test_views_tell_where_a_value_is_set(void **state)
{
    const struct settings *settings = must_load("\nlimits = {\n  max_chunk = \"1M\";\n};\n"
                                                "rules = (\n { clients = [\"192.0.2.0/24\"];"
                                                " chunking = \"always\"; } );\n");
    struct option_view view;
    size_t seen = 0;
    (void)state;
    for (size_t i = 0; i < settings_option_count(); i++) {
        settings_option_view(settings, i, &view);
        if (strcmp(view.name, "limits.max_chunk") == 0) {
            assert_string_equal(view.type, "size");
            assert_string_equal(view.value, "\"1M\"");
            assert_string_equal(view.preset, "\"0\"");
            assert_string_equal(view.file, "f");
            assert_int_equal(view.line, 3);
            assert_true(view.reloadable);
            seen++;
        } else if (strcmp(view.name, "rules") == 0) {
            assert_string_equal(view.value, "( { clients = [\"192.0.2.0/24\"]; chunking = "
                                            "\"always\"; } )");
            assert_string_equal(view.preset, "( )");
            assert_int_equal(view.line, 5);
            seen++;
        } else {
            assert_string_equal(view.value, view.preset);
            assert_int_equal(view.line, 0);
            assert_null(view.file);
            assert_true(strlen(view.help) > 10);
        }
    }
    assert_int_equal(seen, 2);
    settings_unref(&settings);
}

/* -- files and what they include ----------------------------------------------------------- */

static char folder[] = "/tmp/test_settings.XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static const char *const made[] = {"main.conf", "sub/a.conf", "sub/b.conf", "loop.conf",
                                   "sub/next.conf"};

static int remove_folder(void **state)
{
    char path[200];
    (void)state;
    for (size_t i = 0; i < COUNT(made); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, made[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/sub", folder);
    rmdir(path);
    return rmdir(folder);
}

static void write_file(const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/sub", folder);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static struct settings *load_file(const char *name, char *error, size_t size)
{
    char path[200];
    error[0] = '\0';
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return settings_load(path, error, size);
}

/* Expects "FOLDER/want" as the error of that file. */
static void expect_file_error(const char *name, const char *want)
{
    char error[SETTINGS_ERROR_SIZE], text[SETTINGS_ERROR_SIZE];
    assert_null(load_file(name, error, sizeof(error)));
    snprintf(text, sizeof(text), "%s/%s", folder, want);
    assert_string_equal(error, text);
}

static void test_included_files(void **state)
{
    char error[SETTINGS_ERROR_SIZE], path[200];
    struct option_view view;
    (void)state;
    write_file("main.conf", "\xef\xbb\xbfmode = \"observe\";\n  @include \"sub/a.conf\" # x\n"
                            "# @include \"none\"\n/*\n@include \"none\"\n*/\n"
                            "user = \"last\";\n");
    write_file("sub/a.conf", "limits = {\n@include \"b.conf\"\n};");
    write_file("sub/b.conf", "\n\n  max_chunk = 5;");
    const struct settings *settings = load_file("main.conf", error, sizeof(error));
    if (settings == NULL)
        fail_msg("refused: %s", error);
    assert_int_equal(settings->limits.max_chunk, 5);
    assert_string_equal(settings->user, "last");
    for (size_t i = 0; i < settings_option_count(); i++) {
        settings_option_view(settings, i, &view);
        if (strcmp(view.name, "limits.max_chunk") == 0) {
            snprintf(path, sizeof(path), "%s/sub/b.conf", folder);
            assert_string_equal(view.file, path);
            assert_int_equal(view.line, 3);
        } else if (strcmp(view.name, "user") == 0) {
            assert_int_equal(view.line, 7);
        }
    }
    settings_unref(&settings);

    write_file("sub/b.conf", "\nmax_chunck = 5;");
    expect_file_error("main.conf", "sub/b.conf:2: unknown key \"limits.max_chunck\", did you "
                                   "mean \"limits.max_chunk\"?");
    write_file("sub/b.conf", "max_chunk = ;");
    expect_file_error("main.conf", "sub/b.conf:1: syntax error here or in the line before");
    write_file("sub/b.conf", "/* open");
    expect_file_error("main.conf", "sub/b.conf:1: a comment is not closed");
    write_file("sub/b.conf", "max_chunk = 5; max_message = 4; min_chunk = 5;");
    expect_file_error("main.conf",
                      "sub/b.conf:1: limits.min_chunk: is larger than limits.max_message");
}

static void test_files_that_cannot_be_read(void **state)
{
    char error[SETTINGS_ERROR_SIZE], want[SETTINGS_ERROR_SIZE];
    (void)state;
    expect_file_error("none.conf", "none.conf: cannot be read: No such file or directory");
    expect_file_error("sub", "sub: cannot be read: it is a folder");
    assert_null(settings_load("/dev/zero", error, sizeof(error)));
    assert_string_equal(error, "/dev/zero: cannot be read: it is no regular file");
    write_file("main.conf", "\n@include \"sub/none.conf\"\n");
    snprintf(want, sizeof(want),
             "main.conf:2: cannot include \"%s/sub/none.conf\": "
             "No such file or directory",
             folder);
    expect_file_error("main.conf", want);
    write_file("main.conf", "\n@include \"/tmp\"\n");
    expect_file_error("main.conf", "main.conf:2: cannot include \"/tmp\": it is a folder");
    write_file("loop.conf", "\n@include \"loop.conf\"\n");
    expect_file_error("loop.conf", "loop.conf:2: @include goes deeper than 10 files");
}

static void test_too_much_text(void **state)
{
    char *text = malloc(700001), want[SETTINGS_ERROR_SIZE];
    (void)state;
    assert_non_null(text);
    memset(text, '\n', 700000);
    text[700000] = '\0';
    write_file("sub/next.conf", text);
    free(text);
    write_file("main.conf", "@include \"sub/next.conf\"\n");
    char error[SETTINGS_ERROR_SIZE];
    const struct settings *settings = load_file("main.conf", error, sizeof(error));
    assert_non_null(settings);
    settings_unref(&settings);
    write_file("main.conf", "@include \"sub/next.conf\"\n@include \"sub/next.conf\"\n");
    snprintf(want, sizeof(want),
             "main.conf:2: cannot include \"%s/sub/next.conf\": "
             "the configuration is larger than 1 MiB",
             folder);
    expect_file_error("main.conf", want);
}

/* -- references ---------------------------------------------------------------------------- */

static void *use_and_drop(void *argument)
{
    const struct settings *settings = argument;

    for (int i = 0; i < 1000; i++) {
        const struct settings *mine = settings_ref(settings);
        assert_int_equal(mine->limits.max_chunks, 100000);
        settings_unref(&mine);
    }
    settings_unref(&settings);
    return NULL;
}

static void test_the_last_reference_frees(void **state)
{
    const struct settings *settings = must_load("");
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < COUNT(threads); i++) {
        const struct settings *its = settings_ref(settings);
        assert_int_equal(pthread_create(&threads[i], NULL, use_and_drop, (void *)(uintptr_t)its),
                         0);
    }
    settings_unref(&settings);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_octets_that_are_no_text),
        cmocka_unit_test(test_errors_are_cut),
        cmocka_unit_test(test_an_empty_file_gives_the_defaults),
        cmocka_unit_test(test_the_table_knows_every_verdict),
        cmocka_unit_test(test_the_table_is_sound),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_the_journal_needs_libsystemd),
        cmocka_unit_test(test_rules_come_before_actions),
        cmocka_unit_test(test_what_needs_a_restart),
        cmocka_unit_test(test_the_dump_loads_again),
        cmocka_unit_test(test_views_tell_where_a_value_is_set),
        cmocka_unit_test(test_included_files),
        cmocka_unit_test(test_files_that_cannot_be_read),
        cmocka_unit_test(test_too_much_text),
        cmocka_unit_test(test_the_last_reference_frees),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
