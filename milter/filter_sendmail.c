#include "config.h"

#include "milter/filter_sendmail.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "milter/answer.h"
#include "milter/clock.h"
#include "milter/letters.h"
#include "milter/sendmail_session.h"

/* libmilter takes it without const. */
static char queue_id_macro[] = "i";

/* The reply code that makes Sendmail end the session. */
static const char closing_code[] = "421";

struct filter_sendmail {
    struct filter_options options;
    pthread_mutex_t lock;
    const struct settings *settings; /* of new sessions; under the lock */
};

struct sendmail_client {
    struct filter_sendmail *shared;
    const struct settings *settings; /* those the session began with */
    struct sendmail_session session;
    struct record answered; /* the latest answer to the BDATs of the message at hand */
};

struct filter_sendmail *filter_sendmail_new(const struct filter_options *options)
{
    struct filter_sendmail *shared = calloc(1, sizeof(*shared));
    if (shared == NULL)
        return NULL;
    shared->options = *options;
    if (pthread_mutex_init(&shared->lock, NULL) != 0) {
        free(shared);
        return NULL;
    }
    filter_sendmail_configure(shared, options->settings);
    return shared;
}

void filter_sendmail_configure(struct filter_sendmail *shared, const struct settings *settings)
{
    const struct settings *taken = settings_ref(settings);
    pthread_mutex_lock(&shared->lock);
    const struct settings *old = shared->settings;
    shared->settings = taken;
    pthread_mutex_unlock(&shared->lock);
    settings_unref(&old);
}

static bool find_address(const struct sockaddr *from, struct address *address)
{
    char text[INET6_ADDRSTRLEN];
    const void *octets = NULL;
    if (from != NULL && from->sa_family == AF_INET)
        octets = &((const struct sockaddr_in *)(const void *)from)->sin_addr;
    else if (from != NULL && from->sa_family == AF_INET6)
        octets = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
    return octets != NULL && inet_ntop(from->sa_family, octets, text, sizeof(text)) != NULL &&
           address_parse(text, strlen(text), address);
}

struct sendmail_client *filter_sendmail_connect(struct filter_sendmail *shared, const char *name,
                                                const struct sockaddr *address,
                                                bool header_spaces)
{
    struct address known;
    struct sendmail_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        log_write(shared->options.log, LOG_LEVEL_ERROR, "out of memory: a session goes unrecorded");
        return NULL;
    }
    client->shared = shared;
    pthread_mutex_lock(&shared->lock);
    client->settings = settings_ref(shared->settings);
    pthread_mutex_unlock(&shared->lock);
    sendmail_session_begin(&client->session, name,
                           find_address(address, &known) ? &known : NULL, header_spaces);
    letters_post_begin_other(&shared->options);
    return client;
}

static struct sendmail_time get_time(void)
{
    return (struct sendmail_time){clock_monotonic_ms(), clock_wall_ms()};
}

/* The BDATs of the message at hand are over: one record for all of them. The envelope stays. */
static void settle_bdat(struct sendmail_client *client)
{
    if (!sendmail_session_has_bdat(&client->session))
        return;
    client->answered.transfer = client->session.transfer;
    letters_post_record(&client->shared->options, &client->answered);
    sendmail_session_end_bdat(&client->session);
}

static void settle(struct sendmail_client *client)
{
    settle_bdat(client);
    sendmail_session_reset(&client->session);
}

static sfsistat give(const struct sendmail_client *client, SMFICTX *ctx,
                     const struct record *record)
{
    return answer_give(ctx, record, client->session.header_spaces, client->shared->options.log);
}

/* Answers a BDAT, or a BODY=BINARYMIME. */
static sfsistat answer_not_offered(struct sendmail_client *client, SMFICTX *ctx)
{
    struct record *record = &client->answered;
    *record = (struct record){.transfer = client->session.transfer,
                              .verdict = VERDICT_NOT_OFFERED};
    answer_choose(client->settings, record);
    if (record->action == ACTION_TEMPFAIL) /* whatever 4xx `replies` has: none other ends it */
        memcpy(record->reply, closing_code, sizeof(closing_code) - 1);
    else if (record->action != ACTION_REJECT)
        record->action = ACTION_ACCEPT; /* there is no message to tag or hold */
    sfsistat result = give(client, ctx, record);
    if (client->session.transfer.last || record->action == ACTION_TEMPFAIL)
        settle_bdat(client);
    return result == SMFIS_ACCEPT ? SMFIS_CONTINUE : result;
}

void filter_sendmail_helo(struct sendmail_client *client, const char *name)
{
    settle(client);
    sendmail_session_helo(&client->session, name);
}

sfsistat filter_sendmail_mail(struct sendmail_client *client, SMFICTX *ctx, char **arguments)
{
    const struct sendmail_time time = get_time();
    settle(client);
    if (sendmail_session_mail(&client->session, arguments, smfi_getsymval(ctx, queue_id_macro),
                              &time))
        return answer_not_offered(client, ctx);
    return SMFIS_CONTINUE;
}

void filter_sendmail_rcpt(struct sendmail_client *client)
{
    sendmail_session_rcpt(&client->session);
}

sfsistat filter_sendmail_unknown(struct sendmail_client *client, SMFICTX *ctx, const char *line)
{
    const struct sendmail_time time = get_time();
    if (!sendmail_session_unknown(&client->session, line, &time))
        return SMFIS_CONTINUE;
    return answer_not_offered(client, ctx);
}

void filter_sendmail_data(struct sendmail_client *client)
{
    const struct sendmail_time time = get_time();
    settle_bdat(client);
    sendmail_session_data(&client->session, &time);
}

void filter_sendmail_header(struct sendmail_client *client, const char *name, const char *value)
{
    sendmail_session_header(&client->session, name, value);
}

void filter_sendmail_end_of_header(struct sendmail_client *client)
{
    sendmail_session_end_of_header(&client->session);
}

void filter_sendmail_body(struct sendmail_client *client, size_t length)
{
    sendmail_session_body(&client->session, length);
}

sfsistat filter_sendmail_end_of_message(struct sendmail_client *client, SMFICTX *ctx)
{
    sfsistat result = SMFIS_CONTINUE;
    if (sendmail_session_exceeds_size(&client->session, client->settings->limits.size_slack)) {
        struct record record = {.transfer = client->session.transfer,
                                .verdict = VERDICT_SIZE_EXCEEDED};
        answer_choose(client->settings, &record);
        result = give(client, ctx, &record);
        letters_post_record(&client->shared->options, &record);
    }
    letters_post_data(&client->shared->options);
    sendmail_session_reset(&client->session);
    return result;
}

void filter_sendmail_abort(struct sendmail_client *client)
{
    settle(client);
}

void filter_sendmail_close(struct sendmail_client **client, bool tell)
{
    struct sendmail_client *old = *client;
    if (old == NULL)
        return;
    if (tell) {
        settle(old);
        letters_post_end_other(&old->shared->options, sendmail_session_mode(&old->session));
    }
    settings_unref(&old->settings);
    free(old);
    *client = NULL;
}
