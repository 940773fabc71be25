#include "server/seed.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/ledger.h"
#include "common/report.h"
#include "common/yaml_doc.h"
#include "server/offline_ledger.h"

struct seed_asset {
    struct asset_definition definition; /* slices of the document */
    int line;
};

struct seed_account {
    struct account_definition definition;
    int line;
};

struct seed {
    struct yaml_doc doc;
    struct seed_asset *assets;
    struct seed_account *accounts;
    size_t asset_count, account_count;
};

struct reading {
    struct seed *seed;
    char *error;
    size_t error_size;
};

static int fault(struct reading *r, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fault(struct reading *r, int line, const char *format, ...)
{
    va_list args;
    int n = snprintf(r->error, r->error_size, "%s:%d: ", r->seed->doc.path, line);
    va_start(args, format);
    if (n >= 0 && (size_t)n < r->error_size)
        vsnprintf(r->error + n, r->error_size - (size_t)n, format, args);
    va_end(args);
    return EINVAL;
}

static void *grown(void *items, size_t count, size_t size)
{
    items = realloc(items, (count + 1) * size);
    if (!items)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory while reading the seed file");
    return items;
}

/* --- pieces of entries --- */

static int check_keys(struct reading *r, yaml_node_t *mapping, const char *const *known, const char *what)
{
    if (mapping->type != YAML_MAPPING_NODE)
        return fault(r, yaml_node_line(mapping), "%s: expected a mapping", what);
    const yaml_node_t *unknown = yaml_doc_unknown_key(&r->seed->doc, mapping, known);
    if (unknown) {
        const char *text = yaml_node_text(unknown);
        return fault(r, yaml_node_line(unknown), "%s: unknown key '%s'", what, text ? text : "");
    }
    return 0;
}

static int get_text(struct reading *r, yaml_node_t *mapping, const char *key, const char *what, struct bytes *out)
{
    yaml_node_t *node = yaml_doc_get(&r->seed->doc, mapping, key);
    const char *text = node ? yaml_node_text(node) : NULL;
    if (!node)
        return fault(r, yaml_node_line(mapping), "%s: lacks '%s'", what, key);
    if (!text || text[strspn(text, " \t")] == '\0')
        return fault(r, yaml_node_line(node), "%s: '%s' must not be blank", what, key);
    *out = bytes_of_string(text);
    return 0;
}

/* An optional integer; plain digits with an optional minus. */
static int get_integer(struct reading *r, yaml_node_t *mapping, const char *key, const char *what, bool *present,
                       int64_t *out)
{
    yaml_node_t *node = yaml_doc_get(&r->seed->doc, mapping, key);
    *present = node && !yaml_node_is_null(node);
    if (!*present)
        return 0;
    const char *text = yaml_node_text(node);
    char *end = NULL;
    errno = 0;
    long long value = text ? strtoll(text, &end, 10) : 0;
    if (!text || end == text || *end || errno || text[0] == '+' || text[0] == ' ')
        return fault(r, yaml_node_line(node), "%s: '%s' must be a whole number", what, key);
    *out = value;
    return 0;
}

/* `class` is `fiat`, or a mapping { crypto: { network: ..., native_id: ... } }. */
static int get_class(struct reading *r, yaml_node_t *entry, const char *what, struct asset_definition *out)
{
    static const char *const class_keys[] = {"crypto", NULL}, *const crypto_keys[] = {"network", "native_id", NULL};
    yaml_node_t *node = yaml_doc_get(&r->seed->doc, entry, "class");
    const char *text = node ? yaml_node_text(node) : NULL;
    if (!node)
        return fault(r, yaml_node_line(entry), "%s: lacks 'class'", what);
    out->class = ASSET_CLASS_FIAT;
    if (text && strcmp(text, "fiat") == 0)
        return 0;
    out->class = ASSET_CLASS_CRYPTO;
    if (node->type != YAML_MAPPING_NODE)
        return fault(r, yaml_node_line(node), "%s: class must be fiat or { crypto: { network: ... } }", what);
    int error = check_keys(r, node, class_keys, what);
    yaml_node_t *crypto = error ? NULL : yaml_doc_get(&r->seed->doc, node, "crypto");
    if (!crypto)
        return error ? error : fault(r, yaml_node_line(node), "%s: class lacks 'crypto'", what);
    error = check_keys(r, crypto, crypto_keys, what);
    if (error == 0)
        error = get_text(r, crypto, "network", what, &out->network);
    out->has_network = true;
    yaml_node_t *native = yaml_doc_get(&r->seed->doc, crypto, "native_id");
    if (error == 0 && native && !yaml_node_is_null(native)) {
        out->has_native_id = true;
        error = get_text(r, crypto, "native_id", what, &out->native_id);
    }
    return error;
}

/* --- entries --- */

static const struct seed_asset *find_asset(const struct seed *s, struct bytes id)
{
    for (size_t i = 0; i < s->asset_count; i++)
        if (bytes_equal(s->assets[i].definition.id, id))
            return &s->assets[i];
    return NULL;
}

static int read_asset(struct reading *r, yaml_node_t *entry, size_t number)
{
    static const char *const keys[] = {"id", "class", "precision", "name", NULL};
    struct seed *s = r->seed;
    struct asset_definition asset = {0};
    bool has_precision;
    int64_t precision = 0;
    char what[96];
    snprintf(what, sizeof what, "asset %zu", number);
    int error = check_keys(r, entry, keys, what);
    if (error == 0)
        error = get_text(r, entry, "id", what, &asset.id);
    if (error == 0)
        snprintf(what, sizeof what, "asset %.60s", (const char *)asset.id.base);
    if (error == 0)
        error = get_text(r, entry, "name", what, &asset.name);
    if (error == 0)
        error = get_class(r, entry, what, &asset);
    if (error == 0)
        error = get_integer(r, entry, "precision", what, &has_precision, &precision);
    if (error)
        return error;
    if (!has_precision || precision < 0 || precision > UINT8_MAX)
        return fault(r, yaml_node_line(entry), "%s: precision must be a whole number from 0 to 255", what);
    asset.precision = (uint8_t)precision;
    const struct seed_asset *earlier = find_asset(s, asset.id);
    if (earlier)
        return fault(r, yaml_node_line(entry), "%s: given twice, first in line %d", what, earlier->line);
    s->assets = grown(s->assets, s->asset_count, sizeof *s->assets);
    s->assets[s->asset_count++] = (struct seed_asset){asset, yaml_node_line(entry)};
    return 0;
}

static int get_side(struct reading *r, yaml_node_t *entry, const char *what, enum normal_side *out)
{
    yaml_node_t *node = yaml_doc_get(&r->seed->doc, entry, "normal_side");
    const char *text = node ? yaml_node_text(node) : NULL;
    *out = NORMAL_SIDE_NONE;
    if (!node || yaml_node_is_null(node))
        return 0;
    if (text)
        *out = normal_side_of_word(bytes_of_string(text));
    if (*out == NORMAL_SIDE_NONE)
        return fault(r, yaml_node_line(node), "%s: normal_side must be debit or credit", what);
    return 0;
}

static int check_account(struct reading *r, const struct account_definition *account, const char *what, int line)
{
    const struct seed *s = r->seed;
    if (ledger_book_is_reserved(account->book))
        return fault(r, line, "%s: book names starting with '_' are reserved", what);
    for (size_t i = 0; i < s->account_count; i++)
        if (bytes_equal(s->accounts[i].definition.book, account->book) &&
            bytes_equal(s->accounts[i].definition.path, account->path))
            return fault(r, line, "%s: given twice, first in line %d", what, s->accounts[i].line);
    return 0;
}

static int read_account(struct reading *r, yaml_node_t *entry, size_t number)
{
    static const char *const keys[] = {"book", "path", "asset", "kind", "normal_side", "min_balance", NULL};
    struct seed *s = r->seed;
    struct account_definition account = {0};
    struct bytes kind = {0};
    char what[160];
    snprintf(what, sizeof what, "account %zu", number);
    int error = check_keys(r, entry, keys, what);
    if (error == 0)
        error = get_text(r, entry, "book", what, &account.book);
    if (error == 0)
        error = get_text(r, entry, "path", what, &account.path);
    if (error == 0)
        snprintf(what, sizeof what, "account %.60s:%.60s", (const char *)account.book.base,
                 (const char *)account.path.base);
    if (error == 0)
        error = get_text(r, entry, "asset", what, &account.asset);
    if (error == 0)
        error = get_text(r, entry, "kind", what, &kind);
    if (error == 0)
        error = get_side(r, entry, what, &account.normal_side);
    if (error == 0)
        error = get_integer(r, entry, "min_balance", what, &account.has_min_balance, &account.min_balance);
    if (error)
        return error;
    account.kind = account_kind_of_word(kind);
    if (!account.kind)
        return fault(r, yaml_node_line(entry), "%s: unknown account kind '%.40s'", what, (const char *)kind.base);
    error = check_account(r, &account, what, yaml_node_line(entry));
    if (error)
        return error;
    s->accounts = grown(s->accounts, s->account_count, sizeof *s->accounts);
    s->accounts[s->account_count++] = (struct seed_account){account, yaml_node_line(entry)};
    return 0;
}

static int read_list(struct reading *r, yaml_node_t *root, const char *key,
                     int (*read_entry)(struct reading *r, yaml_node_t *entry, size_t number))
{
    yaml_node_t *list = yaml_doc_get(&r->seed->doc, root, key);
    int error = 0;
    if (!list || yaml_node_is_null(list))
        return 0;
    if (list->type != YAML_SEQUENCE_NODE)
        return fault(r, yaml_node_line(list), "'%s' must be a list", key);
    size_t number = 1;
    for (yaml_node_item_t *i = list->data.sequence.items.start; error == 0 && i < list->data.sequence.items.top; i++)
        error = read_entry(r, yaml_doc_node(&r->seed->doc, *i), number++);
    return error;
}

static int read_document(struct reading *r)
{
    static const char *const keys[] = {"assets", "accounts", NULL};
    yaml_node_t *root = yaml_doc_root(&r->seed->doc);
    if (!root)
        return fault(r, 1, "the seed file is empty");
    int error = check_keys(r, root, keys, "seed");
    if (error == 0)
        error = read_list(r, root, "assets", read_asset);
    if (error == 0)
        error = read_list(r, root, "accounts", read_account);
    return error;
}

int seed_read(const char *path, struct seed **out, char *error, size_t error_size)
{
    struct seed *s = calloc(1, sizeof *s);
    if (!s)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    int failed = yaml_doc_open(path, &s->doc, error, error_size);
    if (failed) {
        free(s);
        *out = NULL;
        return failed;
    }
    struct reading r = {s, error, error_size};
    failed = read_document(&r);
    if (failed)
        seed_destroy(&s);
    *out = s;
    return failed;
}

void seed_destroy(struct seed **seed)
{
    struct seed *s = *seed;
    if (!s)
        return;
    yaml_doc_close(&s->doc);
    free(s->assets);
    free(s->accounts);
    free(s);
    *seed = NULL;
}

/* --- applying --- */

static int arbiter_died(struct reading *r)
{
    snprintf(r->error, r->error_size, "the ledger could not be written; see the line above");
    return EIO;
}

/* Before anything is written: every account's asset is in the file or registered. */
static int check_assets(struct reading *r, struct offline_ledger *ledger)
{
    const struct seed *s = r->seed;
    for (size_t i = 0; i < s->account_count; i++) {
        const struct account_definition *a = &s->accounts[i].definition;
        bool has = find_asset(s, a->asset) != NULL;
        if (!has && offline_ledger_has_asset(ledger, a->asset, &has) != 0)
            return arbiter_died(r);
        if (!has)
            return fault(r, s->accounts[i].line, "account %.60s:%.60s: asset '%.60s' is neither in this file nor registered",
                         (const char *)a->book.base, (const char *)a->path.base, (const char *)a->asset.base);
    }
    return 0;
}

static int apply_asset(struct reading *r, struct offline_ledger *ledger, const struct seed_asset *asset,
                       struct seed_figures *figures)
{
    struct verdict verdict;
    bool present;
    if (offline_ledger_has_asset(ledger, asset->definition.id, &present) != 0 ||
        offline_ledger_register_asset(ledger, &asset->definition, &verdict) != 0)
        return arbiter_died(r);
    if (verdict.code != VERDICT_DONE)
        return fault(r, asset->line, "asset %.60s: is registered with another definition",
                     (const char *)asset->definition.id.base);
    if (present)
        figures->assets_present++;
    else
        figures->assets_created++;
    return 0;
}

static int apply_account(struct reading *r, struct offline_ledger *ledger, const struct seed_account *account,
                         struct seed_figures *figures)
{
    struct verdict verdict;
    if (offline_ledger_open_account(ledger, &account->definition, &verdict) != 0)
        return arbiter_died(r);
    if (verdict.code != VERDICT_DONE)
        return fault(r, account->line, "account %.60s:%.60s: is open with another definition",
                     (const char *)account->definition.book.base, (const char *)account->definition.path.base);
    figures->accounts_ensured++;
    return 0;
}

int seed_apply(const struct seed *seed, struct offline_ledger *ledger, struct seed_figures *figures, char *error,
               size_t error_size)
{
    struct reading r = {(struct seed *)seed, error, error_size};
    *figures = (struct seed_figures){0};
    int failed = check_assets(&r, ledger);
    for (size_t i = 0; failed == 0 && i < seed->asset_count; i++)
        failed = apply_asset(&r, ledger, &seed->assets[i], figures);
    for (size_t i = 0; failed == 0 && i < seed->account_count; i++)
        failed = apply_account(&r, ledger, &seed->accounts[i], figures);
    return failed;
}
