/*
 * Tables of aligned columns, as wide as their widest cell in display columns.
 */
#ifndef BDAT_CTL_TABLE_H
#define BDAT_CTL_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "ctl/style.h"

struct table;

/* A column: its title (static storage) and where its text stands. */
struct column {
    const char *title;
    bool right_aligned;
};

/* An empty table of `count` columns; `columns` must outlive it. */
struct table *table_new(const struct column *columns, size_t count);

/* Ends the table and nulls the pointer; NULL is fine. */
void table_free(struct table **table);

/* Adds the next cell, row by row; `text` is copied and made harmless, empty text becomes "-". */
void table_add(struct table *table, enum tone tone, const char *text);

/* The same from a format. */
void table_addf(struct table *table, enum tone tone, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Number of full rows. */
size_t table_rows(const struct table *table);

/* Writes titles and rows. No spaces at a line's end. */
void table_print(const struct table *table, FILE *out, bool colour);

#endif
