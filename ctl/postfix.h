/*
 * A Postfix instance as postconf(1) shows it.
 */
#ifndef BDAT_CTL_POSTFIX_H
#define BDAT_CTL_POSTFIX_H

#include <stdbool.h>
#include <stddef.h>

/* A service of master.cf. */
struct postfix_service {
    char *name, *type; /* "smtp", "inet" */
    bool chrooted;
    char *command; /* "smtpd" */
};

struct postfix {
    char *config_dir;
    char *queue_dir;
    char *version;         /* "3.7.11" */
    const char *asked_dir; /* of -c; NULL = Postfix's default instance */
    struct postfix_service *services;
    size_t service_count;
    /* What postconf(1) said when it was opened: "NAME = VALUE" lines. */
    char *raw, *expanded, *set, *overrides, *expanded_overrides;
};

/* Asks postconf(1). 0, or -1 after saying what is wrong. */
int postfix_open(struct postfix *postfix, const char *config_dir)
    __attribute__((warn_unused_result));
void postfix_close(struct postfix *postfix);

/* The value of a parameter as written, or with $names replaced, as it was when the instance was
 * opened; one of the few in postfix.c. The caller frees. */
char *postfix_get(const struct postfix *postfix, const char *parameter, bool expanded);

/* True if main.cf sets the parameter itself. */
bool postfix_is_set(const struct postfix *postfix, const char *parameter);

/* What master.cf sets for one service with -o; NULL if nothing. The caller frees. */
char *postfix_get_override(const struct postfix *postfix, const struct postfix_service *service,
                           const char *parameter);

/* The same with $names replaced. */
char *postfix_expand_override(const struct postfix *postfix, const struct postfix_service *service,
                              const char *parameter);

/* "SERVICE/TYPE/PARAMETER", as postconf -P takes it. The caller frees. */
char *postfix_service_parameter(const struct postfix_service *service, const char *parameter);

/* " -c DIR" as it must stand in a command that we show; "" for the default instance. The caller
 * frees. */
char *postfix_dir_option(const struct postfix *postfix);

/* "postconf [-c DIR] FLAG WORD" as a shell would take it. The caller frees. */
char *postfix_command(const struct postfix *postfix, const char *flag, const char *word);

/* True if ordinary users can send mail by sendmail(1) with this configuration: it is Postfix's
 * own, or that one's main.cf names it in alternate_config_directories or
 * multi_instance_directories (mail_conf_checkdir() of Postfix). */
bool postfix_serves_users(const struct postfix *postfix);

/* True if the list names that folder, however it is written. */
bool postfix_lists_folder(const char *list, const char *folder);

/* True for smtpd(8) of an inet or pass service: where clients arrive. */
bool postfix_is_smtpd(const struct postfix_service *service);
bool postfix_uses_postscreen(const struct postfix *postfix);

/* True if any smtpd(8) runs chrooted in the queue directory. */
bool postfix_has_chroot(const struct postfix *postfix);

/* True from version major.minor on. */
bool postfix_is_at_least(const struct postfix *postfix, int major, int minor);

/* Runs postconf(1) with the words, `count` of them, unless that is 0: with "-e" or "-P" they are
 * "NAME=VALUE" (-P takes no white space), with "-X" or "-PX" names. 0, or -1 after saying what is
 * wrong. */
int postfix_change(const struct postfix *postfix, const char *flag, const char *const *words,
                   size_t count) __attribute__((warn_unused_result));

bool postfix_is_running(const struct postfix *postfix);

/* postfix reload. 0, or -1 after saying what is wrong. */
int postfix_reload(const struct postfix *postfix) __attribute__((warn_unused_result));

#endif
