#include "common/clock.h"
#include "common/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/test_status.XXXXXX";
static char path[64];

static int
make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/status", dir);
    return 0;
}

static int
remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

static int
remove_file(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static struct status *
open_ok(void)
{
    struct status *s;

    assert_int_equal(status_open(path, &s, NULL), RC_OK);
    return s;
}

static void
write_bytes(const char *bytes, size_t len)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    fclose(f);
}

static void
test_openers_share(void **state)
{
    int64_t now = clock_wall_ms();
    struct status *a = open_ok(), *b = open_ok();

    (void)state;
    assert_in_range(status_started_at(a) - now, 0, 5000);
    assert_int_equal(status_started_at(b), status_started_at(a));
    assert_int_equal(status_database(b, now), DATABASE_OFF);
    status_set_database(a, DATABASE_CONNECTED, now);
    assert_int_equal(status_database(b, now), DATABASE_CONNECTED);
    status_close(a);
    assert_int_equal(status_database(b, now), DATABASE_CONNECTED);
    status_close(b);
    status_close(NULL);
}

static void
test_processes_share(void **state)
{
    struct status *s = open_ok();
    int64_t now = clock_wall_ms();
    int end;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        struct status *mine;
        enum rc rc = status_open(path, &mine, NULL);

        status_set_database(mine, DATABASE_DOWN, now);
        rc = status_started_at(mine) == status_started_at(s) ? rc : RC_INTERNAL;
        status_close(mine);
        status_close(s);
        _exit(rc == RC_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &end, 0), pid);
    assert_int_equal(end, 0);
    assert_int_equal(status_database(s, now), DATABASE_DOWN);
    status_close(s);
}

static void
test_a_pause_is_a_new_start(void **state)
{
    struct status *s = open_ok();
    int64_t started = status_started_at(s), now = started;

    (void)state;
    for (int i = 0; i < 100; i++) { /* beats keep it alive, however long */
        now += 10000;
        status_beat(s, now);
    }
    assert_int_equal(status_started_at(s), started);
    status_beat(s, now - 60000); /* the wall clock was set back */
    assert_int_equal(status_started_at(s), started);
    now += 10001;
    status_beat(s, now);
    assert_int_equal(status_started_at(s), now);
    status_close(s);
}

static void
test_an_old_word_about_the_database(void **state)
{
    struct status *s = open_ok();
    int64_t now = clock_wall_ms();

    (void)state;
    status_set_database(s, DATABASE_CONNECTED, now);
    assert_int_equal(status_database(s, now + 10000), DATABASE_CONNECTED);
    assert_int_equal(status_database(s, now + 10001), DATABASE_DOWN);
    status_set_database(s, DATABASE_OFF, now);
    assert_int_equal(status_database(s, now + 99999), DATABASE_OFF);
    status_set_database(s, DATABASE_DOWN, now);
    assert_int_equal(status_database(s, now), DATABASE_DOWN);
    status_close(s);
}

static void
test_without_a_file_it_works_alone(void **state)
{
    struct fail f = { .rc = RC_OK };
    struct status *s;
    int64_t now = clock_wall_ms();

    (void)state;
    assert_int_equal(status_open("/nonexistent/status", &s, &f), RC_INTERNAL);
    assert_non_null(strstr(f.log, "/nonexistent/status"));
    assert_null(strstr(f.message, "nonexistent"));
    assert_in_range(status_started_at(s) - now, 0, 5000);
    status_set_database(s, DATABASE_CONNECTED, now);
    assert_int_equal(status_database(s, now), DATABASE_CONNECTED);
    status_close(s);
}

static void
test_files_of_others_stay(void **state)
{
    static const char *const texts[] = { "root:x:0:0:root:/root:/bin/sh and more of it", "x" };
    struct status *s;
    struct stat st;

    (void)state;
    for (int i = 0; i < 2; i++) {
        write_bytes(texts[i], strlen(texts[i]));
        assert_int_equal(status_open(path, &s, NULL), RC_INTERNAL);
        status_close(s);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, strlen(texts[i]));
    }
    unlink(path);
    assert_int_equal(symlink("/nonexistent", path), 0);
    assert_int_equal(status_open(path, &s, NULL), RC_INTERNAL);
    status_close(s);
    assert_int_equal(status_open(dir, &s, NULL), RC_INTERNAL);
    status_close(s);
}

static void
test_another_layout_is_replaced(void **state)
{
    static const int64_t other[] = { 0x534b7374LL << 32 | 999, 1, 2, 3, 4, 5, 6 };
    struct status *s;

    (void)state;
    write_bytes((const char *)other, sizeof(other));
    s = open_ok();
    assert_in_range(clock_wall_ms() - status_started_at(s), 0, 5000);
    assert_int_equal(status_database(s, 0), DATABASE_OFF);
    status_close(s);
}

/* What is left when the first opener was killed, or found no room. */
static void
test_a_half_made_file_is_replaced(void **state)
{
    struct status *s = open_ok();
    struct stat st;
    off_t whole;

    (void)state;
    assert_int_equal(stat(path, &st), 0);
    whole = st.st_size;
    assert_true(st.st_blocks * 512 >= whole); /* no page of it can be missing later */
    status_close(s);
    assert_int_equal(truncate(path, sizeof(int64_t)), 0);
    s = open_ok();
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, whole);
    status_close(s);
}

/* A lock that never ends delays the start, and no more. */
static void
test_somebody_holds_the_lock(void **state)
{
    struct status *s = open_ok();
    int fd = open(path, O_RDONLY);

    (void)state;
    status_close(s);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(status_open(path, &s, NULL), RC_INTERNAL);
    status_close(s);
    close(fd);
    status_close(open_ok());
}

/* Many at once, at a file of another layout: all must end up on one page. */
static void
test_racing_openers_agree(void **state)
{
    static const int64_t other[] = { 0x534b7374LL << 32 | 999 };
    int64_t now = clock_wall_ms();
    int go[2], end;
    char c;

    (void)state;
    for (int round = 0; round < 20; round++) {
        struct status *s;

        write_bytes((const char *)other, sizeof(other));
        assert_int_equal(pipe(go), 0);
        for (int i = 0; i < 4; i++)
            if (fork() == 0) {
                close(go[1]);
                if (read(go[0], &c, 1) < 0 || status_open(path, &s, NULL) != RC_OK)
                    _exit(1);
                if (i == 0)
                    status_set_database(s, DATABASE_DOWN, now);
                while (status_database(s, now) != DATABASE_DOWN)
                    if (clock_wall_ms() > now + 20000)
                        _exit(2);
                status_close(s);
                _exit(0);
            }
        close(go[0]);
        close(go[1]);
        for (int i = 0; i < 4; i++) {
            assert_true(wait(&end) > 0);
            assert_int_equal(end, 0);
        }
        unlink(path);
    }
}

#define TEST(name) cmocka_unit_test_teardown(name, remove_file)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_openers_share),
        TEST(test_processes_share),
        TEST(test_a_pause_is_a_new_start),
        TEST(test_an_old_word_about_the_database),
        TEST(test_without_a_file_it_works_alone),
        TEST(test_files_of_others_stay),
        TEST(test_another_layout_is_replaced),
        TEST(test_a_half_made_file_is_replaced),
        TEST(test_somebody_holds_the_lock),
        TEST(test_racing_openers_agree),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
