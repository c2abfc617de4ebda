/* /v1/sessions/batch: several sessions in one answer, for clients that show many. */
#include "fcgi/api/api.h"

#include "common/session.h"
#include "common/session_json.h"
#include "common/session_store.h"
#include "fcgi/api/session_body.h"
#include "fcgi/gate.h"

#include <json-c/json.h>

#define IDS_MAX 50

/* clang-format off */
static const struct field session_id[] = {
    { .type = F_UUID, .label = "Session ID" },
};

static const struct field batch_fields[] = {
    { .name = "session_ids", .type = F_ARRAY, .label = "Session IDs", .required = true,
      .min = 0, .max = IDS_MAX, .items = session_id, .too_big = "Cannot exceed 50 sessions",
      .doc = "Which sessions. One that is named twice is shown once." },
    { .type = F_END },
};
/* clang-format on */

static bool
is_listed(const struct store_read *reads, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++) {
        if (id_equal(reads[i].id, id))
            return true;
    }
    return false;
}

/* The ids of the body, each once, into reads[]; how many. */
static size_t
list_ids(struct req *rq, struct store_read reads[IDS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < body_array_len(rq->body.json, "session_ids"); i++) {
        const char *id = json_object_get_string(body_array_at(rq->body.json, "session_ids", i));

        if (is_listed(reads, n, id))
            continue;
        reads[n] = (struct store_read){ .id = id, .s = session_of_request(rq) };
        n++;
    }
    return n;
}

static void
print(struct buf *out, const struct store_read *reads, size_t n)
{
    const char *comma = "";

    buf_str(out, "{\"sessions\":[");
    for (size_t i = 0; i < n; i++) {
        if (!reads[i].found)
            continue;
        buf_str(out, comma);
        session_json(out, reads[i].s, reads[i].server_time_ms);
        comma = ",";
    }
    buf_str(out, "],\"missing\":[");
    comma = "";
    for (size_t i = 0; i < n; i++) {
        if (reads[i].found)
            continue;
        buf_printf(out, "%s\"%s\"", comma, reads[i].id);
        comma = ",";
    }
    buf_str(out, "]}");
}

static enum rc
batch(struct req *rq, struct fail *f)
{
    struct store_read reads[IDS_MAX];
    size_t n = list_ids(rq, reads);
    enum rc rc = session_store_get_many(rq->app->store, reads, n, gate_rider(rq), f);

    for (size_t i = 0; i < n; i++) {
        if (reads[i].server_time_ms > rq->server_time_ms)
            rq->server_time_ms = reads[i].server_time_ms;
    }
    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; i < n; i++) {
        if (reads[i].found &&
            access_judge(&rq->caller, reads[i].s, COMMAND_NONE) != ACCESS_ALLOWED)
            reads[i].found = false;
    }
    print(reply_data(rq, 200), reads, n);
    reply_header(rq, "Cache-Control", "no-cache");
    return RC_OK;
}

/* clang-format off */
const struct route session_batch_routes[] = {
    { METHOD_POST, "/v1/sessions/batch", AUTH_SYNC, LIMIT_GENERAL, batch_fields, NULL, batch, 200, ANSWER_BATCH, "Sessions", "Read up to 50 sessions" },
    { .path = NULL },
};
/* clang-format on */
