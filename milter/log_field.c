#include "milter/log_field.h"

#include <stdio.h>
#include <string.h>

char *log_field_text(const char *text, char *field, size_t size)
{
    size_t used = 0;

    for (; text[used] != '\0' && used < size - 1; used++)
        field[used] = strchr("<> \t", text[used]) != NULL ? '?' : text[used];
    field[used] = '\0';
    return field;
}

char *log_field_client(const char *name, const struct address *address, char field[LOG_CLIENT_SIZE])
{
    char shown[TRANSFER_NAME_SIZE], numbers[NETWORK_TEXT_SIZE] = "unknown";

    if (address != NULL)
        address_format(address, numbers);
    log_field_text(name[0] != '\0' ? name : "unknown", shown, sizeof(shown));
    snprintf(field, LOG_CLIENT_SIZE, "%s[%s]", shown, numbers);
    return field;
}
