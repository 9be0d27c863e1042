#include "milter/log_ring.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE "MESSAGE"

/* What stands before an entry's strings, each "NAME=value" and a NUL. */
struct header {
    alignas(16) uint32_t size; /* of the entry with header and padding; 0 = skip to the start */
    uint32_t count;
    uint32_t level;
    uint32_t target;
};

struct log_ring {
    size_t size;
    size_t head; /* where the next entry goes */
    size_t tail; /* where the oldest one begins */
    size_t used; /* octets between the two, those skipped included */
    size_t count;
    char *octets;
};

static size_t round_up(size_t size)
{
    return (size + sizeof(struct header) - 1) / sizeof(struct header) * sizeof(struct header);
}

struct log_ring *log_ring_new(size_t size)
{
    struct log_ring *ring = calloc(1, sizeof(*ring));
    if (ring == NULL)
        return NULL;
    ring->size = round_up(size);
    ring->octets = malloc(ring->size);
    if (ring->octets == NULL)
        log_ring_free(&ring);
    return ring;
}

void log_ring_free(struct log_ring **ring)
{
    if (*ring == NULL)
        return;
    free((*ring)->octets);
    free(*ring);
    *ring = NULL;
}

static struct header *header_at(const struct log_ring *ring, size_t at)
{
    return (struct header *)(void *)(ring->octets + at);
}

/* Room for `size` octets in one piece at the head, which may go back to the start for it. */
static bool find_room(struct log_ring *ring, size_t size)
{
    if (ring->count == 0)
        ring->head = ring->tail = ring->used = 0;
    if (size > ring->size - ring->used)
        return false;
    if (ring->head < ring->tail || size <= ring->size - ring->head)
        return true;
    if (size > ring->tail)
        return false;
    header_at(ring, ring->head)->size = 0;
    ring->used += ring->size - ring->head;
    ring->head = 0;
    return true;
}

static char *write_field(char *at, const char *name, const char *value)
{
    size_t name_length = strlen(name), value_length = strlen(value);
    memcpy(at, name, name_length);
    at[name_length] = '=';
    memcpy(at + name_length + 1, value, value_length + 1);
    return at + name_length + value_length + 2;
}

static size_t field_size(const char *name, const char *value)
{
    return strlen(name) + strlen(value) + 2;
}

bool log_ring_put(struct log_ring *ring, enum log_level level, enum log_target target,
                  const char *text, const struct log_field *fields, size_t count)
{
    if (count > LOG_FIELDS_MAX)
        count = LOG_FIELDS_MAX;
    size_t size = sizeof(struct header) + field_size(MESSAGE, text);
    for (size_t i = 0; i < count; i++)
        size += field_size(fields[i].name, fields[i].value);
    size = round_up(size);
    if (!find_room(ring, size))
        return false;
    struct header *header = header_at(ring, ring->head);
    *header = (struct header){(uint32_t)size, (uint32_t)count + 1, level, target};
    char *at = write_field((char *)(header + 1), MESSAGE, text);
    for (size_t i = 0; i < count; i++)
        at = write_field(at, fields[i].name, fields[i].value);
    ring->head = (ring->head + size) % ring->size;
    ring->used += size;
    ring->count++;
    return true;
}

bool log_ring_peek(struct log_ring *ring, struct log_entry *entry)
{
    if (ring->count == 0)
        return false;
    if (header_at(ring, ring->tail)->size == 0) {
        ring->used -= ring->size - ring->tail;
        ring->tail = 0;
    }
    const struct header *header = header_at(ring, ring->tail);
    const char *at = (const char *)(header + 1);
    entry->level = (enum log_level)header->level;
    entry->target = (enum log_target)header->target;
    entry->count = header->count;
    entry->text = at + sizeof(MESSAGE);
    for (size_t i = 0; i < entry->count; i++, at += strlen(at) + 1)
        entry->fields[i] = at;
    return true;
}

void log_ring_pop(struct log_ring *ring)
{
    size_t size = header_at(ring, ring->tail)->size;
    ring->tail = (ring->tail + size) % ring->size;
    ring->used -= size;
    ring->count--;
}

size_t log_ring_count(const struct log_ring *ring)
{
    return ring->count;
}

bool log_ring_is_half_full(const struct log_ring *ring)
{
    return ring->used > ring->size / 2;
}
