/*
 * A set of networks with a value each, searched by longest prefix: a path-compressed radix tree.
 *
 * IPv4 networks are kept in their mapped form, so one tree holds both families; ::/0 covers IPv4
 * too, 0.0.0.0/0 (that is ::ffff:0:0/96) covers IPv4 only. A lookup takes at most one step for
 * each prefix length that is present on the way (129 at the most), whatever the tree's size.
 * Pure: no I/O. A tree that is no longer changed may be read by any number of threads.
 */
#ifndef BDAT_NETWORK_TREE_H
#define BDAT_NETWORK_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "milter/network.h"

struct network_tree;

/* An empty tree; NULL when memory is short. */
struct network_tree *network_tree_new(void);

/* Frees it and nulls the pointer; NULL is fine. */
void network_tree_free(struct network_tree **tree);

enum network_tree_insertion {
    NETWORK_TREE_INSERTED,
    NETWORK_TREE_PRESENT, /* the network was there; its value stays */
    NETWORK_TREE_NO_MEMORY
};

/* Adds a network. If it is there already, *present (unless NULL) gets the value it has. */
enum network_tree_insertion network_tree_insert(struct network_tree *tree,
                                                const struct network *network, size_t value,
                                                size_t *present)
    __attribute__((warn_unused_result));

/* The number of networks. */
size_t network_tree_count(const struct network_tree *tree);

/* One network that contains an address. */
struct network_match {
    struct network network;
    size_t value;
};

/* The longest network that contains the address; false if none does. */
bool network_tree_find(const struct network_tree *tree, const struct address *address,
                       struct network_match *match);

/* Gets one match; false ends the visit. */
typedef bool network_visitor(void *context, const struct network_match *match);

/* Visits all networks that contain the address, the longest prefix first. Returns how many
 * were visited. */
size_t network_tree_visit(const struct network_tree *tree, const struct address *address,
                          network_visitor *visit, void *context);

#endif
