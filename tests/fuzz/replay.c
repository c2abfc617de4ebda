/* replay FOLDER: each file of it through the driver, as a test of its own. */
#include "common/arena.h"
#include "fuzz.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define FILE_MAX (1024 * 1024)

/* Exactly as many bytes on the heap as the file has, so that a read past the end is a finding.
 */
static char *
file_read(const char *path, size_t *len)
{
    char *all = xalloc(FILE_MAX), *exact;
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    *len = fread(all, 1, FILE_MAX, f);
    assert_true(feof(f));
    fclose(f);
    exact = xalloc(*len + (*len == 0));
    memcpy(exact, all, *len);
    free(all);
    return exact;
}

static void
replay(void **state)
{
    const char *path = *state, *name = strrchr(path, '/') + 1;
    size_t len;
    char *bytes = file_read(path, &len);
    bool taken = fuzz_take(bytes, len);

    free(bytes);
    if (strncmp(name, "taken", 5) == 0)
        assert_true(taken);
    if (strncmp(name, "refused", 7) == 0)
        assert_false(taken);
}

static int
is_seed(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int
main(int argc, char **argv)
{
    struct dirent **entries;
    struct CMUnitTest *tests;
    int n = argc == 2 ? scandir(argv[1], &entries, is_seed, alphasort) : -1;
    int failed;

    if (n <= 0) {
        fprintf(stderr, "usage: %s FOLDER, which has files\n", argv[0]);
        return 2;
    }
    tests = xalloc((size_t)n * sizeof(*tests));
    for (int i = 0; i < n; i++) {
        size_t size = strlen(argv[1]) + strlen(entries[i]->d_name) + 2;
        char *path = xalloc(size);

        snprintf(path, size, "%s/%s", argv[1], entries[i]->d_name);
        tests[i] = (struct CMUnitTest){ strrchr(path, '/') + 1, replay, NULL, NULL, path };
    }
    failed = _cmocka_run_group_tests(argv[1], tests, (size_t)n, NULL, NULL);
    for (int i = 0; i < n; i++) {
        free(tests[i].initial_state);
        free(entries[i]);
    }
    free(tests);
    free(entries);
    return failed != 0;
}
