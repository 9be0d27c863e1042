/* The command line. */
#include "config.h"

#include "probe/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_TIMEOUT_MS 30000
#define DEFAULT_PAUSE_MS 500
#define CREDENTIALS_MAX 1024

enum { OPTION_JSON = 256, OPTION_TAP, OPTION_NO_MX, OPTION_PAUSE };

static const struct option long_options[] = {
    {"auth", required_argument, NULL, 'a'},
    {"deliver", required_argument, NULL, 'd'},
    {"from", required_argument, NULL, 'f'},
    {"help", no_argument, NULL, 'h'},
    {"helo", required_argument, NULL, 'e'},
    {"json", no_argument, NULL, OPTION_JSON},
    {"list", no_argument, NULL, 'l'},
    {"no-mx", no_argument, NULL, OPTION_NO_MX},
    {"only", required_argument, NULL, 'o'},
    {"pause", required_argument, NULL, OPTION_PAUSE},
    {"tap", no_argument, NULL, OPTION_TAP},
    {"timeout", required_argument, NULL, 't'},
    {"tls", required_argument, NULL, 's'},
    {"to", required_argument, NULL, 'r'},
    {"verbose", no_argument, NULL, 'v'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static const char usage_text[] =
    "usage: bdat-probe [options] HOST[:PORT]\n"
    "       bdat-probe --list\n"
    "Asks an SMTP server whether its CHUNKING (BDAT, RFC 3030) really works.\n"
    "Nothing is delivered unless --deliver is given.\n"
    "\n"
    "  HOST                   a host, an address, or a domain (its mail exchanger is probed)\n"
    "  -d, --deliver ADDRESS  finish the messages and deliver them to ADDRESS\n"
    "  -r, --to ADDRESS       recipient to name when nothing is delivered (postmaster)\n"
    "  -f, --from ADDRESS     sender to name (the null sender <>)\n"
    "  -e, --helo NAME        name to greet with\n"
    "  -s, --tls MODE         auto, never, starttls or implicit (auto)\n"
    "  -a, --auth SOURCE      file:PATH or env:NAME that holds USER:PASSWORD\n"
    "  -o, --only NAME,...    run just these cases\n"
    "  -l, --list             show the cases and what each can prove\n"
    "  -t, --timeout TIME     how long to wait for one reply (30s)\n"
    "      --pause TIME       between two sessions (500ms)\n"
    "      --no-mx            do not look for mail exchangers\n"
    "      --json, --tap      report as JSON or TAP in place of text\n"
    "  -v, --verbose          show the dialog of cases that passed, too\n"
    "  -h, --help  -V, --version\n"
    "\n"
    "Exit status: 0 no failure, 1 a failure or cases that could not be run, 2 usage,\n"
    "3 no SMTP session could be opened.\n";

__attribute__((format(printf, 1, 2))) static enum options_result wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bdat-probe: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\nTry bdat-probe --help.\n", stderr);
    va_end(arguments);
    return OPTIONS_WRONG;
}

bool options_parse_time(const char *text, int least_ms, int *milliseconds)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || errno != 0)
        return false;
    double scale = *end == '\0' || strcmp(end, "s") == 0 ? 1000
                   : strcmp(end, "ms") == 0              ? 1
                   : strcmp(end, "m") == 0               ? 60000
                                                         : 0;
    value *= scale;
    if (scale == 0 || !(value >= least_ms && value <= 3600000))
        return false;
    *milliseconds = (int)value;
    return true;
}

bool options_is_address(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '<' || text[i] == '>')
            return false;
    return length > 0 && length <= OPTIONS_MAX_ADDRESS;
}

bool options_parse_credentials(const char *text, char **user, char **password)
{
    const char *colon = strchr(text, ':');
    if (!colon || colon == text)
        return false;
    size_t length = strcspn(colon + 1, "\r\n");
    if (length == 0)
        return false;
    *user = strndup(text, (size_t)(colon - text));
    *password = strndup(colon + 1, length);
    return *user && *password;
}

static enum options_result read_credentials_file(struct options *options, const char *path)
{
    char text[CREDENTIALS_MAX + 1];
    FILE *file = fopen(path, "re");
    if (!file)
        return wrong("--auth: %s: %s", path, strerror(errno));
    struct stat status;
    if (fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) &&
        (status.st_mode & (S_IRWXG | S_IRWXO))) {
        fclose(file);
        return wrong("--auth: %s can be read by others; chmod 600 it first", path);
    }
    size_t length = fread(text, 1, CREDENTIALS_MAX, file);
    fclose(file);
    text[length] = '\0';
    bool good = options_parse_credentials(text, &options->user, &options->password);
    explicit_bzero(text, sizeof(text));
    return good ? OPTIONS_RUN : wrong("--auth: %s does not hold USER:PASSWORD", path);
}

static enum options_result read_credentials(struct options *options, const char *source)
{
    if (strncmp(source, "file:", 5) == 0)
        return read_credentials_file(options, source + 5);
    if (strncmp(source, "env:", 4) != 0)
        return wrong("--auth wants file:PATH or env:NAME; a password on the command line could "
                     "be read by others");
    const char *text = getenv(source + 4);
    if (!text)
        return wrong("--auth: there is no environment variable %s", source + 4);
    if (!options_parse_credentials(text, &options->user, &options->password))
        return wrong("--auth: the variable %s does not hold USER:PASSWORD", source + 4);
    return OPTIONS_RUN;
}

