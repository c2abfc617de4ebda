/*
 * The area is an array of 64-bit words, each read and written in one piece: names of routes,
 * then a place for each process that holds something, then the cells of all metrics.
 *
 * A route's name is found by its hash. Whoever swaps the hash into a free place has it, and
 * everybody who finds it there writes the name if it is missing: the same bytes, so it does not
 * matter who was killed halfway.
 *
 * Left out: resetting, and floating point. Prometheus takes a new area for a restart.
 */
#include "metrics.h"
#include "metrics_area.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#define NAME_WORDS (METRICS_ROUTE_MAX / 8)
#define ROUTE_WORDS (1 + NAME_WORDS)
#define HOLDER_WORDS (1 + METRIC__MAX)
#define CELLS_AT (METRICS_ROUTES * ROUTE_WORDS + METRICS_HOLDERS * HOLDER_WORDS)

typedef metric_word word;

static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "processes share these: no hidden locks");
static_assert(METRICS_ROUTE_MAX % 8 == 0, "names are whole words");

static struct {
    word *area; /* NULL: nothing is counted */
    size_t words;
    struct metric_place places[METRIC__MAX];
} here;

/* --- layout --- */

size_t
metric_label_count(enum metric_label l)
{
    size_t n = 0;

    if (l == METRIC_NO_LABEL)
        return 1;
    if (metric_label_rows[l].values == NULL)
        return METRICS_ROUTES;
    while (metric_label_rows[l].values[n] != NULL)
        n++;
    return n;
}

size_t
metric_label_place(enum metric_label l, const char *value)
{
    size_t last = metric_label_count(l) - 1;

    for (size_t i = 0; i < last; i++) {
        if (strcmp(metric_label_rows[l].values[i], value) == 0)
            return i;
    }
    return last;
}

size_t
metrics_bucket_count(const struct metric_row *row)
{
    size_t n = 0;

    while (n < METRICS_BUCKETS_MAX && row->buckets_ms[n] > 0)
        n++;
    return n;
}

static void
lay_out_one(const struct metric_row *row, struct metric_place *p)
{
    p->cells = 1;
    for (int k = METRICS_LABELS_MAX - 1; k >= 0; k--) {
        p->step[k] = p->cells;
        p->count[k] = metric_label_count(row->labels[k]);
        p->cells *= p->count[k];
    }
    p->width = 0;
    if (row->type == METRIC_COUNTER || row->type == METRIC_SET)
        p->width = 1;
    else if (row->type == METRIC_HISTOGRAM)
        p->width = metrics_bucket_count(row) + 2; /* +Inf, sum */
}

static void
lay_out(void)
{
    size_t at = CELLS_AT;

    if (here.words > 0)
        return;
    for (int m = 0; m < METRIC__MAX; m++) {
        struct metric_place *p = &here.places[m];

        lay_out_one(&metric_rows[m], p);
        p->at = at;
        at += p->cells * p->width;
    }
    here.words = at;
}

size_t
metrics_size(void)
{
    lay_out();
    return here.words * sizeof(word);
}

/* FNV-1a, 64 bits. */
static uint64_t
hash(uint64_t h, const void *data, size_t len)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

#define HASH_BEGIN 14695981039346656037u

uint32_t
metrics_layout(void)
{
    uint64_t h = HASH_BEGIN;

    for (int m = 0; m < METRIC__MAX; m++) {
        const struct metric_row *row = &metric_rows[m];

        h = hash(h, row->name, strlen(row->name) + 1);
        h = hash(h, &row->type, sizeof(row->type));
        h = hash(h, row->labels, sizeof(row->labels));
        h = hash(h, row->buckets_ms, sizeof(row->buckets_ms));
    }
    for (int l = METRIC_NO_LABEL + 1; l < METRIC_LABEL__MAX; l++) {
        for (size_t i = 0; l != METRIC_ROUTE && metric_label_rows[l].values[i] != NULL; i++)
            h = hash(h, metric_label_rows[l].values[i],
                     strlen(metric_label_rows[l].values[i]) + 1);
    }
    h ^= CELLS_AT; /* METRICS_ROUTES and METRICS_HOLDERS */
    return (uint32_t)(h ^ h >> 32);
}

