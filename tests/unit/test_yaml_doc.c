/* YAML files: what is accepted, and that hostile ones are refused with file and line. */
#include "common/yaml_doc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/scratch_dir.h"

static char error[512];

static struct yaml_doc open_text(const char *text)
{
    struct yaml_doc doc;
    scratch_dir_write("f.yaml", text, strlen(text));
    if (yaml_doc_open("f.yaml", &doc, error, sizeof error) != 0)
        fail_msg("refused: %s", error);
    return doc;
}

static void assert_refused_bytes(const void *bytes, size_t length, const char *begin_of_message)
{
    struct yaml_doc doc;
    scratch_dir_write("f.yaml", bytes, length);
    error[0] = '\0';
    if (yaml_doc_open("f.yaml", &doc, error, sizeof error) != EINVAL)
        fail_msg("not refused, want: %s", begin_of_message);
    if (strncmp(error, begin_of_message, strlen(begin_of_message)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", error, begin_of_message);
    assert_null(strchr(error, '\n'));
    assert_null(strstr(error, "s3cret"));
}

static void assert_refused(const char *text, const char *begin_of_message)
{
    assert_refused_bytes(text, strlen(text), begin_of_message);
}

/* Scalar text at a key of the root, or NULL. */
static const char *text_at(struct yaml_doc *doc, const char *key)
{
    return yaml_node_text(yaml_doc_get(doc, yaml_doc_root(doc), key));
}

static void mapping_is_walked_by_key(void **state)
{
    (void)state;
    struct yaml_doc doc = open_text("a: 1\nb: \"two words\"\nc: { d: [x, y] }\n'e f': g\n");
    assert_string_equal(doc.path, "f.yaml");
    assert_string_equal(text_at(&doc, "a"), "1");
    assert_string_equal(text_at(&doc, "b"), "two words");
    assert_string_equal(text_at(&doc, "e f"), "g");
    assert_null(yaml_doc_get(&doc, yaml_doc_root(&doc), "A"));
    assert_null(yaml_doc_get(&doc, yaml_doc_root(&doc), ""));
    yaml_node_t *list = yaml_doc_get(&doc, yaml_doc_get(&doc, yaml_doc_root(&doc), "c"), "d");
    assert_int_equal(list->type, YAML_SEQUENCE_NODE);
    assert_string_equal(yaml_node_text(yaml_doc_node(&doc, list->data.sequence.items.start[1])), "y");
    yaml_doc_close(&doc);
    assert_null(doc.path);
}

static void get_of_what_is_no_mapping_is_null(void **state)
{
    (void)state;
    struct yaml_doc doc = open_text("a: [b]\n");
    yaml_node_t *list = yaml_doc_get(&doc, yaml_doc_root(&doc), "a");
    assert_null(yaml_doc_get(&doc, list, "b"));
    assert_null(yaml_doc_get(&doc, NULL, "b"));
    assert_null(yaml_node_text(list));
    assert_null(yaml_node_text(NULL));
    yaml_doc_close(&doc);
}

static void lines_are_counted_from_one(void **state)
{
    (void)state;
    struct yaml_doc doc = open_text("# comment\na: 1\n\nb:\n  c: 2\n");
    yaml_node_t *root = yaml_doc_root(&doc);
    assert_int_equal(yaml_node_line(root), 2);
    assert_int_equal(yaml_node_line(yaml_doc_get(&doc, root, "a")), 2);
    assert_int_equal(yaml_node_line(yaml_doc_get(&doc, root, "b")), 5);
    yaml_doc_close(&doc);
}

static void empty_documents_have_no_root(void **state)
{
    (void)state;
    static const char *const texts[] = {"",    "\n\n", "# only a comment\n", "---\n", "---\n...\n",
                                        "~\n", "null"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct yaml_doc doc = open_text(texts[i]);
        assert_null(yaml_doc_root(&doc));
        yaml_doc_close(&doc);
    }
}

static void null_is_plain_and_spelled_as_the_core_schema_does(void **state)
{
    (void)state;
    struct yaml_doc doc =
        open_text("a:\nb: ~\nc: null\nd: NULL\ne: Null\nf: ''\ng: 'null'\nh: nULL\ni: \"~\"\nj: [x]\n");
    yaml_node_t *root = yaml_doc_root(&doc);
    static const char nulls[] = "abcde", others[] = "fghij";
    for (int i = 0; i < 5; i++) {
        char yes[] = {nulls[i], '\0'}, no[] = {others[i], '\0'};
        assert_true(yaml_node_is_null(yaml_doc_get(&doc, root, yes)));
        assert_false(yaml_node_is_null(yaml_doc_get(&doc, root, no)));
    }
    assert_false(yaml_node_is_null(NULL));
    yaml_doc_close(&doc);
}

static void scalar_with_a_nul_has_no_text(void **state)
{
    (void)state;
    struct yaml_doc doc = open_text("a: \"x\\0y\"\nb: \"\\0\"\n");
    assert_null(text_at(&doc, "a"));
    assert_null(text_at(&doc, "b"));
    assert_false(yaml_node_is_null(yaml_doc_get(&doc, yaml_doc_root(&doc), "b")));
    yaml_doc_close(&doc);
}

static void missing_file_is_enoent(void **state)
{
    (void)state;
    struct yaml_doc doc;
    error[0] = '\0';
    assert_int_equal(yaml_doc_open("none.yaml", &doc, error, sizeof error), ENOENT);
    assert_string_equal(error, "");
    assert_int_equal(yaml_doc_open("no/such/dir.yaml", &doc, error, sizeof error), ENOENT);
    assert_int_equal(yaml_doc_open("", &doc, error, sizeof error), ENOENT);
}

static void directory_is_refused(void **state)
{
    (void)state;
    struct yaml_doc doc;
    assert_int_equal(yaml_doc_open(".", &doc, error, sizeof error), EINVAL);
    assert_string_equal(error, ".: cannot be read: Is a directory");
}

static void toml_file_is_refused_with_the_way_out(void **state)
{
    (void)state;
    struct yaml_doc doc;
    scratch_dir_write("talea.seed.toml", "a = 1\n", 6);
    static const char *const names[] = {"talea.seed.toml", "talea.seed.yaml", "talea.seed.yml", "talea.seed"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        error[0] = '\0';
        assert_int_equal(yaml_doc_open(names[i], &doc, error, sizeof error), EINVAL);
        assert_non_null(strstr(error, "contrib/toml-to-yaml talea.seed.toml"));
    }
    unlink("talea.seed.toml");
    assert_int_equal(yaml_doc_open("talea.seed.yaml", &doc, error, sizeof error), ENOENT);
}

static void toml_beside_a_yaml_file_does_not_matter(void **state)
{
    (void)state;
    scratch_dir_write("f.toml", "a = 1\n", 6);
    struct yaml_doc doc = open_text("a: 1\n");
    yaml_doc_close(&doc);
    unlink("f.toml");
}

static void duplicate_keys_are_refused_at_any_depth(void **state)
{
    (void)state;
    assert_refused("a: 1\nb: 2\na: s3cret\n", "f.yaml:3: key \"a\" is given twice, first in line 1");
    assert_refused("a: {b: 1, b: 2}\n", "f.yaml:1: key \"b\" is given twice, first in line 1");
    assert_refused("- x: 1\n- y: 1\n  z: [{q: 1},\n   {r: 1, 'r': 2}]\n",
                   "f.yaml:4: key \"r\" is given twice");
    assert_refused("\"\": 1\n'': 2\n", "f.yaml:2: key \"\" is given twice");
    assert_refused("token s3cret: 1\ntoken s3cret: 2\n", "f.yaml:2: key \"token...\" is given twice");
    assert_refused("\"a\\nb\": 1\n\"a\\nb\": 2\n", "f.yaml:2: key \"a...\" is given twice");
}

static void same_key_in_different_mappings_is_fine(void **state)
{
    (void)state;
    struct yaml_doc doc = open_text("a: {x: 1}\nb: {x: 1}\nx: 1\n\"x\\0\": 1\n\"x\\0y\": 1\n");
    yaml_doc_close(&doc);
}

static void keys_that_are_no_scalars_are_refused(void **state)
{
    (void)state;
    assert_refused("? [a, b]\n: c\n", "f.yaml:1: a key must be a plain name");
    assert_refused("a: 1\n? {b: c}\n: d\n", "f.yaml:2: a key must be a plain name");
}

static void anchors_and_aliases_are_refused(void **state)
{
    (void)state;
    assert_refused("a: &x 1\n", "f.yaml:1: anchors are not allowed");
    assert_refused("a: 1\nb: &x [1]\n", "f.yaml:2: anchors are not allowed");
    assert_refused("&x a: 1\n", "f.yaml:1: anchors are not allowed");
    assert_refused("a: &x {b: *x}\n", "f.yaml:1: anchors are not allowed");
    assert_refused("a: *x\n", "f.yaml:1: aliases are not allowed");
    assert_refused("<<: *x\n", "f.yaml:1: aliases are not allowed");
}

static void billion_laughs_are_refused_at_the_first(void **state)
{
    (void)state;
    char text[4096] = "a0: &a0 [lol, lol]\n";
    for (int i = 1; i < 40; i++)
        snprintf(text + strlen(text), 64, "a%d: &a%d [*a%d, *a%d]\n", i, i, i - 1, i - 1);
    assert_refused(text, "f.yaml:1: anchors are not allowed");
}

static void second_document_is_refused(void **state)
{
    (void)state;
    assert_refused("a: 1\n---\nb: 2\n", "f.yaml:2: a second document begins");
    assert_refused("---\n---\n", "f.yaml:2: a second document begins");
    assert_refused("a: 1\n...\n---\nb: 2\n", "f.yaml:3: a second document begins");
    assert_refused("a: 1\n...\nb: s3cret\n", "f.yaml:3: ");
    struct yaml_doc doc = open_text("---\na: 1\n...\n");
    assert_string_equal(text_at(&doc, "a"), "1");
    yaml_doc_close(&doc);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    struct yaml_doc doc = open_text("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"); /* 16 */
    yaml_doc_close(&doc);
    assert_refused("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "f.yaml:1: is nested too deep");
    assert_refused("{a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: 1}}}}}}}}}}}}}}}}}",
                   "f.yaml:1: is nested too deep");
    assert_refused("- - - - - - - - - - - - - - - - - x\n", "f.yaml:1: is nested too deep");
}

static void siblings_do_not_count_as_depth(void **state)
{
    (void)state;
    char text[2048] = "";
    for (int i = 0; i < 60; i++)
        snprintf(text + strlen(text), 32, "k%d: {a: [[], {}]}\n", i);
    struct yaml_doc doc = open_text(text);
    yaml_doc_close(&doc);
}

static void depth_bombs_end_quickly(void **state)
{
    (void)state;
    static char text[YAML_DOC_MAX_BYTES];
    memset(text, '[', sizeof text);
    assert_refused_bytes(text, sizeof text, "f.yaml:1: is nested too deep");
    memset(text, '{', sizeof text);
    assert_refused_bytes(text, sizeof text, "f.yaml:1: is nested too deep");
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 ? ' ' : '-';
    assert_refused_bytes(text, sizeof text, "f.yaml:1: is nested too deep");
}

static void size_is_bounded(void **state)
{
    (void)state;
    static char text[YAML_DOC_MAX_BYTES + 1];
    memset(text, '#', sizeof text);
    assert_refused_bytes(text, sizeof text, "f.yaml: is larger than 1 MiB");
    struct yaml_doc doc;
    scratch_dir_write("f.yaml", text, sizeof text - 1);
    assert_int_equal(yaml_doc_open("f.yaml", &doc, error, sizeof error), 0);
    yaml_doc_close(&doc);
}

static void mapping_of_many_keys_is_checked_quickly(void **state)
{
    (void)state;
    static char text[YAML_DOC_MAX_BYTES];
    char *end = text;
    int count = 0;
    while (end - text < (ptrdiff_t)sizeof text - 32)
        end += snprintf(end, 32, "k%d: 1\n", count++);
    scratch_dir_write("f.yaml", text, (size_t)(end - text));
    struct yaml_doc doc;
    assert_int_equal(yaml_doc_open("f.yaml", &doc, error, sizeof error), 0);
    yaml_doc_close(&doc);
    end += snprintf(end, 32, "k%d: 1\n", count / 2);
    char expected[80];
    snprintf(expected, sizeof expected, "f.yaml:%d: key \"k%d\" is given twice", count + 1, count / 2);
    assert_refused_bytes(text, (size_t)(end - text), expected);
}

static void what_is_no_yaml_is_refused_with_its_line(void **state)
{
    (void)state;
    assert_refused("a: 1\n b: s3cret\n", "f.yaml:2: ");
    assert_refused("a: [s3cret\n", "f.yaml:2: ");
    assert_refused("a: \"s3cret\n", "f.yaml:");
    assert_refused("a: 1\nb: s3cret: 2\n", "f.yaml:2: ");
    assert_refused("a:\n\t- s3cret\n", "f.yaml:2: ");
    assert_refused("a: @s3cret\n", "f.yaml:1: ");
    assert_refused("a: }\n", "f.yaml:1: ");
    assert_refused("!s3cret!x a\n", "f.yaml:1: ");
    assert_refused("%YAML 9.9\n---\na: 1\n", "f.yaml:1: ");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    (void)state;
    assert_refused_bytes("a: \xff\n", 5, "f.yaml: invalid leading UTF-8 octet at byte 4");
    assert_refused_bytes("a: \xc3", 4, "f.yaml: ");
    assert_refused_bytes("a: \0\n", 5, "f.yaml: control characters are not allowed");
    assert_refused_bytes("a: \x1b[2J\n", 8, "f.yaml: control characters are not allowed");
    assert_refused_bytes("\xff\xfe"
                         "a",
                         3, "f.yaml: ");
}

static void every_truncation_is_judged_without_harm(void **state)
{
    (void)state;
    static const char text[] =
        "tokens:\n  a: { token: 's3cret-1', books: [\"*\", b], access: rw }\n  \"b\\x41\": |\n    x\n";
    for (size_t length = 0; length < sizeof text; length++) {
        struct yaml_doc doc;
        scratch_dir_write("f.yaml", text, length);
        error[0] = '\0';
        if (yaml_doc_open("f.yaml", &doc, error, sizeof error) == 0)
            yaml_doc_close(&doc);
        assert_null(strstr(error, "s3cret"));
    }
}

static void long_paths_leave_room_for_the_reason(void **state)
{
    (void)state;
    char path[600];
    memset(path, '/', sizeof path);
    memcpy(path, "./", 2);
    snprintf(path + 590, 10, "f.yaml");
    struct yaml_doc doc;
    scratch_dir_write("f.yaml", "a: &x 1", 7);
    assert_int_equal(yaml_doc_open(path, &doc, error, sizeof error), EINVAL);
    assert_non_null(strstr(error, "anchors are not allowed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mapping_is_walked_by_key),
        cmocka_unit_test(get_of_what_is_no_mapping_is_null),
        cmocka_unit_test(lines_are_counted_from_one),
        cmocka_unit_test(empty_documents_have_no_root),
        cmocka_unit_test(null_is_plain_and_spelled_as_the_core_schema_does),
        cmocka_unit_test(scalar_with_a_nul_has_no_text),
        cmocka_unit_test(missing_file_is_enoent),
        cmocka_unit_test(directory_is_refused),
        cmocka_unit_test(toml_file_is_refused_with_the_way_out),
        cmocka_unit_test(toml_beside_a_yaml_file_does_not_matter),
        cmocka_unit_test(duplicate_keys_are_refused_at_any_depth),
        cmocka_unit_test(same_key_in_different_mappings_is_fine),
        cmocka_unit_test(keys_that_are_no_scalars_are_refused),
        cmocka_unit_test(anchors_and_aliases_are_refused),
        cmocka_unit_test(billion_laughs_are_refused_at_the_first),
        cmocka_unit_test(second_document_is_refused),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(siblings_do_not_count_as_depth),
        cmocka_unit_test(depth_bombs_end_quickly),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(mapping_of_many_keys_is_checked_quickly),
        cmocka_unit_test(what_is_no_yaml_is_refused_with_its_line),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test(every_truncation_is_judged_without_harm),
        cmocka_unit_test(long_paths_leave_room_for_the_reason),
    };
    return cmocka_run_group_tests(tests, scratch_dir_enter, scratch_dir_leave);
}
