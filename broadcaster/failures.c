#include "failures.h"

#include "common/address.h"
#include "common/conf.h"
#include "common/metrics.h"
#include "common/tally.h"

#include <stdio.h>

bool
failures_add(const struct conf *conf, void *tally, const char *address, int64_t now_ms,
             int64_t *wait_ms)
{
    char name[ADDRESS_MAX + 8];

    if (!conf->rate_limit_enabled || tally == NULL)
        return true;
    snprintf(name, sizeof(name), "failed %s", address);
    if (tally_hit(tally, &conf->rate_limit_general, name, now_ms, wait_ms))
        return true;
    metrics_add(METRIC_LIMIT_REJECTIONS, 1, metric_label_place(METRIC_LIMIT, "general"), 0, 0);
    return false;
}
