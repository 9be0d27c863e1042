#include "milter/settings_twice.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Groups within groups; libconfig's own parser gives up not much later. */
#define DEPTH_MAX 64

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz*"
#define NAME_OCTETS LETTERS "0123456789_-"
#define BLANKS " \t\r\n\f"

/* A key that was seen. */
struct key {
    const char *name;
    size_t length;
    size_t group; /* the number of its group, 0 = the root */
    unsigned line;
};

struct scan {
    const char *at;
    unsigned line;
    struct key *keys;
    size_t key_count;
    size_t key_room;
    size_t groups;               /* numbers given so far */
    size_t path[DEPTH_MAX];      /* the groups that are open */
    struct key names[DEPTH_MAX]; /* the key before each of them */
    size_t depth;
    struct key latest; /* the last key, which names the group that may follow */
};

static void skip(struct scan *scan, size_t octets)
{
    for (; octets > 0; octets--)
        scan->line += *scan->at++ == '\n';
}

/* Behind the string that begins here. */
static void skip_string(struct scan *scan)
{
    skip(scan, 1);
    while (*scan->at != '\0' && *scan->at != '"')
        skip(scan, *scan->at == '\\' && scan->at[1] != '\0' ? 2 : 1);
    skip(scan, *scan->at == '"');
}

static bool open_group(struct scan *scan)
{
    if (scan->depth + 1 == DEPTH_MAX)
        return false;
    scan->names[++scan->depth] = scan->latest;
    scan->path[scan->depth] = ++scan->groups;
    scan->latest.length = 0;
    return true;
}

static const struct key *find_key(const struct scan *scan, const struct key *key)
{
    for (size_t i = 0; i < scan->key_count; i++)
        if (scan->keys[i].group == key->group && scan->keys[i].length == key->length &&
            memcmp(scan->keys[i].name, key->name, key->length) == 0)
            return &scan->keys[i];
    return NULL;
}

static bool add_key(struct scan *scan, const struct key *key)
{
    if (scan->key_count == scan->key_room) {
        size_t room = scan->key_room * 2 + 64;
        struct key *keys = realloc(scan->keys, room * sizeof(*keys));
        if (keys == NULL)
            return false;
        scan->keys = keys;
        scan->key_room = room;
    }
    scan->keys[scan->key_count++] = *key;
    return true;
}

static void add_part(struct settings_twice *found, const struct key *part)
{
    size_t used = strlen(found->key);
    if (part->length > 0)
        snprintf(found->key + used, sizeof(found->key) - used, "%s%.*s", used > 0 ? "." : "",
                 (int)part->length, part->name);
}

static void describe(const struct scan *scan, const struct key *first, const struct key *key,
                     struct settings_twice *found)
{
    found->key[0] = '\0';
    for (size_t i = 1; i <= scan->depth; i++)
        add_part(found, &scan->names[i]);
    add_part(found, key);
    found->first_line = first->line;
    found->line = key->line;
}

/* Takes the word that begins here. True if the scan is over. */
static bool take_word(struct scan *scan, struct settings_twice *found, bool *twice)
{
    struct key key = {scan->at, strspn(scan->at, NAME_OCTETS), scan->path[scan->depth], scan->line};
    skip(scan, key.length);
    skip(scan, strspn(scan->at, BLANKS));
    if (*scan->at != '=' && *scan->at != ':')
        return false;
    scan->latest = key;
    const struct key *first = find_key(scan, &key);
    *twice = first != NULL;
    if (first != NULL)
        describe(scan, first, &key, found);
    return first != NULL || !add_key(scan, &key);
}

bool settings_find_twice(const char *text, struct settings_twice *found)
{
    struct scan scan = {.at = text, .line = 1};
    bool over = false, twice = false;
    while (!over && *scan.at != '\0') {
        if (strchr(LETTERS, *scan.at) != NULL) {
            over = take_word(&scan, found, &twice);
        } else if (*scan.at == '"') {
            skip_string(&scan);
        } else if (*scan.at == '{') {
            over = !open_group(&scan);
            skip(&scan, 1);
        } else {
            if (*scan.at == '}' && scan.depth > 0)
                scan.latest = scan.names[scan.depth--]; /* of a list: its next element's, too */
            skip(&scan, 1);
        }
    }
    free(scan.keys);
    return twice;
}
