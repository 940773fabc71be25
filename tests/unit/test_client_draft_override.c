/* Members of a draft replaced, added or only looked for; every other byte stays. */
#include "client/draft_override.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect_override(const char *draft, struct draft_member *members, size_t count,
                            const char *expected)
{
    struct text out = {0};
    assert_int_equal(draft_override(draft, strlen(draft), members, count, &out), 0);
    assert_string_equal(out.base, expected);
    text_free(&out);
}

static void expect(const char *draft, const char *name, const char *value, const char *expected)
{
    struct draft_member member = {name, value, false};
    expect_override(draft, &member, 1, expected);
}

static void a_draft_without_overrides_keeps_every_byte(void **state)
{
    (void)state;
    static const char draft[] =
        " {\n\t\"b\\u006fok\" : \"\\u0062\\/\", \"n\":[ 1.50, 1E2,-0.0 ,99999999999999999999 ],\r\n"
        "\"x\\u0000y\":{\"book\":\"inner\"} , \"t\":true,\"z\" :null }\n ";
    struct draft_member none = {"other", NULL, false};
    expect_override(draft, &none, 1, draft);
    expect_override(draft, NULL, 0, draft);
}

static void a_value_of_any_kind_is_replaced_and_nothing_beside_it(void **state)
{
    (void)state;
    expect("{\"a\":1, \"m\" :\t[1,{\"m\":2}] , \"b\":2}", "m", "{\"x\":1.0}",
           "{\"a\":1, \"m\" :\t{\"x\":1.0} , \"b\":2}");
    expect("{\"m\":\"s\\\"}\",\"b\":2}", "m", "7", "{\"m\":7,\"b\":2}");
    expect("{\"m\":12}", "m", "7", "{\"m\":7}");
    expect("{\"m\":12 }", "m", "7", "{\"m\":7 }");
    expect("{ \"m\": null}", "m", "7", "{ \"m\": 7}");
    expect("{\"m\":true,\"m2\":false}", "m", "7", "{\"m\":7,\"m2\":false}");
    expect("{\"m\":{},\"b\":1}", "m", "7", "{\"m\":7,\"b\":1}");
    expect("{\"m\":[]\n}", "m", "7", "{\"m\":7\n}");
}

static void members_of_nested_objects_are_left_alone(void **state)
{
    (void)state;
    expect("{\"x\":{\"m\":1,\"y\":[{\"m\":2}]},\"m\":3}", "m", "7",
           "{\"x\":{\"m\":1,\"y\":[{\"m\":2}]},\"m\":7}");
    expect("{\"x\":{\"m\":1}}", "m", "7", "{\"x\":{\"m\":1},\"m\":7}");
}

static void a_member_that_is_missing_is_added_at_the_end(void **state)
{
    (void)state;
    expect("{}", "m", "7", "{\"m\":7}");
    expect(" { } ", "m", "7", " { \"m\":7} ");
    expect("{\"a\":1\n}\n", "m", "7", "{\"a\":1\n,\"m\":7}\n");
}

static void a_name_is_compared_with_its_escapes_undone(void **state)
{
    (void)state;
    expect("{\"b\\u006fok\":\"a\"}", "book", "\"b\"", "{\"b\\u006fok\":\"b\"}");
    expect("{\"book\\u0000\":\"a\"}", "book", "\"b\"", "{\"book\\u0000\":\"a\",\"book\":\"b\"}");
}

static void a_name_given_twice_stays_twice_for_the_ledger_to_refuse(void **state)
{
    (void)state;
    expect("{\"m\":1,\"m\":2}", "m", "7", "{\"m\":7,\"m\":7}");
}

static void several_members_are_replaced_and_added_in_their_order(void **state)
{
    (void)state;
    struct draft_member members[] = {{"a", "1", true}, {"b", "2", true}, {"c", NULL, true}, {"d", "4", true}};
    expect_override("{\"d\":0,\"x\":0,\"c\":0}", members, 4, "{\"d\":4,\"x\":0,\"c\":0,\"a\":1,\"b\":2}");
    assert_false(members[0].found);
    assert_false(members[1].found);
    assert_true(members[2].found);
    assert_true(members[3].found);
}

static void what_is_no_json_object_is_refused(void **state)
{
    (void)state;
    static const char *const drafts[] = {"",
                                         " ",
                                         "[]",
                                         "[{\"m\":1}]",
                                         "1",
                                         "\"m\"",
                                         "null",
                                         "{",
                                         "{\"m\":1",
                                         "{\"m\":1}}",
                                         "{\"m\":1} x",
                                         "{m:1}",
                                         "{\"m\"}",
                                         "{,}",
                                         "{\"m\":1,}",
                                         "\xef\xbb\xbf{}",
                                         "{} {}",
                                         "{\"m\":01}",
                                         "{\"m\":\"\xff\"}",
                                         "{/**/}"};
    for (size_t i = 0; i < sizeof drafts / sizeof *drafts; i++) {
        struct draft_member member = {"m", "7", false};
        struct text out = {0};
        assert_int_equal(draft_override(drafts[i], strlen(drafts[i]), &member, 1, &out), EINVAL);
        text_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_draft_without_overrides_keeps_every_byte),
        cmocka_unit_test(a_value_of_any_kind_is_replaced_and_nothing_beside_it),
        cmocka_unit_test(members_of_nested_objects_are_left_alone),
        cmocka_unit_test(a_member_that_is_missing_is_added_at_the_end),
        cmocka_unit_test(a_name_is_compared_with_its_escapes_undone),
        cmocka_unit_test(a_name_given_twice_stays_twice_for_the_ledger_to_refuse),
        cmocka_unit_test(several_members_are_replaced_and_added_in_their_order),
        cmocka_unit_test(what_is_no_json_object_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
