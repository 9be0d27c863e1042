#include "config.h"

#include "ctl/postfix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/daemon.h"
#include "ctl/process.h"
#include "ctl/text.h"
#include "ctl/value.h"

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

/* Everything that is ever asked of main.cf, so that two runs of postconf(1) tell it all. */
static const char *const parameters[] = {
    "compatibility_level",
    "config_directory",
    "inet_interfaces",
    "mail_owner",
    "mail_version",
    "non_smtpd_milters",
    "postscreen_discard_ehlo_keyword_address_maps",
    "queue_directory",
    "smtpd_command_filter",
    "smtpd_data_restrictions",
    "smtpd_discard_ehlo_keyword_address_maps",
    "smtpd_discard_ehlo_keywords",
    "smtpd_end_of_data_restrictions",
    "smtpd_milters",
};
#define PARAMETER_COUNT (sizeof(parameters) / sizeof(parameters[0]))

/* The output of postconf(1) for these parameters, "" if it fails; *error is then its complaint. */
static char *ask(const struct postfix *postfix, const char *flag, size_t count, char **error)
{
    struct process_result result = run(postfix, "postconf", flag, parameters, count);
    char *text = text_copy(result.status == 0 ? result.out : "");
    if (error != NULL)
        *error = result.status == 0 ? NULL : text_copy(result.err);
    process_free(&result);
    return text;
}

/* The value in the line "NAME = VALUE" of a text; NULL if there is no such line. The caller
 * frees. */
static char *find_value(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) != 0 || strncmp(line + length, " =", 2) != 0)
            continue;
        const char *value = line + length + 2;
        value += strspn(value, " ");
        return text_format("%.*s", (int)strcspn(value, "\n"), value);
    }
    return NULL;
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
    char *level = postfix_get(postfix, "compatibility_level", true);
    bool default_chroot = strtol(level, NULL, 10) < 1;
    free(level);
    char *text = ask(postfix, "-M", 0, NULL), *state = NULL;
    for (char *line = strtok_r(text, "\n", &state); line != NULL;
         line = strtok_r(NULL, "\n", &state))
        add_service(postfix, line, default_chroot);
    free(text);
}

int postfix_open(struct postfix *postfix, const char *config_dir)
{
    char *error;
    *postfix = (struct postfix){.asked_dir = config_dir};
    postfix->raw = ask(postfix, NULL, PARAMETER_COUNT, &error);
    if (error != NULL) {
        ctl_complain("postconf does not work: %s\nIs Postfix installed, and is -c right?", error);
        free(error);
        postfix_close(postfix);
        return -1;
    }
    postfix->expanded = ask(postfix, "-x", PARAMETER_COUNT, NULL);
    postfix->set = ask(postfix, "-n", 0, NULL);
    postfix->overrides = ask(postfix, "-P", 0, NULL);
    postfix->expanded_overrides = ask(postfix, "-Px", 0, NULL);
    postfix->version = postfix_get(postfix, "mail_version", true);
    postfix->config_dir = postfix_get(postfix, "config_directory", true);
    postfix->queue_dir = postfix_get(postfix, "queue_directory", true);
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
    free(postfix->raw);
    free(postfix->expanded);
    free(postfix->set);
    free(postfix->overrides);
    free(postfix->expanded_overrides);
    *postfix = (struct postfix){0};
}

char *postfix_get(const struct postfix *postfix, const char *parameter, bool expanded)
{
    char *value = find_value(expanded ? postfix->expanded : postfix->raw, parameter);
    return value == NULL ? text_copy("") : value;
}

bool postfix_is_set(const struct postfix *postfix, const char *parameter)
{
    char *value = find_value(postfix->set, parameter);
    bool is_set = value != NULL;
    free(value);
    return is_set;
}

static char *find_override(const char *text, const struct postfix_service *service,
                           const char *parameter)
{
    char *name = postfix_service_parameter(service, parameter);
    char *value = find_value(text, name);
    free(name);
    return value;
}

char *postfix_get_override(const struct postfix *postfix, const struct postfix_service *service,
                           const char *parameter)
{
    return find_override(postfix->overrides, service, parameter);
}

char *postfix_expand_override(const struct postfix *postfix, const struct postfix_service *service,
                              const char *parameter)
{
    return find_override(postfix->expanded_overrides, service, parameter);
}

char *postfix_service_parameter(const struct postfix_service *service, const char *parameter)
{
    return text_format("%s/%s/%s", service->name, service->type, parameter);
}

char *postfix_dir_option(const struct postfix *postfix)
{
    if (postfix->asked_dir == NULL)
        return text_copy("");
    char *quoted = value_quote_for_shell(postfix->asked_dir);
    char *option = text_format(" -c %s", quoted);
    free(quoted);
    return option;
}

char *postfix_command(const struct postfix *postfix, const char *flag, const char *word)
{
    char *quoted = value_quote_for_shell(word), *dir = postfix_dir_option(postfix);
    char *line = text_format("postconf%s %s %s", dir, flag, quoted);
    free(dir);
    free(quoted);
    return line;
}

static bool is_same_folder(const char *one, const char *other)
{
    struct stat a, b;
    return strcmp(one, other) == 0 || (stat(one, &a) == 0 && stat(other, &b) == 0 &&
                                       a.st_dev == b.st_dev && a.st_ino == b.st_ino);
}

bool postfix_lists_folder(const char *list, const char *folder)
{
    struct span item;
    bool found = false;
    for (size_t at = 0; !found && value_next(list, at, &item); at = item.end) {
        char *name = text_format("%.*s", (int)(item.end - item.begin), list + item.begin);
        found = is_same_folder(name, folder);
        free(name);
    }
    return found;
}

/* What postconf(1) writes for these words, "" if it fails. */
static char *ask_default(const char *const argv[])
{
    struct process_result result = process_run(argv);
    char *text = text_copy(result.status == 0 ? result.out : "");
    process_free(&result);
    return text;
}

bool postfix_serves_users(const struct postfix *postfix)
{
    char *own =
        ask_default((const char *const[]){"postconf", "-d", "-h", "config_directory", NULL});
    char *others = ask_default((const char *const[]){"postconf", "-c", own, "-x", "-h",
                                                     "alternate_config_directories",
                                                     "multi_instance_directories", NULL});
    bool serves = postfix_lists_folder(own, postfix->config_dir) ||
                  postfix_lists_folder(others, postfix->config_dir);
    free(others);
    free(own);
    return serves;
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

int postfix_change(const struct postfix *postfix, const char *flag, const char *const *words,
                   size_t count)
{
    if (count == 0)
        return 0;
    char *what = text_format("postconf %s", flag);
    int failed = finish(run(postfix, "postconf", flag, words, count), what);
    free(what);
    return failed;
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
