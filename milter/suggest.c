#include "milter/suggest.h"

#include <stddef.h>
#include <string.h>

static char folded(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c == '-' ? '_' : c;
}

static size_t fold(const char *word, char *text)
{
    size_t length = 0;

    for (; length < SUGGEST_WORD_MAX && word[length] != '\0'; length++)
        text[length] = folded(word[length]);
    return length;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned suggest_distance(const char *a, const char *b)
{
    char x[SUGGEST_WORD_MAX], y[SUGGEST_WORD_MAX];
    size_t x_length = fold(a, x), y_length = fold(b, y);
    unsigned rows[3][SUGGEST_WORD_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= y_length; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= x_length; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= y_length; j++) {
            unsigned changed = above[j - 1] + (x[i - 1] != y[j - 1]);
            row[j] = least(changed, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[y_length];
}

void suggestion_consider(struct suggestion *suggestion, const char *known)
{
    unsigned distance = suggest_distance(suggestion->wanted, known);

    if (suggestion->best != NULL && suggestion->distance <= distance)
        return;
    suggestion->best = known;
    suggestion->distance = distance;
}

const char *suggestion_nearest(const struct suggestion *suggestion)
{
    size_t letters = strlen(suggestion->wanted);
    size_t bearable = letters < 2 ? 1 : (letters + 1) / 3;

    if (suggestion->best == NULL || suggestion->distance > bearable)
        return NULL;
    return suggestion->best;
}
