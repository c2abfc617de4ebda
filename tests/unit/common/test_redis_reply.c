/* Replies that are made in the arena of their batch look like hiredis's own. */
#include "common/redis_batch.h"

#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char wire[] =
    "*6\r\n$5\r\nab\0cd\r\n:-42\r\n$-1\r\n*-1\r\n*2\r\n$0\r\n\r\n*0\r\n+OK\r\n"
    "-ERR no\r\n";

static void
same(const redisReply *a, const redisReply *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->integer, b->integer);
    assert_int_equal(a->len, b->len);
    assert_int_equal(a->elements, b->elements);
    if (b->str != NULL)
        assert_memory_equal(a->str, b->str, b->len + 1); /* with the NUL */
    else
        assert_null(a->str);
    for (size_t i = 0; i < b->elements; i++)
        same(a->element[i], b->element[i]);
}

/* As bytes come: cut at `cut`. */
static redisReply *
read_reply(redisReader *reader, size_t cut, bool first)
{
    void *reply = NULL;

    if (first) {
        assert_int_equal(redisReaderFeed(reader, wire, cut), REDIS_OK);
        assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
        if (reply != NULL) {
            redisReaderFeed(reader, wire + cut, sizeof(wire) - 1 - cut);
            return reply;
        }
        assert_int_equal(redisReaderFeed(reader, wire + cut, sizeof(wire) - 1 - cut), REDIS_OK);
    }
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    return reply;
}

static void
pooled_replies_are_the_same_wherever_they_are_cut(void **state)
{
    struct redis_batch *b = redis_batch_new();

    (void)state;
    for (size_t cut = 0; cut < sizeof(wire); cut++) {
        redisReader *ours = redisReaderCreate(), *theirs = redisReaderCreate();

        redis_batch_clear(b);
        redis_batch_add(b, "GET a");
        redis_batch_add(b, "GET b");
        redis_batch_pool(b, ours);
        for (int i = 0; i < 2; i++) {
            redisReply *want = read_reply(theirs, cut, i == 0);

            assert_int_equal(redis_batch_take(b, read_reply(ours, cut, i == 0)), i == 1);
            same(redis_batch_reply(b, i), want);
            freeReplyObject(want);
        }
        redisReaderFree(ours);
        redisReaderFree(theirs);
    }
    redis_batch_free(b);
}

/* A connection that ends in the middle of a reply leaves nothing behind. */
static void
half_a_reply_goes_with_its_reader(void **state)
{
    struct redis_batch *b = redis_batch_new();
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;

    (void)state;
    redis_batch_add(b, "GET a");
    redis_batch_pool(b, reader);
    assert_int_equal(redisReaderFeed(reader, wire, 20), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_null(reply);
    redisReaderFree(reader);
    redis_batch_drop_replies(b);
    redis_batch_free(b);
}

/* "*4194304" begins an array of elements that may come; one more, and the reader gives up. */
static void
an_array_that_nobody_asked_for_ends_the_connection(void **state)
{
    static const struct {
        const char *wire;
        int rc;
    } heads[] = { { "*4194304\r\n:1\r\n", REDIS_OK },
                  { "*4194305\r\n:1\r\n", REDIS_ERR },
                  { "*2147483647\r\n", REDIS_ERR } };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(heads) / sizeof(*heads); i++) {
        struct redis_batch *b = redis_batch_new();
        redisReader *reader = redisReaderCreate();
        void *reply = NULL;

        if (i % 2 == 0)
            redis_batch_pool(b, reader);
        else
            redis_reply_bound(reader);
        redisReaderFeed(reader, heads[i / 2].wire, strlen(heads[i / 2].wire));
        assert_int_equal(redisReaderGetReply(reader, &reply), heads[i / 2].rc);
        assert_null(reply);
        redisReaderFree(reader);
        redis_batch_free(b);
    }
}

static struct redis_batch *
filled(int commands)
{
    struct redis_batch *b = redis_batch_new();
    redisReader *reader = redisReaderCreate();
    char text[8];

    redis_batch_pool(b, reader);
    for (int i = 0; i < commands; i++) {
        void *reply = NULL;

        redis_batch_add(b, "GET a");
        snprintf(text, sizeof(text), ":%d\r\n", i);
        assert_int_equal(redisReaderFeed(reader, text, strlen(text)), REDIS_OK);
        assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
        b->cmd[i].reply = reply;
        b->cmd[i].pooled = true;
    }
    redisReaderFree(reader);
    return b;
}

/* As scripts that are sent again do. */
static void
moved_replies_outlive_their_batch(void **state)
{
    struct redis_batch *to = filled(3), *from = filled(5), *bare = redis_batch_new();

    (void)state;
    redis_batch_move(to, 0, from, 4);
    redis_batch_move(to, 2, from, 3);
    redis_batch_free(from);
    assert_int_equal(redis_batch_reply(to, 0)->integer, 4);
    assert_int_equal(redis_batch_reply(to, 1)->integer, 1);
    assert_int_equal(redis_batch_reply(to, 2)->integer, 3);
    redis_batch_add(bare, "GET a");
    redis_batch_move(bare, 0, to, 2);
    redis_batch_free(to);
    assert_int_equal(redis_batch_reply(bare, 0)->integer, 3);
    redis_batch_clear(bare);
    redis_batch_free(bare);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pooled_replies_are_the_same_wherever_they_are_cut),
        cmocka_unit_test(half_a_reply_goes_with_its_reader),
        cmocka_unit_test(an_array_that_nobody_asked_for_ends_the_connection),
        cmocka_unit_test(moved_replies_outlive_their_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
