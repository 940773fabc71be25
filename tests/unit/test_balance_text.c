/* A balance put together from pieces reads as if a JSON generator had written it. */
#include "server/balance_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <limits.h>
#include <string.h>

#include "server/json_text.h"
#include "server/ledger_json.h"

static void generate(const struct balance_view *view, struct buffer *out)
{
    char text[DECIMAL_TEXT_MAX], at[RFC3339_TEXT_MAX];
    struct json_text *j = json_text_create(out);
    int n = decimal_format(view->balance, view->precision, text);
    json_open_object(j);
    json_account_key(j, "account", view->book, view->path);
    json_field(j, "asset", view->asset);
    json_field(j, "balance", bytes_of(text, (size_t)n));
    json_key(j, "as_of");
    if (view->past)
        json_string(j, bytes_of(at, (size_t)rfc3339_format(view->as_of, at)));
    else
        json_null(j);
    json_key(j, "updated_seq");
    json_unsigned(j, view->updated_seq);
    json_close_object(j);
    json_text_destroy(&j);
}

static void check(const struct balance_view *view)
{
    struct buffer expected = {0}, found = {0};
    struct arena *arena = arena_create();
    generate(view, &expected);
    balance_text_write(view, arena, &found);
    assert_int_equal(found.len, expected.len);
    assert_memory_equal(found.base, expected.base, expected.len);
    arena_destroy(&arena);
    buffer_free(&expected);
    buffer_free(&found);
}

static void every_name_is_escaped_as_json_and_as_a_key(void **state)
{
    static const struct bytes names[] = {
        BYTES_LITERAL("shop"),       BYTES_LITERAL("a:b"),      BYTES_LITERAL("a\\b"),     BYTES_LITERAL("a\"b"),
        BYTES_LITERAL(":"),          BYTES_LITERAL("\\:"),      BYTES_LITERAL("\""),       BYTES_LITERAL("a/b"),
        BYTES_LITERAL("\xc3\xbc:x"), BYTES_LITERAL("nul\0nul"), BYTES_LITERAL("del\x7f"),  BYTES_LITERAL(" "),
        BYTES_LITERAL("a\nb\tc\r"),  BYTES_LITERAL("\x1f"),     BYTES_LITERAL("\x1f\x20"), BYTES_LITERAL("</script>"),
    };
    const size_t count = sizeof names / sizeof *names;
    (void)state;
    for (size_t i = 0; i < count * count * count; i++) {
        struct balance_view view = {
            .book = names[i % count], .path = names[i / count % count], .asset = names[i / count / count]};
        check(&view);
    }
    for (int octet = 0; octet < 0x80; octet++) {
        uint8_t text[] = {'x', (uint8_t)octet, 'y'};
        struct bytes name = bytes_of(text, sizeof text);
        check(&(struct balance_view){.book = name, .path = name, .asset = name});
    }
}

static void names_of_any_length_have_room(void **state)
{
    static uint8_t plain[70000], worst[70000];
    (void)state;
    memset(plain, 'x', sizeof plain);
    memset(worst, 1, sizeof worst);
    for (size_t length = 1; length < sizeof plain; length = 2 * length + 3) {
        struct bytes a = bytes_of(plain, length), b = bytes_of(worst, length);
        check(&(struct balance_view){.book = a, .path = a, .asset = a});
        check(&(struct balance_view){.book = b, .path = b, .asset = b});
        check(&(struct balance_view){.book = a, .path = b, .asset = a});
    }
}

static void the_longest_numbers_and_times_have_room(void **state)
{
    struct balance_view view = {
        .book = BYTES_LITERAL("b"), .path = BYTES_LITERAL("p"), .asset = BYTES_LITERAL("a"), .updated_seq = UINT64_MAX};
    (void)state;
    view.balance = (i128)((u128)1 << 127);
    for (int precision = 0; precision <= UINT8_MAX; precision++) {
        view.precision = (uint8_t)precision;
        check(&view);
    }
    view.past = true;
    view.as_of = (struct timestamp){253402300799, 1999999999};
    check(&view);
    view.as_of = (struct timestamp){0, 0};
    check(&view);
}

static void it_is_appended(void **state)
{
    struct buffer out = {0};
    struct arena *arena = arena_create();
    struct balance_view view = {.book = BYTES_LITERAL("b"),
                                .path = BYTES_LITERAL("p"),
                                .asset = BYTES_LITERAL("USD"),
                                .balance = -5,
                                .precision = 2,
                                .updated_seq = 3};
    static const char expected[] =
        "> {\"account\":\"b:p\",\"asset\":\"USD\",\"balance\":\"-0.05\",\"as_of\":null,\"updated_seq\":3}";
    (void)state;
    buffer_append_string(&out, "> ");
    balance_text_write(&view, arena, &out);
    assert_int_equal(out.len, sizeof expected - 1);
    assert_memory_equal(out.base, expected, out.len);
    arena_destroy(&arena);
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_escaped_as_json_and_as_a_key),
        cmocka_unit_test(names_of_any_length_have_room),
        cmocka_unit_test(the_longest_numbers_and_times_have_room),
        cmocka_unit_test(it_is_appended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
