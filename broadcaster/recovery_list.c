#include "recovery_list.h"

#include "common/arena.h"
#include "common/pg.h"
#include "common/redis.h"
#include "recovery_put.h"

#include <inttypes.h>

#define PAGE_SIZE 1000

enum { C_ID, C_EPOCH, C_VERSION, C_LIVE };

static const struct pg_stmt page_stmt = {
    "sessions that may be lost",
    "SELECT session_id, epoch, version, (final_status IS NULL AND deleted_at IS NULL)::integer"
    " FROM sync_sessions WHERE session_id > $1::uuid AND"
    " ((final_status IS NULL AND deleted_at IS NULL)"
    "  OR last_updated_at >= to_timestamp($2::float8 / 1000))"
    " ORDER BY session_id LIMIT 1000",
    2,
};

static void
add(struct recovery_list *list, const char *id)
{
    if (list->n == list->size) {
        list->size = list->size == 0 ? 256 : 2 * list->size;
        list->id = xrealloc(list->id, list->size * sizeof(*list->id));
    }
    snprintf(list->id[list->n++].s, sizeof(list->id->s), "%s", id);
}

/* Whether a row is about a session of these partitions. */
static bool
is_asked_for(const struct pg_result *page, int row, const bool partitions[KEYS_PARTITIONS])
{
    const char *id = pg_text(page, row, C_ID);

    return id_is_uuid_shape(id, strlen(id)) && partitions[keys_partition(id)];
}

/* Compare one page with Redis. */
static enum rc
take_page(struct recovery_list *list, struct recovery_putter *p, const struct pg_result *page,
          const bool partitions[KEYS_PARTITIONS], struct fail *f)
{
    int place = 0;
    enum rc rc;

    redis_batch_clear(p->batch);
    for (int row = 0; row < pg_rows(page); row++)
        if (is_asked_for(page, row, partitions))
            recovery_mark_ask(p, pg_text(page, row, C_ID));
    if (redis_batch_count(p->batch) == 0)
        return RC_OK;
    rc = redis_run(p->redis, p->batch, f);
    for (int row = 0; row < pg_rows(page) && rc == RC_OK; row++) {
        struct recovery_mark there, recorded = { .version = pg_int(page, row, C_VERSION) };

        if (!is_asked_for(page, row, partitions))
            continue;
        rc = redis_batch_check(p->batch, place, f);
        if (rc != RC_OK)
            break;
        recovery_mark_take(p->batch, place++, &there);
        snprintf(recorded.epoch, sizeof(recorded.epoch), "%s", pg_text(page, row, C_EPOCH));
        if (there.epoch[0] == '\0' ? pg_int(page, row, C_LIVE) == 1
                                   : recovery_mark_is_before(&there, &recorded))
            add(list, pg_text(page, row, C_ID));
    }
    return rc;
}

enum rc
recovery_list_fill(struct recovery_list *list, struct recovery_putter *p,
                   const bool partitions[KEYS_PARTITIONS], int64_t changed_ms, struct fail *f)
{
    char after[ID_LEN + 1] = "00000000-0000-0000-0000-000000000000", changed[24];
    const char *args[] = { after, changed };
    bool more = true;
    enum rc rc = RC_OK;

    snprintf(changed, sizeof(changed), "%" PRId64, changed_ms);
    list->n = 0;
    while (more && rc == RC_OK) {
        struct pg_result *page = NULL;

        rc = pg_run(p->pg, &page_stmt, args, &page, f);
        if (rc != RC_OK)
            return rc;
        rc = take_page(list, p, page, partitions, f);
        more = pg_rows(page) == PAGE_SIZE;
        if (more)
            snprintf(after, sizeof(after), "%s", pg_text(page, PAGE_SIZE - 1, C_ID));
        pg_result_free(page);
    }
    return rc;
}

void
recovery_list_fini(struct recovery_list *list)
{
    free(list->id);
}
