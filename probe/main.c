/* bdat-probe: asks an SMTP server whether its CHUNKING works. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "probe/report.h"
#include "probe/survey.h"

/* After so many cases that waited in vain, or that the server turned away, the others are not
 * tried. */
#define WAITS_ENOUGH 3
#define LOSSES_ENOUGH 3

/* All of one run. */
struct probe {
    struct options options;
    struct endpoint endpoints[TARGET_MAX_ADDRESSES];
    size_t endpoint_count;
    char route[TARGET_MAX_HOST + 40];
    struct survey survey;
    struct case_result *results;
    size_t count;
    struct conclusion conclusion;
};

static const char *port_of(const struct options *options)
{
    if (options->target.port[0])
        return options->target.port;
    return options->tls == TLS_IMPLICIT ? "465" : "25";
}

/* The addresses of the mail exchangers. -1 if the domain takes no mail or does not exist. */
static int find_exchangers(struct probe *probe, char *error, size_t size)
{
    struct exchanger exchangers[TARGET_MAX_EXCHANGERS];
    size_t count;
    const char *domain = probe->options.target.host;
    switch (mx_lookup(domain, exchangers, TARGET_MAX_EXCHANGERS, &count)) {
    case MX_NULL:
        snprintf(error, size, "%s takes no mail at all: it has a null MX record (RFC 7505)",
                 domain);
        return -1;
    case MX_FOUND:
        break;
    default: /* the host itself, if it has an address */
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        probe->endpoint_count += endpoint_resolve(
            exchangers[i].host, port_of(&probe->options), probe->endpoints + probe->endpoint_count,
            TARGET_MAX_ADDRESSES - probe->endpoint_count, error, size);
    snprintf(probe->route, sizeof(probe->route), "mail exchanger of %s", domain);
    return probe->endpoint_count > 0 ? 0 : -1;
}

static int find_endpoints(struct probe *probe, char *error, size_t size)
{
    const struct target *target = &probe->options.target;
    if (!target->port[0] && !target->literal && !probe->options.no_mx &&
        find_exchangers(probe, error, size) != 0)
        return -1;
    if (probe->endpoint_count == 0)
        probe->endpoint_count =
            endpoint_resolve(target->host, port_of(&probe->options), probe->endpoints,
                             TARGET_MAX_ADDRESSES, error, size);
    return probe->endpoint_count > 0 ? 0 : -1;
}

/* The first address that can be connected to, as a sender would find it. */
static void survey_first(struct probe *probe)
{
    for (size_t i = 0; i < probe->endpoint_count; i++) {
        survey_make(&probe->survey, &probe->options, &probe->endpoints[i],
                    probe->options.target.host);
        if (probe->survey.opening != OPENING_UNREACHABLE)
            return;
    }
}

static bool is_selected(const struct options *options, const struct probe_case *definition)
{
    for (size_t i = 0; i < options->only_count; i++)
        if (strcmp(options->only[i], definition->name) == 0)
            return true;
    return options->only_count == 0;
}

/* Why a case is not worth trying, or cannot be tried, and what is lost by that. */
struct obstacle {
    const char *why; /* NULL: none */
    enum finding finding;
};

/* What the cases before have shown. Those that --only names are run unless they cannot be. */
static struct obstacle already_clear(const struct probe *probe, const struct probe_case *next)
{
    unsigned waits = 0, lost = 0;
    bool simplest_failed = false, all = probe->options.only_count == 0;
    for (size_t i = 0; i < probe->count; i++) {
        const struct case_result *result = &probe->results[i];
        bool failed = result->status == STATUS_FAIL;
        simplest_failed |= failed && strcmp(result->definition->name, "one-chunk") == 0;
        waits +=
            (failed && result->finding == FINDING_STALLED) || result->finding == FINDING_UNFINISHED;
        lost += result->finding == FINDING_UNREACHABLE;
    }
    if (all && simplest_failed && !(next->needs & NEED_NOT_CHUNKING))
        return (struct obstacle){"the simplest chunk fails already (--only runs it all the same)",
                                 FINDING_NONE};
    if (all && waits >= WAITS_ENOUGH)
        return (struct obstacle){
            "three cases have waited in vain already (--only runs it all the same)",
            FINDING_UNFINISHED};
    if (lost >= LOSSES_ENOUGH)
        return (struct obstacle){"the server has turned three sessions away already",
                                 FINDING_UNREACHABLE};
    return (struct obstacle){.why = NULL};
}

static void take_a_pause(const struct options *options)
{
    struct timespec pause = {.tv_sec = options->pause_ms / 1000,
                             .tv_nsec = (long)(options->pause_ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

/* Prints a case as soon as it is known. Cases that are skipped for the same reason as the one
 * before are only counted, in *same, and told at the end of their row. */
static void print_case(const struct probe *probe, unsigned *same)
{
    const struct case_result *result = &probe->results[probe->count - 1];
    const struct case_result *before = probe->count > 1 ? result - 1 : NULL;
    if (before && result->status == STATUS_SKIP && before->status == STATUS_SKIP &&
        strcmp(result->meaning, before->meaning) == 0) {
        (*same)++;
        return;
    }
    report_text_same(stdout, same);
    report_text_case(stdout, &probe->options, result);
}

static void run_cases(struct probe *probe)
{
    const struct options *options = &probe->options;
    unsigned same = 0;
    for (size_t i = 0; i < probe_case_count; i++) {
        const struct probe_case *definition = &probe_cases[i];
        if (!is_selected(options, definition))
            continue;
        struct case_result *result = &probe->results[probe->count];
        struct obstacle obstacle = {.why = case_obstacle(definition, &probe->survey)};
        if (!obstacle.why)
            obstacle = already_clear(probe, definition);
        if (obstacle.why) {
            case_skip(definition, result, obstacle.finding, obstacle.why);
        } else {
            take_a_pause(options);
            case_run(definition, options, &probe->survey, result);
        }
        probe->count++;
        if (options->format == FORMAT_TEXT)
            print_case(probe, &same);
    }
    report_text_same(stdout, &same);
}

static int check_only(const struct options *options)
{
    for (size_t i = 0; i < options->only_count; i++)
        if (!case_find(options->only[i])) {
            fprintf(stderr, "bdat-probe: --only: there is no case %s; see bdat-probe --list\n",
                    options->only[i]);
            return -1;
        }
    return 0;
}

/* No address to connect to: a report for programs says so as of any other session that could
 * not be opened. */
static void note_no_endpoint(struct probe *probe, const char *why)
{
    struct survey *survey = &probe->survey;
    survey->opening = OPENING_UNREACHABLE;
    survey->started = time(NULL);
    snprintf(survey->why, sizeof(survey->why), "%s", why);
    snprintf(survey->endpoint.host, sizeof(survey->endpoint.host), "%s",
             probe->options.target.host);
}

static void ask_server(struct probe *probe, const struct report *report)
{
    bool text = probe->options.format == FORMAT_TEXT;
    survey_first(probe);
    if (text)
        report_text_survey(stdout, report);
    if (probe->survey.opening == OPENING_DONE)
        run_cases(probe);
}

static int print_report(struct probe *probe, struct report *report)
{
    report->count = probe->count;
    switch (probe->options.format) {
    case FORMAT_TEXT:
        report_text_conclusion(stdout, report);
        return 0;
    case FORMAT_TAP:
        report_tap(stdout, report);
        return 0;
    default:
        return report_json(stdout, report);
    }
}

static int run_probe(struct probe *probe)
{
    char error[400] = "";
    struct report report = {.options = &probe->options,
                            .survey = &probe->survey,
                            .results = probe->results,
                            .conclusion = &probe->conclusion,
                            .route = probe->route};
    if (find_endpoints(probe, error, sizeof(error)) == 0) {
        ask_server(probe, &report);
    } else if (probe->options.format == FORMAT_TEXT) {
        fprintf(stderr, "bdat-probe: %s\n", error);
        return EXIT_NO_SMTP;
    } else {
        note_no_endpoint(probe, error);
    }
    conclusion_draw(&probe->conclusion, &probe->survey, probe->results, probe->count,
                    probe->options.deliver != NULL);
    if (print_report(probe, &report) == 0)
        return probe->conclusion.exit_status;
    fputs("bdat-probe: the report could not be made\n", stderr);
    return EXIT_FAILED;
}

/* What was asked for is only done once it is written. */
static int written(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("bdat-probe: standard output");
    return EXIT_FAILED;
}

static int run(struct probe *probe, int argc, char *argv[])
{
    switch (options_parse(&probe->options, argc, argv)) {
    case OPTIONS_RUN:
        return check_only(&probe->options) == 0 ? written(run_probe(probe)) : EXIT_USAGE;
    case OPTIONS_LIST:
        report_list(stdout);
        return written(EXIT_PASSED);
    case OPTIONS_DONE:
        return written(EXIT_PASSED);
    default:
        return EXIT_USAGE;
    }
}

int main(int argc, char *argv[])
{
    int status = EXIT_FAILED;
    struct probe *probe = calloc(1, sizeof(*probe));
    if (probe)
        probe->results = calloc(probe_case_count, sizeof(probe->results[0]));
    signal(SIGPIPE, SIG_IGN);
    if (probe && probe->results) {
        status = run(probe, argc, argv);
        options_free(&probe->options);
        free(probe->results);
    } else {
        fputs("bdat-probe: out of memory\n", stderr);
    }
    free(probe);
    return status;
}
