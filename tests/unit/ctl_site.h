/*
 * For tests: a Postfix that is not there, as bdatctl would have read it by postconf(1).
 */
#ifndef BDAT_TESTS_CTL_SITE_H
#define BDAT_TESTS_CTL_SITE_H

#include "ctl/hooks.h"
#include "ctl/postfix.h"
#include "ctl/site.h"
#include "ctl/text.h"

#define SITE_QUEUE "/var/spool/postfix"
#define SITE_CONFIG "/etc/p"

/* A service of master.cf. */
struct site_service {
    const char *name, *type, *command;
};

/* What postconf(1) shows: "NAME = VALUE" lines of main.cf, and of master.cf as
 * "SERVICE/TYPE/NAME = VALUE", each as written and, unless NULL, with $names replaced. */
struct site_texts {
    const char *main_cf, *main_cf_expanded;
    const char *master_cf, *master_cf_expanded;
};

/* Fills a site with a Postfix of these texts and services; pretend_site_free() ends it. */
static inline void pretend_site(struct site *site, const struct site_texts *texts,
                                const struct site_service *services, size_t count)
{
    const struct hook_sockets sockets = {SITE_QUEUE "/b/m", SITE_QUEUE "/b/t", SITE_QUEUE "/b/p"};
    *site = (struct site){.conf_file = "/etc/x.conf"};
    site->postfix = (struct postfix){
        .raw = text_copy(texts->main_cf),
        .expanded =
            text_copy(texts->main_cf_expanded != NULL ? texts->main_cf_expanded : texts->main_cf),
        .set = text_copy(texts->main_cf),
        .overrides = text_copy(texts->master_cf),
        .expanded_overrides = text_copy(
            texts->master_cf_expanded != NULL ? texts->master_cf_expanded : texts->master_cf),
        .queue_dir = text_copy(SITE_QUEUE),
        .config_dir = text_copy(SITE_CONFIG),
        .asked_dir = SITE_CONFIG,
        .services = text_resize(NULL, count, sizeof(struct postfix_service)),
        .service_count = count,
    };
    for (size_t i = 0; i < count; i++)
        site->postfix.services[i] =
            (struct postfix_service){.name = text_copy(services[i].name),
                                     .type = text_copy(services[i].type),
                                     .command = text_copy(services[i].command)};
    hooks_build(site->hooks, &sockets, SITE_QUEUE);
}

static inline void pretend_site_free(struct site *site)
{
    hooks_free(site->hooks);
    postfix_close(&site->postfix);
}

#endif
