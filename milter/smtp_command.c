#include "milter/smtp_command.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

/* Postfix counts in off_t (smtpd.c, off_cvt_string): a larger size is malformed. */
#define OCTETS_MAX ((uint64_t)INT64_MAX)

struct verb_row {
    struct slice name;
    enum smtp_verb verb;
};

#define VERB(text, number)                           \
    {                                                \
        {text, sizeof(text) - 1}, SMTP_VERB_##number \
    }

/* The verbs Postfix knows, those of the IANA registry of SMTP extensions, and a few others that
 * clients are known to send: none of them is message text. */
static const struct verb_row verbs[] = {
    VERB("AUTH", AUTH),          VERB("BDAT", BDAT),         VERB("DATA", DATA),
    VERB("EHLO", EHLO),          VERB("HELO", HELO),         VERB("MAIL", MAIL),
    VERB("NOOP", NOOP),          VERB("QUIT", QUIT),         VERB("RCPT", RCPT),
    VERB("RSET", RSET),          VERB("STARTTLS", STARTTLS), VERB("XCLIENT", XCLIENT),
    VERB("ATRN", OTHER),         VERB("BURL", OTHER),        VERB("ETRN", OTHER),
    VERB("EXPN", OTHER),         VERB("HELP", OTHER),        VERB("LHLO", OTHER),
    VERB("SAML", OTHER),         VERB("SEND", OTHER),        VERB("SOML", OTHER),
    VERB("TURN", OTHER),         VERB("VERB", OTHER),        VERB("VRFY", OTHER),
    VERB("XFORWARD", OTHER),     VERB("XADR", OTHER),        VERB("XCIR", OTHER),
    VERB("XEXCH50", OTHER),      VERB("XGEN", OTHER),        VERB("XQUE", OTHER),
    VERB("XSTA", OTHER),         VERB("XTRN", OTHER),        VERB("X-EXPS", OTHER),
    VERB("X-LINK2STATE", OTHER), VERB("CLIENTID", OTHER),    VERB("EMAL", OTHER),
    VERB("ESAM", OTHER),         VERB("ESND", OTHER),        VERB("ESOM", OTHER),
    VERB("EVFY", OTHER),         VERB("ONEX", OTHER),        VERB("QUEU", OTHER),
    VERB("TURNME", OTHER),
};

/* Octets of a private verb. */
#define PRIVATE_VERB_MIN 4
#define PRIVATE_VERB_MAX 32

/* Characters that next_token() and skip_quoted() must look at; all others are just text. */
static const bool is_special[UCHAR_MAX + 1] = {
    [' '] = true, ['\t'] = true, ['\n'] = true, ['\v'] = true, ['\f'] = true, ['\r'] = true,
    ['<'] = true, ['>'] = true,  ['"'] = true,  ['\\'] = true, [':'] = true,
};

/* What parts words for Postfix: isspace() of the C locale. */
static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* True if these are the same letter, in either case, or the same other character. Of characters
 * that are no letters it may say so in error. */
static bool may_be_same(char a, char b)
{
    return ((a ^ b) & ~0x20) == 0;
}

static bool slices_are_same(struct slice a, struct slice b)
{
    return a.length == b.length && a.length > 0 && may_be_same(a.text[0], b.text[0]) &&
           strncasecmp(a.text, b.text, a.length) == 0;
}

static bool slice_is(struct slice word, const char *text)
{
    return slices_are_same(word, (struct slice){text, strlen(text)});
}

static bool slice_starts(struct slice word, const char *text)
{
    return word.length >= strlen(text) && strncasecmp(word.text, text, strlen(text)) == 0;
}

/* The end of the quoted part that begins at text[at] with `<` or `"`: the offset behind its
 * closing character, or `length` with *broken set. In it quotes go before angle brackets, both
 * nest, and a backslash takes the next character's meaning. */
