#include "arbiter/write_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>

static const struct posting two_postings[] = {
    {BYTES_LITERAL("cash"), BYTES_LITERAL("USD"), 5, DIRECTION_DEBIT},
    {BYTES_LITERAL("sales"), BYTES_LITERAL("USD"), 5, DIRECTION_CREDIT},
};

static struct buffer message_of(uint64_t request_id, const char *const *books, uint32_t count)
{
    struct buffer message = {0};
    submission_begin(&message, SUBMISSION_POST, count, request_id, 1);
    for (uint32_t i = 0; i < count; i++) {
        struct draft draft = {
            .book = bytes_of_string(books[i]),
            .idempotency_key = BYTES_LITERAL("k"),
            .postings = two_postings,
            .posting_count = 2,
        };
        submission_add_draft(&message, &draft);
    }
    return message;
}

static struct submission *add(struct write_queue *queue, uint64_t request_id, const char *const *books, uint32_t count)
{
    struct submission *submission;
    struct buffer message = message_of(request_id, books, count);
    assert_int_equal(write_queue_add(queue, 0, 1, &message, &submission), 0);
    assert_null(message.base);
    assert_int_equal(submission->request_id, request_id);
    assert_int_equal(submission->count, count);
    return submission;
}

static void a_full_book_refuses_a_request_whole(void **state)
{
    (void)state;
    struct write_queue *queue = write_queue_create(2);
    const char *const three_a[] = {"a", "a", "a"}, *const mixed[] = {"a", "b", "a", "b"};
    struct draft_list taken = {0};
    struct submission *first = add(queue, 1, three_a, 3); /* arrives when the queue is not full: taken whole */
    assert_int_equal(first->undecided, 3);
    struct submission *second = add(queue, 2, mixed, 4);
    assert_int_equal(second->undecided, 2);
    assert_int_equal(second->verdicts[0].code, VERDICT_OVERLOADED);
    assert_int_equal(second->verdicts[1].code, 0);
    assert_int_equal(second->verdicts[2].code, VERDICT_OVERLOADED);
    assert_int_equal(second->verdicts[3].code, 0);
    assert_int_equal(write_queue_count(queue), 5);
    assert_int_equal(write_queue_books(queue), 2);
    write_queue_take(queue, 100, 1 << 20, &taken);
    assert_int_equal(taken.count, 5);
    assert_ptr_equal(taken.drafts[0].submission, first);
    assert_int_equal(write_queue_books(queue), 0);
    struct submission *third = add(queue, 3, three_a, 3);
    assert_int_equal(third->undecided, 3);
    submission_free(first);
    submission_free(second);
    submission_free(third);
    free(taken.drafts);
    write_queue_destroy(&queue);
}

static void a_group_takes_so_many_of_each_book_in_order(void **state)
{
    (void)state;
    struct write_queue *queue = write_queue_create(1000);
    const char *const books[] = {"a", "b", "a", "a", "c", "a"};
    struct draft_list taken = {0};
    uint32_t next_a = 0;
    struct submission *submission = add(queue, 7, books, 6);
    const uint32_t order_of_a[] = {0, 2, 3, 5};
    for (int group = 0; group < 2; group++) {
        write_queue_take(queue, 2, 1 << 20, &taken);
        assert_int_equal(taken.count, group == 0 ? 4 : 2);
        for (uint32_t i = 0; i < taken.count; i++)
            if (taken.drafts[i].book.base[0] == 'a')
                assert_int_equal(taken.drafts[i].index, order_of_a[next_a++]);
    }
    assert_int_equal(next_a, 4);
    assert_int_equal(write_queue_count(queue), 0);
    submission_free(submission);
    free(taken.drafts);
    write_queue_destroy(&queue);
}

static void books_take_turns_when_a_group_is_full(void **state)
{
    (void)state;
    struct write_queue *queue = write_queue_create(1000);
    const char *const books[] = {"a", "a", "b", "b"};
    struct draft_list taken = {0};
    struct submission *submission = add(queue, 7, books, 4);
    const char expected[] = {'a', 'b', 'a', 'b'};
    for (int group = 0; group < 4; group++) {
        write_queue_take(queue, 10, 1, &taken);
        assert_int_equal(taken.count, 1);
        assert_int_equal(taken.drafts[0].book.base[0], expected[group]);
    }
    submission_free(submission);
    free(taken.drafts);
    write_queue_destroy(&queue);
}

static void a_malformed_message_is_refused_at_every_cut(void **state)
{
    (void)state;
    struct write_queue *queue = write_queue_create(10);
    const char *const books[] = {"a", "b"};
    struct buffer whole = message_of(1, books, 2);
    for (size_t n = 0; n < whole.len; n++) {
        struct submission *submission;
        struct buffer cut = {0};
        buffer_append(&cut, whole.base, n);
        assert_int_equal(write_queue_add(queue, 0, 1, &cut, &submission), EBADMSG);
        assert_null(cut.base);
    }
    struct submission_head head;
    memcpy(&head, whole.base, sizeof head);
    head.count = UINT32_MAX;
    memcpy(whole.base, &head, sizeof head);
    struct submission *submission;
    assert_int_equal(write_queue_add(queue, 0, 1, &whole, &submission), EBADMSG);
    assert_int_equal(write_queue_count(queue), 0);
    write_queue_destroy(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_book_refuses_a_request_whole),
        cmocka_unit_test(a_group_takes_so_many_of_each_book_in_order),
        cmocka_unit_test(books_take_turns_when_a_group_is_full),
        cmocka_unit_test(a_malformed_message_is_refused_at_every_cut),
    };
    return cmocka_run_group_tests_name("write_queue", tests, NULL, NULL);
}
