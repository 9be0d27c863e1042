#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/check.h"
#include "ctl/file.h"
#include "ctl/text.h"

/* The path of a Unix socket in an X line: behind "S=local:", "S=unix:" or "S="; NULL if there is
 * none. */
static const char *find_path(const char *line)
{
    static const char *const kinds[] = {"local:", "unix:", ""};
    const char *equate = strstr(line, "S=");
    for (size_t i = 0; equate != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t length = strlen(kinds[i]);
        if (strncmp(equate + 2, kinds[i], length) == 0 && equate[2 + length] == '/')
            return equate + 2 + length;
    }
    return NULL;
}

/* True if that filter's X line has F=T, F=R or F=4: Sendmail refuses mail without it. */
static bool is_required(const char *text, const char *name)
{
    char *begin = text_format("\nX%s,", name);
    const char *line = strstr(text, begin);
    size_t length = line == NULL ? 0 : strcspn(line + 1, "\n");
    char *copy = text_format("%.*s", (int)length, line == NULL ? "" : line + 1);
    const char *flag = strstr(copy, "F=");
    bool required = flag != NULL && strchr("TR4", flag[2]) != NULL && flag[2] != '\0';
    free(begin);
    free(copy);
    return required;
}

/* What the configuration makes of a BDAT at Sendmail. */
static void check_action(struct report *report, const struct settings *settings)
{
    enum action action = settings->actions[VERDICT_NOT_OFFERED];
    if (action != ACTION_TEMPFAIL)
        report_add(report, LEVEL_WARN,
                   text_format("actions.not_offered is \"%s\": Sendmail runs the octets behind a "
                               "BDAT as commands",
                               action_name(action)),
                   text_copy("actions = { not_offered = \"tempfail\"; } in bdat-milter.conf ends "
                             "the session by 421"));
}

/* The name under which an X line of sendmail.cf ("Xbdat-milter, S=local:PATH") names our socket;
 * NULL if none does. The caller frees. */
static char *find_filter(const char *text, const char *socket)
{
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        size_t length = strcspn(line, "\n"), name = strcspn(line, ", \t\n");
        char *copy = text_format("%.*s", (int)length, line);
        const char *path = *line == 'X' ? find_path(copy) : NULL;
        bool ours = path != NULL && strncmp(path, socket, strlen(socket)) == 0 &&
                    strchr(", \t", path[strlen(socket)]) != NULL;
        free(copy);
        if (ours)
            return text_format("%.*s", (int)name - 1, line + 1);
    }
    return NULL;
}

/* True if "O InputMailFilters=" lists that name. */
static bool is_listed(const char *text, const char *name)
{
    const char *option = strstr(text, "\nO InputMailFilters=");
    struct span item;
    bool listed = false;
    if (option == NULL)
        return false;
    option = strchr(option, '=') + 1;
    char *list = text_format("%.*s", (int)strcspn(option, "\n"), option);
    for (size_t at = 0; value_next(list, at, &item); at = item.end)
        listed = listed || (item.end - item.begin == strlen(name) &&
                            strncmp(list + item.begin, name, strlen(name)) == 0);
    free(list);
    return listed;
}

void check_sendmail(struct report *report, const struct settings *settings, const char *config_dir)
{
    size_t length;
    char *path = text_format("%s/sendmail.cf", config_dir == NULL ? "/etc/mail" : config_dir);
    char *text = file_read(path, &length);
    char *name = text == NULL ? NULL : find_filter(text, settings->milter_socket);
    char *mend = text_format("in sendmail.mc: INPUT_MAIL_FILTER(`bdat-milter', "
                             "`S=local:%s, T=S:30s;R:30s')dnl, then make -C /etc/mail and restart "
                             "sendmail",
                             settings->milter_socket);
    if (text == NULL)
        report_add(report, LEVEL_FAIL,
                   text_format("sendmail: %s cannot be read, and there is no "
                               "Postfix",
                               path),
                   text_copy("name its folder with -c"));
    else if (name == NULL || !is_listed(text, name))
        report_add(report, LEVEL_FAIL,
                   text_format("sendmail: %s names no input mail filter at %s", path,
                               settings->milter_socket),
                   text_copy(mend));
    else
        report_add(report, LEVEL_OK,
                   text_format("sendmail: %s names %s as an input mail filter", path, name), NULL);
    if (name != NULL && is_required(text, name))
        report_add(report, LEVEL_WARN,
                   text_format("sendmail: %s refuses mail while bdat-milter is away", path),
                   text_format("leave F= out of the line of %s: mail then goes on", name));
    check_action(report, settings);
    if (text != NULL && site_connect(settings->milter_socket) != 0)
        report_add(report, LEVEL_FAIL,
                   text_format("socket milter: nobody answers on %s", settings->milter_socket),
                   text_copy("systemctl restart bdat-milter"));
    free(mend);
    free(name);
    free(text);
    free(path);
}