static size_t skip_quoted(struct slice text, size_t at, bool *broken)
{
    size_t brackets = text.text[at] == '<' ? 1 : 0;
    bool quoted = brackets == 0;
    for (at++; at < text.length; at++) {
        char c = text.text[at];
        if (!is_special[(unsigned char)c])
            continue;
        if (c == '\\')
            at++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && c == '<')
            brackets++;
        else if (!quoted && c == '>')
            brackets--;
        if (!quoted && brackets == 0)
            return at + 1;
    }
    *broken = true;
    return text.length;
}

/* Takes the next word off *rest as smtpd_token.c does: "from:" and "to:" end a word, what
 * stands in quotes or angle brackets is part of it, blanks and all. An empty slice at the end.
 * *broken is set if a quote is not closed. */
static struct slice next_token(struct slice *rest, bool *broken)
{
    size_t at = 0;
    while (at < rest->length && is_blank(rest->text[at]))
        at++;
    struct slice text = {rest->text + at, rest->length - at};
    struct slice word = {text.text, 0};
    for (at = 0; at < text.length;) {
        char c = text.text[at];
        if (!is_special[(unsigned char)c]) {
            word.length = ++at;
            continue;
        }
        if (is_blank(c))
            break;
        if (c == '<' || c == '"') {
            at = skip_quoted(text, at, broken);
            continue;
        }
        at += c == '\\' && at + 1 < text.length ? 2 : 1;
        word.length = at;
        if (c == ':' && (slice_is(word, "to:") || slice_is(word, "from:")))
            break;
    }
    word.length = at;
    *rest = (struct slice){text.text + at, text.length - at};
    return word;
}

static struct slice trim(struct slice text)
{
    while (text.length > 0 && is_blank(text.text[0]))
        text.text++, text.length--;
    while (text.length > 0 && is_blank(text.text[text.length - 1]))
        text.length--;
    return text;
}

