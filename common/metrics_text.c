/*
 * What Prometheus reads: every metric with its help and type, then the samples that there are.
 */
#include "buf.h"
#include "metrics.h"
#include "metrics_area.h"

#include <inttypes.h>
#include <stdio.h>

static const struct metric_place *
place_of(const struct metric_row *row)
{
    return metrics_place((enum metric)(row - metric_rows));
}

static void
put_label(struct buf *out, enum metric_label l, size_t i)
{
    char name[METRICS_ROUTE_MAX] = "other";

    buf_str(out, metric_label_rows[l].name);
    buf_str(out, "=\"");
    if (metric_label_rows[l].values != NULL)
        buf_str(out, metric_label_rows[l].values[i]);
    else if (i == 0 || metrics_route_name(i, name))
        buf_str(out, name);
    buf_char(out, '"');
}

/* One sample without its value; `le` NULL for none. */
static void
put_sample(struct buf *out, const struct metric_row *row, size_t n, const char *suffix,
           const char *le)
{
    const struct metric_place *p = place_of(row);
    char separator = '{';

    buf_str(out, row->name);
    buf_str(out, suffix);
    for (int k = 0; k < METRICS_LABELS_MAX && row->labels[k] != METRIC_NO_LABEL; k++) {
        buf_char(out, separator);
        put_label(out, row->labels[k], n / p->step[k] % p->count[k]);
        separator = ',';
    }
    if (le != NULL) {
        buf_char(out, separator);
        buf_printf(out, "le=\"%s\"", le);
        separator = ',';
    }
    buf_str(out, separator == ',' ? "} " : " ");
}

static void
put_number(struct buf *out, int64_t v)
{
    buf_i64(out, v);
    buf_char(out, '\n');
}

static void
put_histogram(struct buf *out, const struct metric_row *row, size_t n, const int64_t *values)
{
    size_t buckets = metrics_bucket_count(row);
    int64_t count = 0, sum_us = values[buckets + 1];
    char le[16];

    for (size_t i = 0; i <= buckets; i++) {
        count += values[i];
        snprintf(le, sizeof(le), "%d", i < buckets ? row->buckets_ms[i] : 0);
        put_sample(out, row, n, "_bucket", i < buckets ? le : "+Inf");
        put_number(out, count);
    }
    put_sample(out, row, n, "_sum", NULL);
    buf_printf(out, "%" PRId64 ".%03" PRId64 "\n", sum_us / 1000, sum_us % 1000);
    put_sample(out, row, n, "_count", NULL);
    put_number(out, count);
}

static bool
is_by_route(const struct metric_row *row)
{
    for (int k = 0; k < METRICS_LABELS_MAX; k++) {
        if (row->labels[k] == METRIC_ROUTE)
            return true;
    }
    return false;
}

/* Read one cell; false when it has counted nothing. */
static bool
read_cell(const metric_word *w, size_t width, int64_t *values)
{
    int64_t any = 0;

    for (size_t i = 0; i < width; i++) {
        values[i] = atomic_load_explicit(&w[i], memory_order_relaxed);
        any |= values[i];
    }
    return any != 0;
}

/* Cells by route are very many, and most never count anything: those are left out. */
static void
put_cells(struct buf *out, const struct metric_row *row)
{
    const struct metric_place *p = place_of(row);
    const metric_word *w = metrics_words(p->at);
    int64_t values[METRICS_BUCKETS_MAX + 2] = { 0 };
    bool all = !is_by_route(row);

    for (size_t n = 0; n < p->cells; n++, w += p->width) {
        if (!read_cell(w, p->width, values) && !all)
            continue;
        if (row->type == METRIC_HISTOGRAM) {
            put_histogram(out, row, n, values);
        } else {
            put_sample(out, row, n, "", NULL);
            put_number(out, values[0]);
        }
    }
}

static void
put_gauge(struct buf *out, const struct metric_row *row, int64_t value)
{
    if (value < 0)
        return;
    put_sample(out, row, 0, "", NULL);
    put_number(out, value);
}

void
metrics_render(struct buf *out, const int64_t asked[METRIC__MAX])
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter", [METRIC_HISTOGRAM] = "histogram", [METRIC_HELD] = "gauge",
        [METRIC_ASKED] = "gauge",     [METRIC_SET] = "gauge",
    };

    for (int m = 0; metrics_are_on() && m < METRIC__MAX; m++) {
        const struct metric_row *row = &metric_rows[m];

        buf_printf(out, "# HELP %s %s.\n# TYPE %s %s\n", row->name, row->help, row->name,
                   types[row->type]);
        if (row->type == METRIC_ASKED)
            put_gauge(out, row, asked[m]);
        else if (row->type == METRIC_SET)
            put_gauge(out, row, atomic_load(metrics_words(place_of(row)->at)) - 1);
        else if (row->type == METRIC_HELD)
            put_gauge(out, row, metrics_held((enum metric)m));
        else
            put_cells(out, row);
    }
}
