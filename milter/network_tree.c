#include "milter/network_tree.h"

#include <stdint.h>
#include <stdlib.h>

#define ADDRESS_BITS 128

/* Each node's network lies within its parent's; which child is taken is decided by the bit
 * behind the node's prefix. A node without a value exists only to fork: it has two children. */
struct node {
    struct network network;
    bool has_value;
    size_t value;
    struct node *children[2];
};

struct network_tree {
    struct node *root;
    size_t count;
};

static unsigned bit_at(const struct address *address, unsigned bit)
{
    return address->octets[bit / 8] >> (7 - bit % 8) & 1;
}

/* The number of leading bits that both have in common, `most` at the most. */
static unsigned common_bits(const struct address *a, const struct address *b, unsigned most)
{
    for (unsigned i = 0; i * 8 < most; i++) {
        unsigned difference = a->octets[i] ^ b->octets[i];

        if (difference != 0) {
            unsigned bits = i * 8 + (unsigned)__builtin_clz(difference) - 24;
            return bits < most ? bits : most;
        }
    }
    return most;
}

static struct node *node_new(const struct network *network)
{
    struct node *node = calloc(1, sizeof(*node));

    if (node != NULL)
        node->network = *network;
    return node;
}

static void node_free(struct node *node)
{
    if (node == NULL)
        return;
    node_free(node->children[0]);
    node_free(node->children[1]);
    free(node);
}

/* A fork for two networks that part at bit `bits`, neither within the other. */
static struct node *fork_new(const struct network *network, unsigned bits)
{
    struct node *node = node_new(network);

    if (node == NULL)
        return NULL;
    node->network.prefix = (uint8_t)bits;
    for (unsigned i = 0; i < sizeof(network->address.octets); i++) {
        unsigned kept = bits > i * 8 ? bits - i * 8 : 0;
        if (kept < 8)
            node->network.address.octets[i] &= (uint8_t)(0xff00 >> kept);
    }
    return node;
}

struct network_tree *network_tree_new(void)
{
    return calloc(1, sizeof(struct network_tree));
}

void network_tree_free(struct network_tree **tree)
{
    if (*tree == NULL)
        return;
    node_free((*tree)->root);
    free(*tree);
    *tree = NULL;
}

/* Puts a new node at *place, above what is there, with a fork where they part. */
static bool split(struct node **place, struct node *added, unsigned bits)
{
    struct node *below = *place, *top = added;

    if (bits < added->network.prefix) {
        top = fork_new(&added->network, bits);
        if (top == NULL)
            return false;
        top->children[bit_at(&added->network.address, bits)] = added;
    }
    top->children[bit_at(&below->network.address, bits)] = below;
    *place = top;
    return true;
}

/* Descends to where the network belongs: at a node whose network is the same, at an empty
 * place, or at a node that is no parent of it. *bits = what it has in common with the node. */
static struct node **find_place(struct network_tree *tree, const struct network *network,
                                unsigned *bits)
{
    struct node **place = &tree->root;

    *bits = 0;
    while (*place != NULL) {
        const struct network *there = &(*place)->network;
        unsigned most = there->prefix < network->prefix ? there->prefix : network->prefix;

        *bits = common_bits(&there->address, &network->address, most);
        if (*bits < there->prefix || there->prefix == network->prefix)
            break;
        place = &(*place)->children[bit_at(&network->address, there->prefix)];
    }
    return place;
}

enum network_tree_insertion network_tree_insert(struct network_tree *tree,
                                                const struct network *network, size_t value,
                                                size_t *present)
{
    unsigned bits;
    struct node **place = find_place(tree, network, &bits);
    struct node *node = *place;

    if (node == NULL || bits < node->network.prefix) {
        struct node *added = node_new(network);

        if (added == NULL)
            return NETWORK_TREE_NO_MEMORY;
        if (node == NULL) {
            *place = added;
        } else if (!split(place, added, bits)) {
            free(added);
            return NETWORK_TREE_NO_MEMORY;
        }
        node = added;
    } else if (node->has_value) {
        if (present != NULL)
            *present = node->value;
        return NETWORK_TREE_PRESENT;
    }
    node->has_value = true;
    node->value = value;
    tree->count++;
    return NETWORK_TREE_INSERTED;
}

size_t network_tree_count(const struct network_tree *tree)
{
    return tree->count;
}

/* Collects the nodes with a value that contain the address, shortest first. */
static size_t collect(const struct network_tree *tree, const struct address *address,
                      const struct node *path[ADDRESS_BITS + 1])
{
    const struct node *node = tree->root;
    size_t count = 0;

    while (node != NULL) {
        unsigned prefix = node->network.prefix;

        if (common_bits(&node->network.address, address, prefix) < prefix)
            break;
        if (node->has_value)
            path[count++] = node;
        node = prefix < ADDRESS_BITS ? node->children[bit_at(address, prefix)] : NULL;
    }
    return count;
}

size_t network_tree_visit(const struct network_tree *tree, const struct address *address,
                          network_visitor *visit, void *context)
{
    const struct node *path[ADDRESS_BITS + 1];
    size_t count = collect(tree, address, path), visited = 0;

    while (count > 0) {
        const struct node *node = path[--count];
        struct network_match match = {.network = node->network, .value = node->value};

        visited++;
        if (!visit(context, &match))
            break;
    }
    return visited;
}

/* The visitor of network_tree_find(): the first match is the longest. */
static bool take_first(void *context, const struct network_match *match)
{
    *(struct network_match *)context = *match;
    return false;
}

bool network_tree_find(const struct network_tree *tree, const struct address *address,
                       struct network_match *match)
{
    return network_tree_visit(tree, address, take_first, match) > 0;
}
