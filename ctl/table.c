#include "config.h"

#include "ctl/table.h"

#include <stdarg.h>
#include <stdlib.h>

#include "ctl/text.h"

#define GAP "  "

struct cell {
    char *text;
    enum tone tone;
};

struct table {
    const struct column *columns;
    size_t column_count;
    struct cell *cells; /* row by row */
    size_t cell_count, cell_room;
};

struct table *table_new(const struct column *columns, size_t count)
{
    struct table *table = text_resize(NULL, 1, sizeof(*table));
    *table = (struct table){.columns = columns, .column_count = count};
    return table;
}

void table_free(struct table **table)
{
    if (*table == NULL)
        return;
    for (size_t i = 0; i < (*table)->cell_count; i++)
        free((*table)->cells[i].text);
    free((*table)->cells);
    free(*table);
    *table = NULL;
}

void table_add(struct table *table, enum tone tone, const char *text)
{
    if (table->cell_count == table->cell_room) {
        table->cell_room = table->cell_room * 2 + 64;
        table->cells = text_resize(table->cells, table->cell_room, sizeof(*table->cells));
    }
    table->cells[table->cell_count++] = (struct cell){
        .text = text_safe(text == NULL || *text == '\0' ? "-" : text, false), .tone = tone};
}

void table_addf(struct table *table, enum tone tone, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = text_vformat(format, arguments);
    va_end(arguments);
    table_add(table, tone, text);
    free(text);
}

size_t table_rows(const struct table *table)
{
    return table->column_count == 0 ? 0 : table->cell_count / table->column_count;
}

static size_t column_width(const struct table *table, size_t column)
{
    size_t widest = text_width(table->columns[column].title);
    for (size_t i = column; i < table->cell_count; i += table->column_count) {
        size_t width = text_width(table->cells[i].text);
        if (width > widest)
            widest = width;
    }
    return widest;
}

/* The last column is not padded on its right, so that no line ends in spaces. */
static void print_cell(const struct table *table, FILE *out, size_t column, size_t width,
                       const char *text, enum tone tone, bool colour)
{
    bool last = column + 1 == table->column_count;
    bool right = table->columns[column].right_aligned;
    fputs(column == 0 ? "" : GAP, out);
    fputs(style_begin(colour, tone), out);
    text_pad(out, text, last && !right ? 0 : width, right);
    fputs(style_end(colour, tone), out);
    fputs(last ? "\n" : "", out);
}

void table_print(const struct table *table, FILE *out, bool colour)
{
    size_t *widths = text_resize(NULL, table->column_count, sizeof(*widths));
    for (size_t i = 0; i < table->column_count; i++) {
        widths[i] = column_width(table, i);
        print_cell(table, out, i, widths[i], table->columns[i].title, TONE_BOLD, colour);
    }
    for (size_t i = 0; i < table_rows(table) * table->column_count; i++) {
        size_t column = i % table->column_count;
        print_cell(table, out, column, widths[column], table->cells[i].text, table->cells[i].tone,
                   colour);
    }
    free(widths);
}
