/*
 * Values of main.cf that are lists, taken apart as Postfix does: items are separated by commas
 * and white space, except within balanced braces (mystrtokq() of Postfix; "{ name, option=value }"
 * of postconf(5)). The text between and around items is left as it is. Pure: no I/O.
 */
#ifndef BDAT_CTL_VALUE_H
#define BDAT_CTL_VALUE_H

#include <stdbool.h>
#include <stddef.h>

/* A part of a text, from `begin` up to but without `end`. */
struct span {
    size_t begin, end;
};

/* The item of `value` at or behind `position`; false if there is none. */
bool value_next(const char *value, size_t position, struct span *item);

/* True if the item is "NAME" or "{ NAME, … }". A brace that is not closed reaches to the end. */
bool value_item_is(const char *value, struct span item, const char *name);

/* The name within an item: the item itself, or the first word in its braces. */
struct span value_item_name(const char *value, struct span item);

/* The value with `item` in front of the others, or behind them. The caller frees. */
char *value_add(const char *value, const char *item, bool in_front);

/* The value without that part and one separator beside it. The caller frees. */
char *value_remove(const char *value, struct span part);

/* The value without white space, as postconf -P wants it: items separated by commas alone, in
 * braces as well. NULL if that would change it, as in an inline table ("pcre:{ … }"). The caller
 * frees. */
char *value_compact(const char *value);

/* True if two values hold the same items in the same order. */
bool value_same_items(const char *one, const char *other);

/* The text in single quotes where a shell needs them. The caller frees. */
char *value_quote_for_shell(const char *text);

#endif
