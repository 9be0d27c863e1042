/*
 * What leads bdat-probe to a server: a target of the command line, or the answer of a name
 * server that need not be friendly. The first octet says which.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "probe/target.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_target(const uint8_t *data, size_t size)
{
    struct target target;
    char *text = malloc(size + 1);
    if (!text)
        return;
    memcpy(text, data, size);
    text[size] = '\0';
    if (target_parse(&target, text) == NULL) {
        require(target.host[0] != '\0', "a target has a host");
        require(strpbrk(target.host, " \r\n\t<>@[]") == NULL, "a host has no odd characters");
        long port = strtol(target.port, NULL, 10);
        require(!target.port[0] || (port >= 1 && port <= 65535), "a port is in its range");
    }
    free(text);
}

static void check_answer(const uint8_t *data, size_t size)
{
    struct exchanger exchangers[TARGET_MAX_EXCHANGERS];
    unsigned char *exact = malloc(size ? size : 1);
    if (!exact)
        return;
    memcpy(exact, data, size);
    int count = mx_parse_answer(exact, size, exchangers, TARGET_MAX_EXCHANGERS);
    free(exact);
    require(count >= -1 && count <= TARGET_MAX_EXCHANGERS, "no more than asked for");
    for (int i = 0; i < count; i++) {
        require(exchangers[i].host[0] != '\0', "an exchanger has a name");
        require(strlen(exchangers[i].host) < TARGET_MAX_HOST, "which fits");
        require(i == 0 || exchangers[i - 1].preference <= exchangers[i].preference,
                "they are in their order");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        check_answer(data + 1, size - 1);
    else
        check_target(data + 1, size - 1);
    return 0;
}