/* All digits, at least one, at most OCTETS_MAX. */
static bool parse_octets(struct slice word, uint64_t *octets)
{
    uint64_t value = 0;
    if (word.length == 0)
        return false;
    for (size_t i = 0; i < word.length; i++) {
        if (word.text[i] < '0' || word.text[i] > '9')
            return false;
        unsigned digit = (unsigned)(word.text[i] - '0');
        if (value > (OCTETS_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *octets = value;
    return true;
}

/* A verb of somebody's own (Exchange has a dozen), as clients spell them. */
static bool is_private_verb(struct slice word)
{
    if (word.length < PRIVATE_VERB_MIN || word.length > PRIVATE_VERB_MAX || word.text[0] != 'X')
        return false;
    for (size_t i = 1; i < word.length; i++) {
        char c = word.text[i];
        if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return true;
}

static enum smtp_verb find_verb(struct slice word)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (slices_are_same(word, verbs[i].name))
            return verbs[i].verb;
    return is_private_verb(word) ? SMTP_VERB_OTHER : SMTP_VERB_NONE;
}

/* RFC 3030 section 2: BDAT chunk-size [LAST]. */
static void parse_bdat(struct slice rest, struct smtp_command *command)
{
    bool broken = false;
    bool sized = parse_octets(next_token(&rest, &broken), &command->octets);
    struct slice marker = next_token(&rest, &broken);
    command->last = slice_is(marker, "LAST");
    command->malformed = !sized || (marker.length > 0 && !command->last) || trim(rest).length > 0;
}

/* Takes "FROM:<path>" or "TO:<path>" off *rest; the path comes without its brackets. */
static bool take_path(struct slice *rest, const char *keyword, struct slice *path)
{
    bool broken = false;
    if (!slice_is(next_token(rest, &broken), keyword))
        return false;
    *path = next_token(rest, &broken);
    if (path->length == 0 || broken)
        return false;
    if (path->length >= 2 && path->text[0] == '<' && path->text[path->length - 1] == '>')
        *path = (struct slice){path->text + 1, path->length - 2};
    return true;
}

static void parse_mail_parameter(struct slice word, struct smtp_command *command)
{
    if (slice_starts(word, "SIZE=")) {
        struct slice value = {word.text + 5, word.length - 5};
        command->has_size = parse_octets(value, &command->size);
        command->malformed = command->malformed || !command->has_size;
    } else if (slice_is(word, "BODY=8BITMIME")) {
        command->body = SMTP_BODY_8BITMIME;
    } else if (slice_is(word, "BODY=BINARYMIME")) {
        command->body = SMTP_BODY_BINARYMIME;
    } else if (slice_starts(word, "BODY=") && !slice_is(word, "BODY=7BIT")) {
        command->body = SMTP_BODY_UNKNOWN;
    }
}

static void parse_mail(struct slice rest, struct smtp_command *command)
{
    bool broken = false;
    command->malformed = !take_path(&rest, "FROM:", &command->argument);
    if (command->malformed)
        return;
    for (struct slice word = next_token(&rest, &broken); word.length > 0;
         word = next_token(&rest, &broken))
        parse_mail_parameter(word, command);
}

static void parse_rcpt(struct slice rest, struct smtp_command *command)
{
    command->malformed = !take_path(&rest, "TO:", &command->argument);
}

/* Two words or more, and none of the characters that addresses and parameters have. */
static bool is_prose(struct slice rest)
{
    bool broken = false;
    for (size_t i = 0; i < rest.length; i++)
        if (rest.text[i] == '\0' || strchr("<>@:=\"\\", rest.text[i]) != NULL)
            return false;
    return next_token(&rest, &broken).length > 0 && next_token(&rest, &broken).length > 0;
}

void smtp_command_parse(const char *line, size_t length, struct smtp_command *command)
{
    struct slice rest = {line, length};
    bool broken = false;
    struct slice word = next_token(&rest, &broken);
    *command = (struct smtp_command){.verb = find_verb(word), .argument = trim(rest)};
    switch (command->verb) {
    case SMTP_VERB_BDAT:
        parse_bdat(rest, command);
        break;
    case SMTP_VERB_MAIL:
        parse_mail(rest, command);
        command->prose = command->malformed && is_prose(rest);
        break;
    case SMTP_VERB_RCPT:
        parse_rcpt(rest, command);
        break;
    case SMTP_VERB_DATA:
    case SMTP_VERB_RSET:
    case SMTP_VERB_QUIT:
        command->prose = is_prose(rest);
        command->malformed = command->argument.length > 0;
        break;
    case SMTP_VERB_STARTTLS:
        command->malformed = command->argument.length > 0;
        break;
    case SMTP_VERB_EHLO:
    case SMTP_VERB_HELO:
        command->malformed = command->argument.length == 0;
        break;
    default:
        break;
    }
}

const char *smtp_verb_name(enum smtp_verb verb)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (verbs[i].verb == verb && verb != SMTP_VERB_OTHER)
            return verbs[i].name.text;
    return "";
}

bool smtp_line_is_exact_command(const char *line, size_t length)
{
    /* No command around a message is longer: RFC 5321 section 4.5.3.1.4 and its extensions. */
    if (length < 4 || length > 2048 || is_blank(line[0]) || is_blank(line[length - 1]))
        return false;
    struct smtp_command command;
    smtp_command_parse(line, length, &command);
    if (command.malformed)
        return false;
    switch (command.verb) {
    case SMTP_VERB_BDAT:
    case SMTP_VERB_DATA:
    case SMTP_VERB_RSET:
    case SMTP_VERB_QUIT:
        return true;
    case SMTP_VERB_NOOP:
        return command.argument.length == 0;
    case SMTP_VERB_MAIL:
    case SMTP_VERB_RCPT:
        return memchr(line, '<', length) != NULL && memchr(line, '>', length) != NULL;
    case SMTP_VERB_EHLO:
    case SMTP_VERB_HELO:
        return memchr(command.argument.text, ' ', command.argument.length) == NULL;
    default:
        return false;
    }
}
