#include "tests/model/command_model.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "milter/smtp_command.h"

#define WORDS 8
#define LINE_SIZE 4096

struct word {
    char text[LINE_SIZE];
    size_t length;
    bool broken;
};

struct words {
    struct word words[WORDS];
    size_t count; /* all of them, also those that had no room */
    bool broken;  /* one of them has an open quote */
};

struct reader {
    const char *line;
    size_t length;
    size_t at;
};

static bool is_space(int c)
{
    return c < 128 && isspace(c);
}

static void add(struct word *word, char c)
{
    if (word->length < LINE_SIZE - 1)
        word->text[word->length++] = c;
    word->text[word->length] = '\0';
}

/* What stands in quotes or brackets, up to the end of the outermost. */
static void read_quoted(struct reader *reader, struct word *word, char open, char close)
{
    char stack[LINE_SIZE + 1];
    size_t depth = 0;
    stack[depth++] = close;
    add(word, open);
    while (reader->at < reader->length) {
        char c = reader->line[reader->at++];
        add(word, c);
        if (c == '\\') {
            if (reader->at == reader->length)
                break;
            add(word, reader->line[reader->at++]);
        } else if (c == stack[depth - 1]) {
            if (--depth == 0)
                return;
        } else if (c == '"') {
            stack[depth++] = '"';
        } else if (c == '<' && stack[depth - 1] == '>') {
            stack[depth++] = '>';
        }
    }
    word->broken = true;
}

static bool same(const char *text, const char *other)
{
    for (; *text != '\0' && *other != '\0'; text++, other++)
        if (tolower((unsigned char)*text) != tolower((unsigned char)*other))
            return false;
    return *text == *other;
}

static bool read_word(struct reader *reader, struct word *word)
{
    *word = (struct word){.length = 0};
    while (reader->at < reader->length) {
        char c = reader->line[reader->at++];
        if (is_space((unsigned char)c)) {
            if (word->length > 0)
                break;
        } else if (c == '<') {
            read_quoted(reader, word, '<', '>');
        } else if (c == '"') {
            read_quoted(reader, word, '"', '"');
        } else if (c == '\\') {
            add(word, c);
            if (reader->at < reader->length)
                add(word, reader->line[reader->at++]);
        } else {
            add(word, c);
            if (c == ':' && (same(word->text, "to:") || same(word->text, "from:")))
                break;
        }
    }
    return word->length > 0;
}

static void read_words(const char *line, size_t length, struct words *words)
{
    static struct word spare;
    struct reader reader = {line, length, 0};
    words->count = 0;
    words->broken = false;
    for (;; words->count++) {
        struct word *word = words->count < WORDS ? &words->words[words->count] : &spare;
        if (!read_word(&reader, word))
            break;
        words->broken |= word->broken;
    }
}

/* A number of octets that a signed 64 bit offset holds. */
static bool read_number(const char *text, uint64_t *number)
{
    static const char most[] = "9223372036854775807";
    if (*text == '\0' || strspn(text, "0123456789") != strlen(text))
        return false;
    while (text[0] == '0' && text[1] != '\0')
        text++;
    if (strlen(text) > strlen(most) || (strlen(text) == strlen(most) && strcmp(text, most) > 0))
        return false;
    *number = strtoull(text, NULL, 10);
    return true;
}

