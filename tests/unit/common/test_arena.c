#include "common/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void
test_memory_is_zeroed_and_aligned(void **state)
{
    struct arena *a = arena_new(1 << 20);

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t n = 1; n < 200; n++) {
            unsigned char *p = arena_alloc(a, n);

            assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xee, n);
        }
        arena_reset(a); /* the same memory again, and it must be clean again */
    }
    arena_free(a);
}

static void
test_pieces_do_not_overlap(void **state)
{
    struct arena *a = arena_new(1 << 22);
    unsigned char *p[500];

    (void)state;
    for (int i = 0; i < 500; i++) {
        p[i] = arena_alloc(a, 1000);
        memset(p[i], i & 0xff, 1000);
    }
    for (int i = 0; i < 500; i++)
        for (int k = 0; k < 1000; k++)
            assert_int_equal(p[i][k], i & 0xff);
    assert_int_equal(arena_used(a), 500 * 1000);
    arena_reset(a);
    assert_int_equal(arena_used(a), 0);
    arena_free(a);
}

static void
test_empty_pieces_are_distinct(void **state)
{
    struct arena *a = arena_new(100);
    void *p = arena_alloc(a, 0), *q = arena_alloc(a, 0);

    (void)state;
    assert_non_null(p);
    assert_ptr_not_equal(p, q);
    arena_free(a);
}

static void
test_strings(void **state)
{
    struct arena *a = arena_new(1 << 20);
    char *s = arena_dup(a, "a\0b", 3);
    char *long_one;

    (void)state;
    assert_memory_equal(s, "a\0b", 4);
    assert_string_equal(arena_dup(a, NULL, 0), "");
    assert_string_equal(arena_printf(a, "%s-%d", "x", 7), "x-7");
    long_one = arena_printf(a, "%0*d", 100000, 1);
    assert_int_equal(strlen(long_one), 100000);
    assert_int_equal(long_one[99999], '1');
    arena_free(a);
}

static char order[8];

static void
note(void *p)
{
    size_t n = strlen(order);

    order[n] = *(const char *)p;
    order[n + 1] = '\0';
}

static void
test_deferred_run_newest_first(void **state)
{
    struct arena *a = arena_new(1 << 16);

    (void)state;
    order[0] = '\0';
    arena_defer(a, note, arena_dup(a, "1", 1));
    arena_defer(a, note, arena_dup(a, "2", 1));
    arena_reset(a);
    assert_string_equal(order, "21");
    arena_reset(a); /* only once */
    assert_string_equal(order, "21");
    arena_defer(a, note, arena_dup(a, "3", 1));
    arena_free(a);
    assert_string_equal(order, "213");
    arena_free(NULL);
}

static struct arena *again;

static void
defer_more(void *p)
{
    note(p);
    if (strlen(order) < 3)
        arena_defer(again, defer_more, p);
}

static void
test_deferred_may_defer(void **state)
{
    (void)state;
    order[0] = '\0';
    again = arena_new(1 << 16);
    arena_defer(again, defer_more, arena_dup(again, "x", 1));
    arena_reset(again);
    assert_string_equal(order, "xxx");
    arena_free(again);
}

static void
test_block_is_reused(void **state)
{
    struct arena *a = arena_new(1 << 20);
    void *first, *second;

    (void)state;
    (void)arena_alloc(a, 300000);
    arena_reset(a);
    first = arena_alloc(a, 300000);
    arena_reset(a);
    second = arena_alloc(a, 300000);
    assert_ptr_equal(first, second);
    arena_free(a);
}

/* How a child ends that takes 1 byte, then n bytes from an arena of cap. */
static int
end_of_child(size_t cap, size_t n)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        struct arena *a = arena_new(cap);

        close(STDERR_FILENO);
        (void)arena_alloc(a, 1);
        (void)arena_alloc(a, n);
        arena_free(a);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void
test_cap_is_hard(void **state)
{
    (void)state;
    assert_int_equal(end_of_child(1000, 999), 0);
    assert_int_equal(end_of_child(1000, 1000), SIGABRT);
    assert_int_equal(end_of_child(1000, SIZE_MAX), SIGABRT);
}

static void
test_xalloc_family(void **state)
{
    char *p = xalloc(100);

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    p = xrealloc(p, 100000);
    p[99999] = 'x';
    free(p);
    p = xstrdup("copy");
    assert_string_equal(p, "copy");
    free(p);
    p = xalloc(0);
    assert_non_null(p);
    free(p);
}

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>

static void
test_asan_sees_what_is_not_handed_out(void **state)
{
    struct arena *a = arena_new(1 << 16);
    char *p = arena_alloc(a, 10);

    (void)state;
    assert_false(__asan_address_is_poisoned(p + 9));
    assert_true(__asan_address_is_poisoned(p + 10));
    arena_reset(a);
    assert_true(__asan_address_is_poisoned(p));
    arena_free(a);
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_zeroed_and_aligned),
        cmocka_unit_test(test_pieces_do_not_overlap),
        cmocka_unit_test(test_empty_pieces_are_distinct),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_deferred_run_newest_first),
        cmocka_unit_test(test_deferred_may_defer),
        cmocka_unit_test(test_block_is_reused),
        cmocka_unit_test(test_cap_is_hard),
        cmocka_unit_test(test_xalloc_family),
#if defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(test_asan_sees_what_is_not_handed_out),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
