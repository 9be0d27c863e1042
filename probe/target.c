/* Targets, mail exchangers and addresses. */
#include "probe/target.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX 65535

static bool is_address(const char *host)
{
    struct in6_addr any;
    return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

static const char *parse_port(struct target *target, const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length > 5 || strspn(text, "0123456789") != length)
        return "the port is a number from 1 to 65535";
    long port = strtol(text, NULL, 10);
    if (port < 1 || port > 65535)
        return "the port is a number from 1 to 65535";
    snprintf(target->port, sizeof(target->port), "%ld", port);
    return NULL;
}

static const char *copy_host(struct target *target, const char *text, size_t length)
{
    if (length == 0)
        return "the host is missing";
    if (length >= sizeof(target->host))
        return "the host name is too long";
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~' || strchr("/[]<>@\"\\", text[i]))
            return "this is no host name";
    memcpy(target->host, text, length);
    target->host[length] = '\0';
    target->literal = is_address(target->host);
    return NULL;
}

const char *target_parse(struct target *target, const char *text)
{
    memset(target, 0, sizeof(*target));
    const char *wrong;
    if (*text == '[') {
        const char *end = strchr(text, ']');
        if (!end)
            return "the closing ] is missing";
        if (strncmp(text, "[IPv6:", 6) == 0)
            text += 5;
        if ((wrong = copy_host(target, text + 1, (size_t)(end - text - 1))) != NULL)
            return wrong;
        if (!target->literal)
            return "between [ and ] stands an IP address";
        if (end[1] == '\0')
            return NULL;
        return end[1] == ':' ? parse_port(target, end + 2) : "after ] only :PORT may follow";
    }
    const char *colon = strchr(text, ':');
    if (colon && !strchr(colon + 1, ':')) {
        if ((wrong = copy_host(target, text, (size_t)(colon - text))) != NULL)
            return wrong;
        return parse_port(target, colon + 1);
    }
    if ((wrong = copy_host(target, text, strlen(text))) != NULL)
        return wrong;
    return colon && !target->literal ? "this is no IPv6 address" : NULL;
}

static int by_preference(const void *left, const void *right)
{
    unsigned a = ((const struct exchanger *)left)->preference;
    unsigned b = ((const struct exchanger *)right)->preference;
    return a < b ? -1 : a > b;
}

int mx_parse_answer(const unsigned char *answer, size_t length, struct exchanger *exchangers,
                    size_t max)
{
    ns_msg message;
    if (length > ANSWER_MAX || ns_initparse(answer, (int)length, &message) != 0)
        return -1;
    size_t count = 0;
    for (int i = 0; i < ns_msg_count(message, ns_s_an) && count < max; i++) {
        ns_rr record;
        if (ns_parserr(&message, ns_s_an, i, &record) != 0)
            return -1;
        if (ns_rr_type(record) != ns_t_mx || ns_rr_rdlen(record) < 3)
            continue;
        const unsigned char *data = ns_rr_rdata(record);
        struct exchanger *exchanger = &exchangers[count];
        exchanger->preference = (unsigned)ns_get16(data);
        if (ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), data + 2, exchanger->host,
                               sizeof(exchanger->host)) < 0)
            return -1;
        if (exchanger->host[0] == '\0')
            strcpy(exchanger->host, ".");
        count++;
    }
    qsort(exchangers, count, sizeof(exchangers[0]), by_preference);
    return (int)count;
}

enum mx_result mx_lookup(const char *domain, struct exchanger *exchangers, size_t max,
                         size_t *count)
{
    *count = 0;
    unsigned char *answer = malloc(ANSWER_MAX);
    if (!answer)
        return MX_FAILED;
    int length = res_query(domain, ns_c_in, ns_t_mx, answer, ANSWER_MAX);
    int reason = h_errno;
    int found = length > 0 ? mx_parse_answer(answer, (size_t)length, exchangers, max) : 0;
    free(answer);
    if (length < 0)
        return reason == NO_DATA ? MX_NONE : reason == HOST_NOT_FOUND ? MX_MISSING : MX_FAILED;
    if (found < 0)
        return MX_FAILED;
    if (found == 0)
        return MX_NONE;
    if (found == 1 && strcmp(exchangers[0].host, ".") == 0)
        return MX_NULL;
    *count = (size_t)found;
    return MX_FOUND;
}

static void fill_endpoint(struct endpoint *endpoint, const char *host, const char *port,
                          const struct addrinfo *info)
{
    char address[INET6_ADDRSTRLEN] = "?";
    snprintf(endpoint->host, sizeof(endpoint->host), "%s", host);
    memcpy(&endpoint->address, info->ai_addr, info->ai_addrlen);
    endpoint->length = info->ai_addrlen;
    getnameinfo(info->ai_addr, info->ai_addrlen, address, sizeof(address), NULL, 0, NI_NUMERICHOST);
    snprintf(endpoint->text, sizeof(endpoint->text),
             info->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", address, port);
}

size_t endpoint_resolve(const char *host, const char *port, struct endpoint *endpoints, size_t max,
                        char *error, size_t error_size)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    hints.ai_flags = AI_NUMERICSERV;
    int failure = getaddrinfo(host, port, &hints, &list);
    if (failure) {
        snprintf(error, error_size, "%s: %s", host, gai_strerror(failure));
        return 0;
    }
    size_t count = 0;
    for (const struct addrinfo *info = list; info && count < max; info = info->ai_next)
        if (info->ai_family == AF_INET || info->ai_family == AF_INET6)
            fill_endpoint(&endpoints[count++], host, port, info);
    freeaddrinfo(list);
    if (count == 0)
        snprintf(error, error_size, "%s: has no IPv4 or IPv6 address", host);
    return count;
}
