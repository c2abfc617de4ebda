/* A file of settings. What is taken can be printed; what is not is told in sentences. */
#include "common/address.h"
#include "common/buf.h"
#include "common/conf.h"
#include "common/redis_url.h"
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEXT_MAX (1024 * 1024)

/* What was taken is what the programs can begin with. */
static void
hold_usable(const struct conf *conf)
{
    struct proxy_list list;
    struct redis_url url;

    HOLD(redis_url_parse(conf->redis_url, &url, NULL) == RC_OK);
    HOLD(url.path[0] != '\0' || (url.host[0] != '\0' && url.port > 0));
    HOLD(proxy_list_parse(conf->trusted_proxies, &list, NULL) == RC_OK);
    HOLD(proxy_list_parse(conf->metrics_allow, &list, NULL) == RC_OK);
}

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
    if (taken) {
        hold_usable(conf);
        conf_print(&text, "values", conf);
    }
    HOLD(text.len > 0);
    conf_free(conf);
    buf_fini(&text);
    close(fd);
    return taken;
}
