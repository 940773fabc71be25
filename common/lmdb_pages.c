#include "common/lmdb_pages.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/exit_status.h"
#include "common/little_endian.h"
#include "common/report.h"

#define DEPTH_MAX 16   /* of a tree; LMDB's own bound is 32, which no file reaches */
#define PAGES_MAX 4096 /* looked at: damaged pages can point in circles */

#define PAGE_FLAGS 10
#define PAGE_LOWER 12 /* end of the nodes' offsets, 2 bytes each, which begin behind the header */
#define PAGE_HEADER 16
#define PAGE_BRANCH 1u
#define PAGE_LEAF 2u

#define META_MAGIC 16
#define META_MAGIC_VALUE 0xbeefc0deu
#define META_PAGE_SIZE 40
#define META_FREE_ROOT 80
#define META_MAIN_ROOT 128
#define META_TRANSACTION 144
#define META_END 152
#define PAGE_SIZE_MAX 65536 /* of any machine that Debian runs on */

#define NODE_FLAGS 4
#define NODE_KEY_SIZE 6
#define NODE_HEADER 8
#define NODE_IS_LONG 1u /* its data is the number of the first of some pages, which follow each other */
#define NODE_IS_TABLE 2u
#define TABLE_ROOT 40
#define TABLE_BYTES 48
#define LONG_PAGES 12 /* how many, in the header of the first */
#define NO_PAGE UINT64_MAX /* the root of an empty tree */

enum part { WHOLE_TREE, LAST_EDGE, TABLE_OF_TABLES };

struct walk {
    int fd;
    size_t page_size;
    uint8_t *pages; /* one for each level */
    unsigned pages_left;
    uint32_t crc;
};

static int read_page(struct walk *w, uint64_t number, uint8_t *page)
{
    if (w->pages_left == 0 || number > (uint64_t)INT64_MAX / w->page_size)
        return EBADMSG;
    w->pages_left--;
    ssize_t n = pread(w->fd, page, w->page_size, (off_t)(number * w->page_size));
    if (n != (ssize_t)w->page_size)
        return n < 0 ? errno : EBADMSG;
    w->crc = crc32c(w->crc, page, w->page_size);
    return 0;
}

/* The n-th node with room for `bytes` behind its header; NULL: there is none. */
static const uint8_t *node_at(const struct walk *w, const uint8_t *page, size_t n, size_t bytes)
{
    size_t offset = get_u16(page + PAGE_HEADER + 2 * n);
    return offset >= PAGE_HEADER && offset + NODE_HEADER + bytes <= w->page_size ? page + offset : NULL;
}

static int walk_tree(struct walk *w, uint64_t number, enum part part, unsigned depth);

static int walk_child(struct walk *w, const uint8_t *page, size_t n, enum part part, unsigned depth)
{
    const uint8_t *node = node_at(w, page, n, 0);
    if (!node)
        return EBADMSG;
    return walk_tree(w, get_u32(node) | (uint64_t)get_u16(node + NODE_FLAGS) << 32, part, depth + 1);
}

static int walk_table(struct walk *w, const uint8_t *node, unsigned depth)
{
    size_t key_size = get_u16(node + NODE_KEY_SIZE);
    return walk_tree(w, get_u64(node + NODE_HEADER + key_size + TABLE_ROOT), LAST_EDGE, depth + 1);
}

static int walk_long(struct walk *w, const uint8_t *node, unsigned depth)
{
    uint64_t first = get_u64(node + NODE_HEADER + get_u16(node + NODE_KEY_SIZE));
    uint8_t *page = w->pages + (depth + 1) * w->page_size;
    int error = read_page(w, first, page);
    for (uint32_t n = 1, count = error ? 0 : get_u32(page + LONG_PAGES); error == 0 && n < count; n++)
        error = read_page(w, first + n, page);
    return error;
}

static int walk_leaf(struct walk *w, const uint8_t *page, size_t n, enum part part, unsigned depth)
{
    const uint8_t *node = part == LAST_EDGE ? NULL : node_at(w, page, n, 0);
    if (!node)
        return part == LAST_EDGE ? 0 : EBADMSG;
    unsigned flags = get_u16(node + NODE_FLAGS);
    bool is_table = part == TABLE_OF_TABLES && flags & NODE_IS_TABLE;
    bool is_long = part == WHOLE_TREE && flags & NODE_IS_LONG;
    if (!is_table && !is_long)
        return 0;
    node = node_at(w, page, n, get_u16(node + NODE_KEY_SIZE) + (is_table ? TABLE_BYTES : sizeof(uint64_t)));
    return !node ? EBADMSG : is_table ? walk_table(w, node, depth) : walk_long(w, node, depth);
}

static int walk_tree(struct walk *w, uint64_t number, enum part part, unsigned depth)
{
    if (number == NO_PAGE)
        return 0;
    if (depth >= DEPTH_MAX - 1)
        return EBADMSG;
    uint8_t *page = w->pages + depth * w->page_size;
    int error = read_page(w, number, page);
    if (error)
        return error;
    unsigned flags = get_u16(page + PAGE_FLAGS);
    size_t lower = get_u16(page + PAGE_LOWER);
    if (!(flags & (PAGE_BRANCH | PAGE_LEAF)) || lower < PAGE_HEADER || lower > w->page_size)
        return EBADMSG;
    size_t count = (lower - PAGE_HEADER) / 2;
    for (size_t n = part == LAST_EDGE && count ? count - 1 : 0; error == 0 && n < count; n++)
        error = flags & PAGE_BRANCH ? walk_child(w, page, n, part, depth) : walk_leaf(w, page, n, part, depth);
    return error;
}

/* LMDB takes the later of two, which commits write in turns. */
static int newest_commit(int fd, size_t *page_size, uint64_t *transaction)
{
    uint8_t meta[META_END];
    *transaction = *page_size = 0;
    for (int n = 0; n < 2; n++) {
        if (pread(fd, meta, sizeof meta, (off_t)(n * *page_size)) != (ssize_t)sizeof meta ||
            get_u32(meta + META_MAGIC) != META_MAGIC_VALUE)
            return EBADMSG;
        if (n == 0)
            *page_size = get_u32(meta + META_PAGE_SIZE);
        if (*page_size < META_END || *page_size > PAGE_SIZE_MAX)
            return EBADMSG;
        if (get_u64(meta + META_TRANSACTION) > *transaction)
            *transaction = get_u64(meta + META_TRANSACTION);
    }
    return 0;
}

static int walk_commit(struct walk *w, uint64_t transaction)
{
    int error = read_page(w, transaction & 1, w->pages);
    if (error)
        return error;
    uint64_t free_root = get_u64(w->pages + META_FREE_ROOT), main_root = get_u64(w->pages + META_MAIN_ROOT);
    error = walk_tree(w, free_root, WHOLE_TREE, 0);
    return error ? error : walk_tree(w, main_root, TABLE_OF_TABLES, 0);
}

int lmdb_pages_crc(int fd, uint64_t *transaction, uint32_t *crc)
{
    struct walk w = {.fd = fd, .pages_left = PAGES_MAX};
    uint64_t afterwards;
    int error = newest_commit(fd, &w.page_size, transaction);
    if (error)
        return error;
    w.pages = malloc(DEPTH_MAX * w.page_size);
    if (!w.pages)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    int walked = walk_commit(&w, *transaction);
    free(w.pages);
    *crc = w.crc;
    error = newest_commit(fd, &w.page_size, &afterwards);
    return error ? error : afterwards != *transaction ? ESTALE : walked;
}
