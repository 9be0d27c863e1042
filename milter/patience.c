#include "milter/patience.h"

#include <string.h>

/* FNV-1a: nobody gains by making messages look alike. */
static uint64_t add_octets(uint64_t hash, const void *octets, size_t length)
{
    const unsigned char *octet = octets;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ octet[i]) * 0x100000001b3U;
    return hash;
}

uint64_t patience_identify(const struct transfer *transfer, const struct content *content)
{
    uint64_t hash = 0xcbf29ce484222325U;
    hash = add_octets(hash, transfer->sender, strlen(transfer->sender) + 1);
    hash = add_octets(hash, &transfer->declared, sizeof(transfer->declared));
    hash = add_octets(hash, &content->octets, sizeof(content->octets));
    return add_octets(hash, content->tail, content->tail_length);
}

bool patience_is_over(struct patience *patience, uint64_t message, int64_t now)
{
    size_t index = (message ^ message >> 32) & (PATIENCE_MESSAGES - 1);
    struct patience_place *place = &patience->places[index];
    pthread_mutex_lock(&patience->lock);
    if (place->message != message)
        *place = (struct patience_place){.message = message};
    /* A clock that was set back must not make anybody wait longer. */
    bool counts = place->tries == 0 || now < place->last || now - place->last >= PATIENCE_SPACING;
    bool over = counts && place->tries >= PATIENCE_TRIES;
    if (counts && !over) {
        place->tries++;
        place->last = now;
    }
    pthread_mutex_unlock(&patience->lock);
    return over;
}
