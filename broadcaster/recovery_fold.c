#include "recovery_fold.h"

#include "common/arena.h"
#include "common/event.h"

struct recovery_fold {
    struct recovery_row *row; /* those that count, newest first */
    size_t n, size;
    bool whole; /* the last one has a snapshot */
};

struct recovery_fold *
recovery_fold_new(void)
{
    return xalloc(sizeof(struct recovery_fold));
}

void
recovery_fold_free(struct recovery_fold *fold)
{
    if (fold == NULL)
        return;
    free(fold->row);
    free(fold);
}

bool
recovery_fold_add(struct recovery_fold *fold, const struct recovery_row *row)
{
    if (fold->whole)
        return true;
    if (fold->n > 0 && row->version >= fold->row[fold->n - 1].version)
        return false;
    if (fold->n == fold->size) {
        fold->size = fold->size == 0 ? 64 : 2 * fold->size;
        fold->row = xrealloc(fold->row, fold->size * sizeof(*fold->row));
    }
    fold->row[fold->n++] = *row;
    fold->whole = row->snapshot[0] != '\0';
    return fold->whole;
}

enum rc
recovery_fold_state(const struct recovery_fold *fold, struct session *s, struct fail *f)
{
    const char *base;
    enum rc rc;

    if (!fold->whole)
        return fail_log(f, RC_STATE_UNREADABLE, "no snapshot is recorded");
    base = fold->row[fold->n - 1].snapshot;
    rc = event_lines_take(base, strlen(base), s, f);
    for (size_t i = fold->n - 1; i > 0 && rc == RC_OK; i--) {
        if (fold->row[i - 1].version != fold->row[i].version + 1)
            return fail_log(f, RC_STATE_UNREADABLE, "a record is missing");
        rc = event_lines_take(fold->row[i - 1].delta, strlen(fold->row[i - 1].delta), s, f);
    }
    if (rc == RC_OK)
        rc = event_lines_apply("", 0, s, f); /* judges the whole */
    if (rc != RC_OK)
        return rc;
    s->version = fold->row[0].version;
    snprintf(s->epoch, sizeof(s->epoch), "%s", fold->row[0].epoch);
    return RC_OK;
}
