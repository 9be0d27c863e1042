#include "milter/policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "milter/clock.h"
#include "milter/policy_request.h"
#include "milter/service.h"

/* Room for an action and its line ends. */
#define ACTION_SIZE 256

struct policy {
    struct policy_options options;
    struct service *service;
    struct policy_counts counts;
    struct histogram durations[POLICY_STATE_COUNT];
};

/* A peer that is no Postfix, or a request beyond the limits: mail must go on all the same. */
static size_t refuse(struct policy *policy, struct peer *peer, const char *why, size_t length)
{
    static const char dunno[] = "action=DUNNO\n\n";
    policy->counts.errors++;
    log_write(policy->options.log, LOG_LEVEL_WARNING, "policy: request of pid %d refused: %s",
              (int)peer_pid(peer), why);
    peer_reply_and_close(peer, dunno, sizeof(dunno) - 1);
    return length;
}

static void answer(struct policy *policy, struct peer *peer, const struct policy_request *request)
{
    char action[ACTION_SIZE], wire[ACTION_SIZE + 16];
    int64_t begun_ns = clock_monotonic_ns();
    policy->counts.requests++;
    policy->counts.last_seen_ms = clock_wall_about_ms();
    inbox_drain(policy->options.inbox);
    sessions_take_policy(policy->options.sessions, peer_pid(peer), request, action,
                         sizeof(action));
    int length = snprintf(wire, sizeof(wire), "action=%s\n\n", action);
    peer_reply(peer, wire, (size_t)length);
    histogram_observe(&policy->durations[request->state],
                      (uint64_t)(clock_monotonic_ns() - begun_ns));
}

static size_t handle(void *context, struct peer *peer, char *data, size_t length)
{
    struct policy *policy = context;
    struct policy_request request;
    size_t used = 0;
    switch (policy_request_parse(data, length, &request, &used)) {
    case POLICY_COMPLETE:
        answer(policy, peer, &request);
        return used;
    case POLICY_INCOMPLETE:
        return 0;
    case POLICY_TOO_LONG:
        return refuse(policy, peer, "a line or the request is too long", length);
    case POLICY_BAD:
        return refuse(policy, peer, "a line without \"=\"", length);
    }
    return length;
}

struct policy *policy_new(struct event_base *base, const struct policy_options *options)
{
    struct policy *policy = calloc(1, sizeof(*policy));
    if (policy == NULL)
        return NULL;
    policy->options = *options;
    for (size_t i = 0; i < POLICY_STATE_COUNT; i++)
        histogram_init(&policy->durations[i], &histogram_answers);
    const struct service_options service = {
        .name = "policy",
        .listen_fd = options->listen_fd,
        .max_request = POLICY_REQUEST_MAX,
        .handle = handle,
        .context = policy,
        .log = options->log,
    };
    policy->service = service_new(base, &service);
    if (policy->service == NULL)
        policy_free(&policy);
    return policy;
}

void policy_free(struct policy **policy)
{
    struct policy *old = *policy;
    if (old == NULL)
        return;
    service_free(&old->service);
    free(old);
    *policy = NULL;
}

struct policy_counts policy_counts(const struct policy *policy)
{
    struct policy_counts counts = policy->counts;
    counts.connections = service_connections(policy->service);
    return counts;
}

const struct histogram *policy_durations(const struct policy *policy, enum policy_state state)
{
    return &policy->durations[state];
}
