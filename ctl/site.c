#include "config.h"

#include "ctl/site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/text.h"

enum exit_code site_open(struct site *site, const struct invocation *invocation)
{
    char error[1024];
    const char *asked = invocation_value(invocation, "config-file");
    *site = (struct site){.conf_file = asked == NULL ? SITE_DEFAULT_CONF : asked};
    site->conf_asked = asked != NULL;
    site->conf_exists = access(site->conf_file, F_OK) == 0;
    bool read_file = asked != NULL || site->conf_exists;
    site->settings = settings_load(read_file ? site->conf_file : NULL, error, sizeof(error));
    if (site->settings == NULL) {
        ctl_complain("the daemon's configuration is not right:\n%s", error);
        return EXIT_NO;
    }
    if (postfix_open(&site->postfix, invocation_value(invocation, "config-dir")) != 0) {
        settings_unref(&site->settings);
        return EXIT_NO;
    }
    const struct hook_sockets sockets = {.milter = site->settings->milter_socket,
                                         .tables = site->settings->tables_socket,
                                         .policy = site->settings->policy_socket};
    hooks_build(site->hooks, &sockets, site->postfix.queue_dir);
    return EXIT_DONE;
}

void site_close(struct site *site)
{
    hooks_free(site->hooks);
    postfix_close(&site->postfix);
    settings_unref(&site->settings);
}

char *site_command(const struct site *site, const struct ctl *ctl, const char *command)
{
    char *dir = postfix_dir_option(&site->postfix);
    char *file = site->conf_asked ? value_quote_for_shell(site->conf_file) : NULL;
    char *words =
        text_format("%s%s%s%s", command, dir, file == NULL ? "" : " -f ", file == NULL ? "" : file);
    char *line = command_line_of(ctl, words);
    free(words);
    free(file);
    free(dir);
    return line;
}

char *site_discarded_keywords(const struct site *site)
{
    const struct postfix *postfix = &site->postfix;
    char *all = postfix_get(postfix, SITE_KEYWORDS, true);
    for (size_t i = 0; i < postfix->service_count; i++) {
        const struct postfix_service *service = &postfix->services[i];
        char *own = postfix_is_smtpd(service)
                        ? postfix_expand_override(postfix, service, SITE_KEYWORDS)
                        : NULL;
        if (own != NULL) {
            char *longer = text_format("%s %s", all, own);
            free(all);
            all = longer;
        }
        free(own);
    }
    return all;
}

int site_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool failed = fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0;
    int reason = failed ? errno : 0;
    if (fd >= 0)
        close(fd);
    return reason;
}
