#include "config.h"

#include "ctl/postfix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/daemon.h"
#include "ctl/process.h"
#include "ctl/text.h"

/* Runs postconf or postfix with -c DIR if one was asked for, `words`, and `count` more words. */
static struct process_result run(const struct postfix *postfix, const char *program,
                                 const char *flag, const char *const *words, size_t count)
{
    const char **argv = text_resize(NULL, count + 5, sizeof(*argv));
    size_t used = 0;
    argv[used++] = program;
    if (postfix->asked_dir != NULL) {
        argv[used++] = "-c";
        argv[used++] = postfix->asked_dir;
    }
    if (flag != NULL)
        argv[used++] = flag;
    for (size_t i = 0; i < count; i++)
        argv[used++] = words[i];
    argv[used] = NULL;
    struct process_result result = process_run(argv);
    free(argv);
    return result;
}

/* The output of a successful run; otherwise NULL, and the result's error text stays in *error. */
static char *ask(const struct postfix *postfix, const char *flag, const char *word, char **error)
{
    struct process_result result = run(postfix, "postconf", flag, &word, word == NULL ? 0 : 1);
    char *text = result.status == 0 ? text_copy(result.out) : NULL;
    if (error != NULL)
        *error = text == NULL ? text_copy(result.err) : NULL;
    process_free(&result);
    return text;
}

static char *ask_or_empty(const struct postfix *postfix, const char *flag, const char *word)
{
    char *text = ask(postfix, flag, word, NULL);
    return text == NULL ? text_copy("") : text;
}

/* One line of postconf -M: name type private unpriv chroot wakeup limit command. A chroot field
 * of "-" means yes below compatibility_level 1. */
static void add_service(struct postfix *postfix, char *line, bool default_chroot)
{
    enum { NAME, TYPE, CHROOT = 4, COMMAND = 7, FIELDS };
    char *fields[FIELDS], *state = NULL;
    for (int i = 0; i < FIELDS; i++)
        if ((fields[i] = strtok_r(i == 0 ? line : NULL, " \t", &state)) == NULL)
            return;
    postfix->services =
        text_resize(postfix->services, postfix->service_count + 1, sizeof(*postfix->services));
    postfix->services[postfix->service_count++] = (struct postfix_service){
        .name = text_copy(fields[NAME]),
        .type = text_copy(fields[TYPE]),
        .chrooted = strcmp(fields[CHROOT], "y") == 0 ||
                    (strcmp(fields[CHROOT], "-") == 0 && default_chroot),
        .command = text_copy(fields[COMMAND]),
    };
}

static void read_services(struct postfix *postfix)
{
    char *level = ask_or_empty(postfix, "-xh", "compatibility_level");
    bool default_chroot = strtol(level, NULL, 10) < 1;
    free(level);
    char *text = ask_or_empty(postfix, "-M", NULL), *state = NULL;
    for (char *line = strtok_r(text, "\n", &state); line != NULL;
         line = strtok_r(NULL, "\n", &state))
        add_service(postfix, line, default_chroot);
    free(text);
}

int postfix_open(struct postfix *postfix, const char *config_dir)
{
    char *error;
    *postfix = (struct postfix){.asked_dir = config_dir};
    postfix->version = ask(postfix, "-h", "mail_version", &error);
    if (postfix->version == NULL) {
        ctl_complain("postconf does not work: %s\nIs Postfix installed, and is -c right?", error);
        free(error);
        return -1;
    }
    postfix->config_dir = ask_or_empty(postfix, "-h", "config_directory");
    postfix->queue_dir = ask_or_empty(postfix, "-xh", "queue_directory");
    read_services(postfix);
    return 0;
}

void postfix_close(struct postfix *postfix)
{
    for (size_t i = 0; i < postfix->service_count; i++) {
        free(postfix->services[i].name);
        free(postfix->services[i].type);
        free(postfix->services[i].command);
    }
    free(postfix->services);
    free(postfix->config_dir);
    free(postfix->queue_dir);
    free(postfix->version);
    *postfix = (struct postfix){0};
}

char *postfix_get(const struct postfix *postfix, const char *parameter, bool expanded)
{
    return ask_or_empty(postfix, expanded ? "-xh" : "-h", parameter);
}

bool postfix_is_set(const struct postfix *postfix, const char *parameter)
{
    char *text = ask_or_empty(postfix, "-n", parameter);
    bool is_set = *text != '\0';
    free(text);
    return is_set;
}

char *postfix_get_override(const struct postfix *postfix, const struct postfix_service *service,
                           const char *parameter)
{
    char *name = text_format("%s/%s/%s", service->name, service->type, parameter);
    char *text = ask(postfix, "-P", name, NULL), *value = NULL;
    size_t length = strlen(name);
    if (text != NULL && strncmp(text, name, length) == 0) {
        const char *rest = text + length + strspn(text + length, " ");
        if (*rest == '=')
            value = text_copy(rest + 1 + strspn(rest + 1, " "));
    }
    free(text);
    free(name);
    return value;
}

bool postfix_is_smtpd(const struct postfix_service *service)
{
    return strcmp(service->command, "smtpd") == 0 &&
           (strcmp(service->type, "inet") == 0 || strcmp(service->type, "pass") == 0);
}

bool postfix_uses_postscreen(const struct postfix *postfix)
{
    for (size_t i = 0; i < postfix->service_count; i++)
        if (strcmp(postfix->services[i].command, "postscreen") == 0)
            return true;
    return false;
}

bool postfix_has_chroot(const struct postfix *postfix)
{
    for (size_t i = 0; i < postfix->service_count; i++)
        if (postfix_is_smtpd(&postfix->services[i]) && postfix->services[i].chrooted)
            return true;
    return false;
}

bool postfix_is_at_least(const struct postfix *postfix, int major, int minor)
{
    int has_major = 0, has_minor = 0;
    if (sscanf(postfix->version, "%d.%d", &has_major, &has_minor) < 2)
        return false;
    return has_major > major || (has_major == major && has_minor >= minor);
}

static int finish(struct process_result result, const char *what)
{
    int failed = result.status == 0 ? 0 : -1;
    if (failed != 0)
        ctl_complain("%s failed: %s", what, *result.err ? result.err : result.out);
    process_free(&result);
    return failed;
}

int postfix_edit(const struct postfix *postfix, const char *const *assignments, size_t count)
{
    return count == 0 ? 0
                      : finish(run(postfix, "postconf", "-e", assignments, count), "postconf -e");
}

int postfix_forget(const struct postfix *postfix, const char *const *names, size_t count)
{
    return count == 0 ? 0 : finish(run(postfix, "postconf", "-X", names, count), "postconf -X");
}

bool postfix_is_running(const struct postfix *postfix)
{
    const char *word = "status";
    struct process_result result = run(postfix, "postfix", NULL, &word, 1);
    bool running = result.status == 0;
    process_free(&result);
    return running;
}

int postfix_reload(const struct postfix *postfix)
{
    const char *word = "reload";
    return finish(run(postfix, "postfix", NULL, &word, 1), "postfix reload");
}