static enum smtp_verb verb_of(const char *word)
{
    static const struct {
        const char *name;
        enum smtp_verb verb;
    } known[] = {
        {"auth", SMTP_VERB_AUTH}, {"bdat", SMTP_VERB_BDAT},         {"data", SMTP_VERB_DATA},
        {"ehlo", SMTP_VERB_EHLO}, {"helo", SMTP_VERB_HELO},         {"mail", SMTP_VERB_MAIL},
        {"noop", SMTP_VERB_NOOP}, {"quit", SMTP_VERB_QUIT},         {"rcpt", SMTP_VERB_RCPT},
        {"rset", SMTP_VERB_RSET}, {"starttls", SMTP_VERB_STARTTLS}, {"xclient", SMTP_VERB_XCLIENT},
    };
    static const char *const others[] = {
        "atrn", "burl",     "etrn",    "expn", "help",   "lhlo", "saml", "send",
        "soml", "turn",     "verb",    "vrfy", "xadr",   "xcir", "xque", "xgen",
        "xsta", "xforward", "xexch50", "xtrn", "x-exps", "emal", "esam", "x-link2state",
        "esnd", "clientid", "turnme",  "esom", "evfy",   "onex", "queu"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (same(word, known[i].name))
            return known[i].verb;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (same(word, others[i]))
            return SMTP_VERB_OTHER;
    size_t capitals = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
    if (word[0] == 'X' && word[capitals] == '\0' && capitals >= 4 && capitals <= 32)
        return SMTP_VERB_OTHER;
    return SMTP_VERB_NONE;
}

/* A sentence that happens to begin with a verb. */
static bool is_prose(const struct words *words, enum smtp_verb verb, bool malformed)
{
    if (verb != SMTP_VERB_MAIL && verb != SMTP_VERB_DATA && verb != SMTP_VERB_RSET &&
        verb != SMTP_VERB_QUIT)
        return false;
    bool prose = malformed && words->count >= 3;
    for (size_t i = 1; i < words->count && i < WORDS; i++)
        prose = prose && strlen(words->words[i].text) == words->words[i].length &&
                strpbrk(words->words[i].text, "<>@:=\"\\") == NULL;
    return prose;
}

static bool is_malformed(const struct words *words, enum smtp_verb verb, uint64_t *octets)
{
    const struct word *list = words->words;
    switch (verb) {
    case SMTP_VERB_BDAT:
        return words->count < 2 || words->count > 3 || !read_number(list[1].text, octets) ||
               (words->count == 3 && !same(list[2].text, "last"));
    case SMTP_VERB_MAIL:
        return words->count < 3 || !same(list[1].text, "from:") || list[2].broken;
    case SMTP_VERB_RCPT:
        return words->count < 3 || !same(list[1].text, "to:") || list[2].broken;
    case SMTP_VERB_DATA:
    case SMTP_VERB_RSET:
    case SMTP_VERB_QUIT:
    case SMTP_VERB_STARTTLS:
        return words->count != 1;
    case SMTP_VERB_EHLO:
    case SMTP_VERB_HELO:
        return words->count < 2;
    default:
        return false;
    }
}

static bool begins(const char *text, const char *with)
{
    char head[16] = "";
    strncat(head, text, strlen(with));
    return same(head, with);
}

struct parameters {
    bool has_size, bad_size;
    uint64_t size;
    enum smtp_body body;
};

static struct parameters read_parameters(const struct words *words)
{
    struct parameters result = {.body = SMTP_BODY_7BIT};
    for (size_t i = 3; i < words->count && i < WORDS; i++) {
        const char *text = words->words[i].text;
        if (begins(text, "size=")) {
            result.has_size = read_number(text + 5, &result.size);
            result.bad_size |= !result.has_size;
        } else if (begins(text, "body=")) {
            result.body = same(text + 5, "7bit")         ? result.body
                          : same(text + 5, "8bitmime")   ? SMTP_BODY_8BITMIME
                          : same(text + 5, "binarymime") ? SMTP_BODY_BINARYMIME
                                                         : SMTP_BODY_UNKNOWN;
        }
    }
    return result;
}

static bool is_path(const struct word *word, struct slice got)
{
    const char *text = word->text;
    size_t length = word->length;
    if (length >= 2 && text[0] == '<' && text[length - 1] == '>') {
        text++;
        length -= 2;
    }
    return got.length == length && memcmp(got.text, text, length) == 0;
}

bool command_model_agrees(const char *line, size_t length, const char **what)
{
    static struct words words;
    struct smtp_command got;
    uint64_t octets = 0;
    *what = NULL;
    smtp_command_parse(line, length, &got);
    (void)smtp_line_is_exact_command(line, length);
    if (length >= LINE_SIZE)
        return true;
    read_words(line, length, &words);
    enum smtp_verb verb = words.count == 0 ? SMTP_VERB_NONE : verb_of(words.words[0].text);
    bool malformed = is_malformed(&words, verb, &octets);
    if (verb != got.verb) {
        *what = "verb";
    } else if (words.count <= WORDS && got.prose != is_prose(&words, verb, malformed)) {
        *what = "prose";
    } else if (verb == SMTP_VERB_MAIL && !malformed) {
        struct parameters wanted = read_parameters(&words);
        if (words.count > WORDS)
            return true;
        *what = !is_path(&words.words[2], got.argument)      ? "path"
                : got.malformed != wanted.bad_size           ? "malformed SIZE"
                : got.has_size != wanted.has_size            ? "has SIZE"
                : wanted.has_size && got.size != wanted.size ? "SIZE"
                : got.body != wanted.body                    ? "BODY"
                                                             : NULL;
    } else if (got.malformed != malformed) {
        *what = "malformed";
    } else if (verb == SMTP_VERB_BDAT && !malformed) {
        *what = got.octets != octets ? "octets" : got.last != (words.count == 3) ? "LAST" : NULL;
    } else if (verb == SMTP_VERB_RCPT && !malformed) {
        *what = is_path(&words.words[2], got.argument) ? NULL : "path";
    }
    return *what == NULL;
}
