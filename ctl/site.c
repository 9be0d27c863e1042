#include "config.h"

#include "ctl/site.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum exit_code site_open(struct site *site, const struct invocation *invocation)
{
    char error[1024];
    const char *asked = invocation_value(invocation, "config-file");
    *site = (struct site){.conf_file = asked == NULL ? SITE_DEFAULT_CONF : asked};
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

bool site_listens(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool listens = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    if (fd >= 0)
        close(fd);
    return listens;
}
