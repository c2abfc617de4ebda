#include "broadcaster/sweep.h"

#include "common/clock.h"
#include "fake.h"

#include <unistd.h>

static uv_loop_t loop;
static struct clients set;
static struct sweep sweep;
static struct fake *f;

static bool
slow_write(struct client *c, const void *p, size_t len)
{
    usleep(2000);
    return fake_write(c, p, len);
}

static const struct client_io slow_io = { .write = slow_write,
                                          .is_stuck = fake_is_stuck,
                                          .want_write = fake_want_write,
                                          .cut = fake_cut };

static int
begin(void **state)
{
    (void)state;
    uv_loop_init(&loop);
    clients_init(&set, &fake_io, 1000, 0);
    sweep_init(&sweep, &loop, &set);
    f = fake_open(&set, 0);
    return 0;
}

static int
end(void **state)
{
    (void)state;
    fake_close(f);
    clients_fini(&set);
    sweep_close(&sweep);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

static void
queue(int i)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "{\"type\":\"S\",\"version\":%d}", i);
    struct frame *frame = frame_new(FRAME_TEXT, text, (size_t)n);

    assert_true(client_queue(&f->c, frame));
    frame_drop(frame);
}

static void
it_rests_as_long_as_it_took_up_to_ten_milliseconds(void **state)
{
    static const int64_t rows[][2] = { { 0, 0 },       { 999, 0 },       { 1000, 1000 },
                                       { 4321, 4321 }, { 10000, 10000 }, { 60000, 10000 } };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(sweep_rest_us(rows[i][0]), rows[i][1]);
}

static void
a_message_after_a_quiet_time_leaves_in_its_turn(void **state)
{
    (void)state;
    queue(1);
    sweep_turn(&sweep);
    assert_string_equal(fake_words(f), "S:1");
    assert_false(uv_is_active((uv_handle_t *)&sweep.timer));
}

static void
what_comes_while_it_rests_leaves_in_one_write(void **state)
{
    (void)state;
    sweep.rests_until_us = clock_mono_us() + 3600000000;
    for (int i = 1; i <= 3; i++) {
        queue(i);
        sweep_turn(&sweep);
    }
    assert_int_equal(f->writes, 0);
    assert_true(uv_is_active((uv_handle_t *)&sweep.timer));
    sweep.rests_until_us = clock_mono_us() + 20000;
    sweep_turn(&sweep);
    while (f->writes == 0) { /* the timer wakes the loop, and the turn ends with a sweep */
        uv_run(&loop, UV_RUN_ONCE);
        sweep_turn(&sweep);
    }
    assert_int_equal(f->writes, 1);
    assert_string_equal(fake_words(f), "S:1 S:2 S:3");
}

static void
a_long_sweep_is_followed_by_none(void **state)
{
    (void)state;
    set.io = &slow_io;
    queue(1);
    sweep_turn(&sweep);
    assert_int_equal(f->writes, 1);
    assert_true(sweep.rests_until_us > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_rests_as_long_as_it_took_up_to_ten_milliseconds,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_message_after_a_quiet_time_leaves_in_its_turn, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_comes_while_it_rests_leaves_in_one_write, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_long_sweep_is_followed_by_none, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
