#include "milter/smtp_command.h"

#include <string.h>
#include <strings.h>

/* Postfix counts in off_t (smtpd.c, off_cvt_string): a larger size is malformed. */
#define OCTETS_MAX ((uint64_t)INT64_MAX)

struct verb_row {
    const char *name;
    enum smtp_verb verb;
};

/* The verbs Postfix knows, those of the IANA registry of SMTP extensions, and a few private
 * ones that clients are known to send: none of them is message text. */
static const struct verb_row verbs[] = {
    {"AUTH", SMTP_VERB_AUTH},     {"BDAT", SMTP_VERB_BDAT},
    {"DATA", SMTP_VERB_DATA},     {"EHLO", SMTP_VERB_EHLO},
    {"HELO", SMTP_VERB_HELO},     {"MAIL", SMTP_VERB_MAIL},
    {"NOOP", SMTP_VERB_NOOP},     {"QUIT", SMTP_VERB_QUIT},
    {"RCPT", SMTP_VERB_RCPT},     {"RSET", SMTP_VERB_RSET},
    {"STARTTLS", SMTP_VERB_STARTTLS}, {"XCLIENT", SMTP_VERB_XCLIENT},
    {"ATRN", SMTP_VERB_OTHER},    {"BURL", SMTP_VERB_OTHER},
    {"ETRN", SMTP_VERB_OTHER},    {"EXPN", SMTP_VERB_OTHER},
    {"HELP", SMTP_VERB_OTHER},    {"LHLO", SMTP_VERB_OTHER},
    {"SAML", SMTP_VERB_OTHER},    {"SEND", SMTP_VERB_OTHER},
    {"SOML", SMTP_VERB_OTHER},    {"TURN", SMTP_VERB_OTHER},
    {"VERB", SMTP_VERB_OTHER},    {"VRFY", SMTP_VERB_OTHER},
    {"XFORWARD", SMTP_VERB_OTHER}, {"XADR", SMTP_VERB_OTHER},
    {"XCIR", SMTP_VERB_OTHER},    {"XEXCH50", SMTP_VERB_OTHER},
    {"XGEN", SMTP_VERB_OTHER},    {"XQUE", SMTP_VERB_OTHER},
    {"XSTA", SMTP_VERB_OTHER},    {"XTRN", SMTP_VERB_OTHER},
    {"X-EXPS", SMTP_VERB_OTHER},  {"X-LINK2STATE", SMTP_VERB_OTHER},
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool slice_is(struct slice word, const char *text)
{
    return word.length == strlen(text) && strncasecmp(word.text, text, word.length) == 0;
}

static bool slice_starts(struct slice word, const char *text)
{
    return word.length >= strlen(text) && strncasecmp(word.text, text, strlen(text)) == 0;
}

/* Takes the next word off *rest; an empty slice at the end. */
static struct slice next_word(struct slice *rest)
{
    while (rest->length > 0 && is_blank(*rest->text))
        rest->text++, rest->length--;
    struct slice word = {rest->text, 0};
    while (rest->length > 0 && !is_blank(*rest->text))
        rest->text++, rest->length--, word.length++;
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

static enum smtp_verb find_verb(struct slice word)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (slice_is(word, verbs[i].name))
            return verbs[i].verb;
    return SMTP_VERB_NONE;
}

/* RFC 3030 section 2: BDAT chunk-size [LAST]. */
static void parse_bdat(struct slice rest, struct smtp_command *command)
{
    bool sized = parse_octets(next_word(&rest), &command->octets);
    struct slice marker = next_word(&rest);
    command->last = slice_is(marker, "LAST");
    command->malformed = !sized || (marker.length > 0 && !command->last) || trim(rest).length > 0;
}

/* Takes "<path>" (or a bare path) off *rest; angle brackets may hold quoted blanks. */
static struct slice take_path(struct slice *rest)
{
    *rest = trim(*rest);
    if (rest->length == 0 || *rest->text != '<')
        return next_word(rest);
    struct slice path = {rest->text + 1, 0};
    bool quoted = false;
    size_t i = 1;
    for (; i < rest->length; i++) {
        char c = rest->text[i];
        if (c == '\\' && i + 1 < rest->length)
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == '>' && !quoted)
            break;
    }
    path.length = i - 1;
    size_t used = i < rest->length ? i + 1 : i;
    rest->text += used;
    rest->length -= used;
    return path;
}

/* Takes "FROM:" or "TO:" off *rest; blanks around the colon are let pass as Postfix does. */
static bool take_keyword(struct slice *rest, const char *keyword)
{
    struct slice text = trim(*rest);
    if (!slice_starts(text, keyword))
        return false;
    text.text += strlen(keyword);
    text.length -= strlen(keyword);
    text = trim(text);
    if (text.length == 0 || *text.text != ':')
        return false;
    rest->text = text.text + 1;
    rest->length = text.length - 1;
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
    if (!take_keyword(&rest, "FROM")) {
        command->malformed = true;
        return;
    }
    command->argument = take_path(&rest);
    for (struct slice word = next_word(&rest); word.length > 0; word = next_word(&rest))
        parse_mail_parameter(word, command);
}

static void parse_rcpt(struct slice rest, struct smtp_command *command)
{
    if (!take_keyword(&rest, "TO"))
        command->malformed = true;
    else
        command->argument = take_path(&rest);
}

void smtp_command_parse(const char *line, size_t length, struct smtp_command *command)
{
    struct slice rest = {line, length};
    struct slice word = next_word(&rest);
    *command = (struct smtp_command){.verb = find_verb(word), .argument = trim(rest)};
    switch (command->verb) {
    case SMTP_VERB_BDAT:
        parse_bdat(rest, command);
        break;
    case SMTP_VERB_MAIL:
        parse_mail(rest, command);
        break;
    case SMTP_VERB_RCPT:
        parse_rcpt(rest, command);
        break;
    case SMTP_VERB_DATA:
    case SMTP_VERB_RSET:
    case SMTP_VERB_QUIT:
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
            return verbs[i].name;
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
