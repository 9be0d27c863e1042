/* check: says line by line whether it works, and what mends what does not. */
#include "config.h"

#include "ctl/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/actions.h"
#include "ctl/complaint.h"
#include "ctl/process.h"
#include "ctl/show.h"
#include "ctl/text.h"

static const char *first_line(const char *text)
{
    static char line[512];
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
    return line;
}

static const char as_root[] = "run this check as root, by sudo";

static void report_configuration(struct report *report, const char *file,
                                 const struct process_result *result)
{
    char *reload = command_line_of(report->ctl, "reload");
    if (result->status == 0)
        report_add(report, LEVEL_OK, text_format("configuration: %s is right", file), NULL);
    else if (result->status == 127)
        report_say(report, LEVEL_WARN,
                   "configuration: bdat-milter is not in the PATH, so it could not be asked", NULL);
    else
        report_add(
            report, LEVEL_FAIL,
            text_format("configuration: %s", first_line(*result->err ? result->err : result->out)),
            text_format("edit that line, then: bdat-milter -t -c %s && %s", file, reload));
    free(reload);
}

/* The daemon's own word on its configuration: bdat-milter -t. */
static void check_configuration(struct report *report, const char *file)
{
    if (access(file, R_OK) != 0 && errno == EACCES) {
        report_add(report, LEVEL_FAIL, text_format("configuration: you may not read %s", file),
                   text_copy(as_root));
        return;
    }
    if (access(file, F_OK) != 0) {
        report_add(report, LEVEL_OK,
                   text_format("configuration: no %s; every option has its default", file), NULL);
        return;
    }
    const char *const argv[] = {"bdat-milter", "-t", "-c", file, NULL};
    struct process_result result = process_run(argv);
    report_configuration(report, file, &result);
    process_free(&result);
}

static void report_status(struct report *report, const json_t *status)
{
    const char *outcome = json_get_text(json_object_get(status, "config"), "outcome");
    char *reload = command_line_of(report->ctl, "reload");
    report_add(report, LEVEL_OK,
               text_format("daemon: version %s answers, mode %s", json_get_text(status, "version"),
                           json_get_text(status, "mode")),
               NULL);
    if (strcmp(json_get_text(status, "mode"), "observe") == 0)
        report_add(report, LEVEL_NOTE,
                   text_copy("daemon: it only observes: it answers and withholds nothing"),
                   text_format("when you trust it: mode = \"enforce\" in bdat-milter.conf, then %s",
                               reload));
    if (*outcome != '\0' && strcmp(outcome, "ok") != 0)
        report_add(report, LEVEL_FAIL, text_format("daemon: the latest reload failed: %s", outcome),
                   text_format("mend the file, then: %s", reload));
    size_t index;
    const json_t *warning;
    json_array_foreach(json_object_get(status, "warnings"), index,
                       warning) if (json_is_string(warning))
        report_add(report, LEVEL_WARN, text_format("daemon: %s", json_string_value(warning)), NULL);
    free(reload);
}

/* Why no status came, as far as one more connection shows. */
static void report_silence(struct report *report)
{
    static const char start[] =
        "systemctl start bdat-milter; journalctl -u bdat-milter says why it does not start";
    const char *path = report->ctl->socket;
    int reason = site_connect(path);
    if (reason == EACCES)
        report_add(
            report, LEVEL_FAIL,
            text_format("daemon: %s may not be opened by you, so it could not be asked", path),
            text_copy(as_root));
    else if (reason == ENOENT || reason == ENOTDIR)
        report_add(report, LEVEL_FAIL, text_format("daemon: no answer on %s: no such socket", path),
                   text_copy(start));
    else if (reason == ECONNREFUSED)
        report_add(report, LEVEL_FAIL,
                   text_format("daemon: no answer on %s: nobody listens there", path),
                   text_copy(start));
    else
        report_add(
            report, LEVEL_FAIL,
            text_format("daemon: no answer on %s within %ld s: %s", path,
                        report->ctl->timeout_seconds,
                        reason != 0 ? strerror(reason) : "it takes the connection, and hangs"),
            text_copy("journalctl -u bdat-milter says what it did last; systemctl restart "
                      "bdat-milter"));
}

/* False if the daemon does not answer. */
static bool check_daemon(struct report *report)
{
    json_t *status = daemon_try(report->ctl, "/v1/status");
    if (status == NULL) {
        report_silence(report);
        return false;
    }
    report_status(report, status);
    json_decref(status);
    return true;
}

static bool has_postfix(void)
{
    const char *const argv[] = {"postconf", "-d", "mail_version", NULL};
    struct process_result result = process_run(argv);
    bool found = result.status == 0 && *result.out != '\0';
    process_free(&result);
    return found;
}

/* Without Postfix, or when the file says so, it is Sendmail that we are asked about. */
static bool is_sendmail(const char *file, struct settings const **settings)
{
    char error[1024];
    *settings = settings_load(access(file, F_OK) == 0 ? file : NULL, error, sizeof(error));
    return *settings != NULL && ((*settings)->mta == MTA_SENDMAIL || !has_postfix());
}

static void check_with_postfix(struct report *report, const struct invocation *invocation,
                               bool daemon_runs)
{
    struct site site;
    if (site_open(&site, invocation) != EXIT_DONE) {
        char *why = complaint_take();
        for (char *end = why; end != NULL && (end = strchr(end, '\n')) != NULL;)
            *end = ' ';
        report_add(report, LEVEL_FAIL,
                   text_format("postfix: could not be looked at: %s", why == NULL ? "" : why),
                   NULL);
        free(why);
        return;
    }
    check_postfix(report, &site);
    check_sockets(report, &site);
    if (invocation_value(invocation, "no-live") != NULL)
        report_say(report, LEVEL_NOTE, "live test: left out, as asked", NULL);
    else if (!daemon_runs)
        report_say(report, LEVEL_NOTE, "live test: left out, since the daemon does not answer",
                   NULL);
    else
        check_live(report, &site, invocation_value(invocation, "server"),
                   invocation_value(invocation, "from"), invocation_value(invocation, "to"));
    site_close(&site);
}

enum exit_code run_check(const struct ctl *ctl, const struct invocation *invocation)
{
    struct report report;
    const struct settings *settings;
    const char *file = invocation_value(invocation, "config-file");
    if (file == NULL)
        file = SITE_DEFAULT_CONF;
    report_begin(&report, ctl);
    check_configuration(&report, file);
    bool daemon_runs = check_daemon(&report);
    if (is_sendmail(file, &settings))
        check_sendmail(&report, settings, invocation_value(invocation, "config-dir"));
    else
        check_with_postfix(&report, invocation, daemon_runs);
    settings_unref(&settings);
    return report_end(&report);
}
