#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/changes.h"

static int64_t area[64];

static int
setup(void **state)
{
    (void)state;
    memset(area, 0, sizeof(area));
    changes_attach(area);
    return 0;
}

static void
test_the_most_is_kept_for_each_partition(void **state)
{
    (void)state;
    assert_int_equal(changes_size(), sizeof(area));
    changes_note(0, 5);
    changes_note(63, 7);
    changes_note(63, 6);
    assert_int_equal(changes_known(0), 5);
    assert_int_equal(changes_known(63), 7);
    assert_int_equal(changes_known(1), 0);
}

static void
test_without_a_place_nothing_is_noted(void **state)
{
    (void)state;
    changes_note(3, 9);
    changes_attach(NULL);
    changes_note(3, 10);
    assert_int_equal(changes_known(3), 0);
    changes_attach(area);
    assert_int_equal(changes_known(3), 9);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_most_is_kept_for_each_partition, setup),
        cmocka_unit_test_setup(test_without_a_place_nothing_is_noted, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
