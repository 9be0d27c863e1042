/*
 * Where the two tables are set: in main.cf for all of Postfix, or in master.cf for each network
 * service.
 *
 * `sendmail -bs`, run by an ordinary user, starts an smtpd(8) of that user's own. It reads main.cf,
 * not master.cf, may not open the tables' socket, and answers EHLO with 421: the mail of local
 * programs would not be taken. So where ordinary users can run sendmail(1) the tables are set for
 * the services. Milter and policy service stay in main.cf: that smtpd does not ask them.
 */
#ifndef BDAT_CTL_TABLES_H
#define BDAT_CTL_TABLES_H

#include <jansson.h>

#include "ctl/plan.h"

enum tables_place { TABLES_MAIN, TABLES_SERVICES };

/* Where attach is to set them: as `asked` says ("main", "services"), or, if that is NULL, as it
 * must be. EXIT_USAGE for another word. */
enum exit_code tables_choose(const struct site *site, const char *asked, enum tables_place *place)
    __attribute__((warn_unused_result));

/* True if main.cf names our table, or any smtpd(8) service in master.cf does. */
bool tables_in_main(const struct site *site, const struct hook *hook);
bool tables_in_services(const struct site *site, const struct hook *hook);

/* What a service must have: the maps of main.cf, and ours behind. NULL if postconf -P cannot
 * write it. The caller frees. */
char *tables_service_value(const struct site *site, const struct hook *hook);

/* Says that main.cf has another command filter than ours. */
void tables_complain_taken(const struct site *site, const struct hook *hook, const char *value);

/* Plans one table for the services, and to take it out of main.cf. EXIT_NO, which is said, when
 * something else stands where ours must. */
enum exit_code tables_plan_services(struct plan *plan, const struct site *site,
                                    const struct hook *hook, const json_t *record)
    __attribute__((warn_unused_result));

/* Plans to take out of the services what an earlier attach has set there. */
void tables_plan_services_back(struct plan *plan, const struct site *site, const struct hook *hook,
                               const json_t *record);

#endif
