#include "answer.h"

#include "common/buf.h"
#include "common/headers.h"

#include <assert.h>
#include <libwebsockets.h>
#include <string.h>

static const char *
status_text(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } texts[] = { { 200, "OK" },
                  { 400, "Bad Request" },
                  { 401, "Unauthorized" },
                  { 403, "Forbidden" },
                  { 404, "Not Found" },
                  { 405, "Method Not Allowed" },
                  { 426, "Upgrade Required" },
                  { 429, "Too Many Requests" },
                  { 503, "Service Unavailable" } };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (texts[i].status == status)
            return texts[i].text;
    return "Error";
}

bool
answer_send(struct lws *wsi, const struct answer *a)
{
    struct buf out;
    bool ok;

    buf_init(&out, 2048);
    buf_printf(&out, "HTTP/1.1 %u %s\r\n", a->status, status_text(a->status));
    buf_str(&out, "Content-Type: application/json; charset=utf-8\r\nCache-Control: "
                  "no-store\r\n" HEADERS_ALWAYS HEADERS_DATA);
    if (a->header != NULL)
        buf_printf(&out, "%s\r\n", a->header);
    if (a->last)
        buf_str(&out, "Connection: close\r\n");
    buf_printf(&out, "Content-Length: %zu\r\n\r\n%s", strlen(a->body), a->bare ? "" : a->body);
    assert(!out.overflow);
    ok = lws_write(wsi, (unsigned char *)out.data, out.len, LWS_WRITE_RAW) >= 0;
    buf_fini(&out);
    return ok;
}
