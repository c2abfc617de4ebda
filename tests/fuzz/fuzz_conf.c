/* A file of settings. What is taken can be printed; what is not is told in sentences. */
#include "common/buf.h"
#include "common/conf.h"
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEXT_MAX (1024 * 1024)

bool
fuzz_take(const char *s, size_t len)
{
    struct conf *conf = NULL;
    struct buf text;
    char path[64];
    int fd = memfd_create("conf", MFD_CLOEXEC);
    bool taken;

    HOLD(fd >= 0 && write(fd, s, len) == (ssize_t)len);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    HOLD(setenv("SYNCKAIROS_CONFIG", path, 1) == 0);
    buf_init(&text, TEXT_MAX);
    taken = conf_load(&conf, &text) == RC_OK;
    HOLD(taken == (text.len == 0));
    if (taken)
        conf_print(&text, "values", conf);
    HOLD(text.len > 0);
    conf_free(conf);
    buf_fini(&text);
    close(fd);
    return taken;
}