void
metrics_attach(void *area)
{
    lay_out();
    here.area = area;
    metrics_hold_begin();
}

bool
metrics_are_on(void)
{
    return here.area != NULL;
}

/* --- routes --- */

static word *
route_words(size_t i)
{
    return here.area + i * ROUTE_WORDS;
}

/* The first word goes last: whoever sees it sees the rest. */
static void
write_name(word *to, const char *name)
{
    int64_t text[NAME_WORDS] = { 0 };

    memcpy(text, name, strlen(name));
    for (int i = NAME_WORDS - 1; i >= 0; i--)
        atomic_store_explicit(&to[i], text[i], memory_order_release);
}

bool
metrics_route_name(size_t i, char name[METRICS_ROUTE_MAX])
{
    int64_t text[NAME_WORDS];

    for (int k = 0; k < NAME_WORDS; k++)
        text[k] = atomic_load_explicit(&route_words(i)[1 + k], memory_order_acquire);
    memcpy(name, text, sizeof(text));
    name[METRICS_ROUTE_MAX - 1] = '\0';
    return name[0] != '\0';
}

size_t
metrics_route(const char *name)
{
    size_t len = strlen(name);
    uint64_t h = hash(HASH_BEGIN, name, len);
    int64_t mark = (int64_t)(h | 1); /* never 0 */

    assert(len > 0 && len < METRICS_ROUTE_MAX);
    for (size_t k = 0; here.area != NULL && k < METRICS_ROUTES - 1; k++) {
        size_t i = 1 + (h + k) % (METRICS_ROUTES - 1);
        word *w = route_words(i);
        int64_t found = 0;

        if (!atomic_compare_exchange_strong(&w[0], &found, mark) && found != mark)
            continue;
        if (atomic_load(&w[1]) == 0)
            write_name(w + 1, name);
        return i;
    }
    return 0;
}

/* --- counting --- */

const struct metric_place *
metrics_place(enum metric m)
{
    return &here.places[m];
}

const metric_word *
metrics_words(size_t at)
{
    return here.area + at;
}

metric_word *
metrics_holder_words(size_t i)
{
    return here.area == NULL ? NULL
                             : here.area + METRICS_ROUTES * ROUTE_WORDS + i * HOLDER_WORDS;
}

static word *
cell(enum metric m, size_t label0, size_t label1, size_t label2)
{
    const struct metric_place *p = &here.places[m];

    assert(label0 < p->count[0] && label1 < p->count[1] && label2 < p->count[2]);
    return here.area + p->at +
           (label0 * p->step[0] + label1 * p->step[1] + label2 * p->step[2]) * p->width;
}

static void
add(word *w, int64_t n)
{
    atomic_fetch_add_explicit(w, n, memory_order_relaxed);
}

void
metrics_add(enum metric m, int64_t n, size_t label0, size_t label1, size_t label2)
{
    if (here.area == NULL)
        return;
    assert(metric_rows[m].type == METRIC_COUNTER && n >= 0);
    add(cell(m, label0, label1, label2), n);
}

void
metrics_observe_us(enum metric m, int64_t us, size_t label0, size_t label1)
{
    const int *bounds = metric_rows[m].buckets_ms;
    size_t last, i = 0;
    word *w;

    if (here.area == NULL)
        return;
    assert(metric_rows[m].type == METRIC_HISTOGRAM);
    last = here.places[m].width - 2;
    w = cell(m, label0, label1, 0);
    if (us < 0)
        us = 0; /* a clock was set back */
    while (i < last && us > bounds[i] * INT64_C(1000))
        i++;
    add(&w[i], 1);
    add(&w[last + 1], us);
}

/* 0 is unknown, as the area begins. */
void
metrics_set(enum metric m, int64_t value)
{
    if (here.area == NULL)
        return;
    assert(metric_rows[m].type == METRIC_SET);
    atomic_store_explicit(cell(m, 0, 0, 0), value < 0 ? 0 : value + 1, memory_order_relaxed);
}
