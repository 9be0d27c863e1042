/* bdat-probe: asks an SMTP server whether its CHUNKING works. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "probe/report.h"
#include "probe/survey.h"

/* After so many cases that waited in vain, the others are not tried. */
#define STALLS_ENOUGH 3

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

/* Why the rest is not worth trying, from what came before; NULL if it is. */
static const char *already_clear(const struct probe *probe, const struct probe_case *next)
{
    unsigned stalls = 0, lost = 0;
    for (size_t i = 0; i < probe->count; i++) {
        const struct case_result *result = &probe->results[i];
        if (!(next->needs & NEED_NOT_CHUNKING) && result->status == STATUS_FAIL &&
            strcmp(result->definition->name, "one-chunk") == 0)
            return "the simplest chunk fails already (--only runs it all the same)";
        stalls += result->status == STATUS_FAIL && result->finding == FINDING_STALLED;
        lost += result->finding == FINDING_UNREACHABLE;
    }
    if (stalls >= STALLS_ENOUGH)
        return "three cases have waited in vain already (--only runs it all the same)";
    return lost >= STALLS_ENOUGH ? "the server takes no more sessions from here" : NULL;
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
        const char *obstacle = already_clear(probe, definition);
        if (!obstacle)
            obstacle = case_obstacle(definition, &probe->survey);
        if (obstacle) {
            case_skip(definition, result, obstacle);
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

static int run_probe(struct probe *probe)
{
    char error[400] = "";
    struct report report = {.options = &probe->options,
                            .survey = &probe->survey,
                            .results = probe->results,
                            .conclusion = &probe->conclusion,
                            .route = probe->route};
    if (find_endpoints(probe, error, sizeof(error)) != 0) {
        fprintf(stderr, "bdat-probe: %s\n", error);
        return EXIT_NO_SMTP;
    }
    bool text = probe->options.format == FORMAT_TEXT;
    survey_first(probe);
    if (text)
        report_text_survey(stdout, &report);
    if (probe->survey.opening == OPENING_DONE)
        run_cases(probe);
    conclusion_draw(&probe->conclusion, &probe->survey, probe->results, probe->count,
                    probe->options.deliver != NULL);
    report.count = probe->count;
    if (text)
        report_text_conclusion(stdout, &report);
    else if (probe->options.format == FORMAT_TAP)
        report_tap(stdout, &report);
    else if (report_json(stdout, &report) != 0)
        fputs("bdat-probe: the report could not be made\n", stderr);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return probe->conclusion.exit_status;
    perror("bdat-probe: standard output");
    return EXIT_FAILED;
}

int main(int argc, char *argv[])
{
    int status = EXIT_USAGE;
    struct probe *probe = calloc(1, sizeof(*probe));
    if (probe)
        probe->results = calloc(probe_case_count, sizeof(probe->results[0]));
    if (!probe || !probe->results) {
        fputs("bdat-probe: out of memory\n", stderr);
        free(probe);
        return EXIT_NO_SMTP;
    }
    signal(SIGPIPE, SIG_IGN);
    switch (options_parse(&probe->options, argc, argv)) {
    case OPTIONS_RUN:
        if (check_only(&probe->options) == 0)
            status = run_probe(probe);
        break;
    case OPTIONS_LIST:
        report_list(stdout);
        status = EXIT_PASSED;
        break;
    case OPTIONS_DONE:
        status = EXIT_PASSED;
        break;
    case OPTIONS_WRONG:
        break;
    }
    options_free(&probe->options);
    free(probe->results);
    free(probe);
    return status;
}
