#include "common/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

static void *area;

static int
begin(void **state)
{
    (void)state;
    area = mmap(NULL, report_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    report_attach(area);
    return area == MAP_FAILED ? -1 : 0;
}

static int
end(void **state)
{
    (void)state;
    report_attach(NULL);
    return munmap(area, report_size());
}

static void
add(int n)
{
    struct report r = { .at_ms = n };

    snprintf(r.text, sizeof(r.text), "failure %d", n);
    report_add(&r);
}

static void
test_reports_come_in_order_and_once(void **state)
{
    struct report r;

    (void)state;
    assert_false(report_take(&r, 0));
    add(1);
    add(2);
    assert_true(report_take(&r, 0));
    assert_string_equal(r.text, "failure 1");
    assert_true(report_take(&r, 0));
    assert_int_equal(r.at_ms, 2);
    assert_false(report_take(&r, 0));
}

static void
test_newer_ones_take_the_place_of_the_oldest(void **state)
{
    struct report r;

    (void)state;
    for (int i = 0; i < REPORTS_KEPT + 5; i++)
        add(i);
    assert_true(report_take(&r, 0));
    assert_int_equal(r.at_ms, 5);
}

static void
test_so_many_a_minute_and_the_rest_later(void **state)
{
    struct report r;

    (void)state;
    for (int i = 0; i < REPORTS_PER_MINUTE + 3; i++)
        add(i);
    for (int i = 0; i < REPORTS_PER_MINUTE; i++)
        assert_true(report_take(&r, 120000 + i));
    assert_false(report_take(&r, 179999));
    assert_true(report_take(&r, 180000));
    assert_int_equal(r.at_ms, REPORTS_PER_MINUTE);
    /* the clock was set back: not more than in any other minute */
    for (int i = 0; i < 2; i++)
        assert_true(report_take(&r, 60000));
}

static void
test_nothing_is_kept_without_an_area(void **state)
{
    struct report r;

    (void)state;
    report_attach(NULL);
    add(1);
    assert_false(report_take(&r, 0));
    report_attach(area);
    assert_false(report_take(&r, 0));
}

/* Many processes add while another takes: each report that is given is whole. */
static void
test_reports_of_many_processes_are_whole(void **state)
{
    struct report r;
    pid_t child[4];
    int taken = 0;

    (void)state;
    for (int k = 0; k < 4; k++) {
        child[k] = fork();
        if (child[k] == 0) {
            for (int i = 0; i < 20000; i++)
                add(i);
            _exit(0);
        }
    }
    for (int i = 0; i < 20000; i++) {
        char text[64];

        if (!report_take(&r, (int64_t)i * 60000))
            continue;
        snprintf(text, sizeof(text), "failure %d", (int)r.at_ms);
        assert_string_equal(r.text, text);
        taken++;
    }
    for (int k = 0; k < 4; k++)
        assert_int_equal(waitpid(child[k], NULL, 0), child[k]);
    while (report_take(&r, (int64_t)(20001 + taken) * 60000))
        taken++;
    assert_true(taken > 0);
}

static void
test_a_crash_is_reported_and_stays_a_crash(void **state)
{
    struct report r;
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL); /* cmocka has a handler of its own */
        report_crashes("synckairos-test");
        raise(SIGSEGV);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
    assert_true(report_take(&r, 0));
    assert_true(r.fatal);
    assert_string_equal(r.program, "synckairos-test");
    assert_string_equal(r.code, "SIGSEGV");
    assert_true(r.at_ms > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reports_come_in_order_and_once),
        TEST(test_newer_ones_take_the_place_of_the_oldest),
        TEST(test_so_many_a_minute_and_the_rest_later),
        TEST(test_nothing_is_kept_without_an_area),
        TEST(test_reports_of_many_processes_are_whole),
        TEST(test_a_crash_is_reported_and_stays_a_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