static enum options_result take_only(struct options *options, const char *names)
{
    size_t old = options->only_text ? strlen(options->only_text) + 1 : 0;
    char *text = malloc(old + strlen(names) + 1);
    if (!text)
        return wrong("out of memory");
    snprintf(text, old + strlen(names) + 1, "%s%s%s", old ? options->only_text : "", old ? "," : "",
             names);
    free(options->only_text);
    options->only_text = text;
    return OPTIONS_RUN;
}

static enum options_result split_only(struct options *options)
{
    char *rest = options->only_text;
    for (char *name; rest && (name = strsep(&rest, ",")) != NULL;) {
        if (*name == '\0')
            continue;
        if (options->only_count == OPTIONS_MAX_ONLY)
            return wrong("--only names too many cases");
        options->only[options->only_count++] = name;
    }
    if (options->only_text && options->only_count == 0)
        return wrong("--only wants the name of a case; see --list");
    return OPTIONS_RUN;
}

static enum options_result take_tls(struct options *options, const char *mode)
{
    static const char *const names[] = {"auto", "never", "starttls", "implicit"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(mode, names[i]) == 0) {
            options->tls = (enum tls_mode)i;
            return OPTIONS_RUN;
        }
    return wrong("--tls wants auto, never, starttls or implicit, not %s", mode);
}

static enum options_result take_address(const char **address, const char *name, const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || options_is_address(text)) {
        *address = text;
        return OPTIONS_RUN;
    }
    return wrong("--%s: this is no mail address", name);
}

static enum options_result take_recipient(const char **address, const char *name, const char *text)
{
    if (*text == '\0')
        return wrong("--%s wants a mail address", name);
    return take_address(address, name, text);
}

static enum options_result take_time(int *milliseconds, int least, const char *name,
                                     const char *text)
{
    if (options_parse_time(text, least, milliseconds))
        return OPTIONS_RUN;
    return wrong("--%s wants a time such as 30s, 500ms or 2m (at most an hour), not %s", name,
                 text);
}

static enum options_result take_format(struct options *options, enum format format)
{
    if (options->format != FORMAT_TEXT && options->format != format)
        return wrong("--json and --tap exclude each other");
    options->format = format;
    return OPTIONS_RUN;
}

static enum options_result take_option(struct options *options, int option, const char *value)
{
    switch (option) {
    case 'a':
        return read_credentials(options, value);
    case 'd':
        return take_recipient(&options->deliver, "deliver", value);
    case 'r':
        return take_recipient(&options->to, "to", value);
    case 'f':
        return take_address(&options->from, "from", strcmp(value, "<>") == 0 ? "" : value);
    case 'e':
        options->helo = value;
        return options_is_address(value) ? OPTIONS_RUN : wrong("--helo: this is no host name");
    case 's':
        return take_tls(options, value);
    case 'o':
        return take_only(options, value);
    case 't':
        return take_time(&options->timeout_ms, 100, "timeout", value);
    case OPTION_PAUSE:
        return take_time(&options->pause_ms, 0, "pause", value);
    case OPTION_NO_MX:
        options->no_mx = true;
        return OPTIONS_RUN;
    case OPTION_JSON:
        return take_format(options, FORMAT_JSON);
    case OPTION_TAP:
        return take_format(options, FORMAT_TAP);
    case 'v':
        options->verbose = true;
        return OPTIONS_RUN;
    case 'l':
        return OPTIONS_LIST;
    case 'h':
        fputs(usage_text, stdout);
        return OPTIONS_DONE;
    case 'V':
        puts("bdat-probe " PACKAGE_VERSION);
        return OPTIONS_DONE;
    default:
        fputs("Try bdat-probe --help.\n", stderr);
        return OPTIONS_WRONG;
    }
}

static enum options_result take_target(struct options *options, int argc, char *argv[])
{
    if (optind != argc - 1)
        return wrong(optind == argc ? "which server? HOST[:PORT] is missing"
                                    : "one server at a time, please");
    const char *problem = target_parse(&options->target, argv[optind]);
    if (problem)
        return wrong("%s: %s", argv[optind], problem);
    if (options->tls == TLS_AUTO && strcmp(options->target.port, "465") == 0)
        options->tls = TLS_IMPLICIT;
    if (options->deliver && options->to)
        return wrong("--deliver names the recipient: leave out --to");
    return OPTIONS_RUN;
}

enum options_result options_parse(struct options *options, int argc, char *argv[])
{
    *options = (struct options){
        .timeout_ms = DEFAULT_TIMEOUT_MS, .pause_ms = DEFAULT_PAUSE_MS, .from = ""};
    optind = 0;
    int option;
    while ((option = getopt_long(argc, argv, "a:d:e:f:hlo:r:s:t:vV", long_options, NULL)) != -1) {
        enum options_result result = take_option(options, option, optarg);
        if (result != OPTIONS_RUN)
            return result;
    }
    enum options_result result = split_only(options);
    return result == OPTIONS_RUN ? take_target(options, argc, argv) : result;
}

static void wipe(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

void options_free(struct options *options)
{
    wipe(&options->user);
    wipe(&options->password);
    free(options->only_text);
    options->only_text = NULL;
    options->only_count = 0;
}
