/* Bytes from strangers, a few of them changed at a time: what is read of them stays sane. The
 * sanitizer runs make it count. */
#include "broadcaster/head.h"
#include "broadcaster/protocol.h"
#include "common/buf.h"
#include "common/json.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 40000
#define UUID "aaaaaaaa-0000-4000-8000-00000000000a"

static uint64_t seed = 88172645463325252u;

static size_t
below(size_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)(seed % n);
}

/* `text` with up to four places changed, cut, doubled or taken from elsewhere in it. */
static size_t
spoil(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);

    memcpy(out, text, len);
    for (size_t k = below(5); k > 0 && len > 0; k--) {
        size_t at = below(len), n = 1 + below(len - at);

        switch (below(4)) {
        case 0:
            out[at] = (char)below(256);
            break;
        case 1:
            memmove(out + at, out + at + n, len - at - n);
            len -= n;
            break;
        case 2:
            if (len + n <= size) {
                memmove(out + at + n, out + at, len - at);
                len += n;
            }
            break;
        default:
            out[at] = "\"{}[]:,\r\n\0 .-09eE"[below(18)];
        }
    }
    return len;
}

static void
check_message(const struct message *m)
{
    struct json_object *number = NULL;

    assert_true(m->type > MESSAGE_NONE && m->type < MESSAGE__MAX);
    if (m->session_id[0] != '\0')
        assert_true(id_is_uuid_shape(m->session_id, strlen(m->session_id)));
    else
        assert_true(m->type == MESSAGE_PING || m->type == MESSAGE_RECONNECT);
    assert_true(m->last_known_version >= -1);
    assert_non_null(memchr(m->epoch, '\0', sizeof(m->epoch)));
    if (m->timestamp[0] != '\0') {
        assert_int_equal(json_parse(m->timestamp, strlen(m->timestamp), &number, NULL), RC_OK);
        json_object_put(number);
    }
}

static void
messages(void **state)
{
    static const char *const texts[] = {
        "{\"type\":\"PING\",\"timestamp\":1795362446694.25}",
        "{\"type\":\"RECONNECT\",\"sessionId\":\"" UUID
        "\",\"last_known_version\":7,\"epoch\":\"0hoergtifvr-ydfg.0mwscju0n\"}",
        "{\"type\":\"SUBSCRIBE\",\"sessionId\":\"" UUID "\",\"delta\":true}",
        "{\"type\":\"UNSUBSCRIBE\",\"sessionId\":\"" UUID "\"}",
    };
    int good = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        char text[512];
        size_t len = spoil(text, sizeof(text), texts[below(4)]);
        struct message m;

        if (protocol_parse(text, len, &m) != FAULT_NONE)
            continue;
        check_message(&m);
        good++;
    }
    assert_true(good > ROUNDS / 10 && good < ROUNDS);
}

static void
heads(void **state)
{
    static const char *const texts[] = {
        "GET /ws?sessionId=" UUID "&delta=1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "GET /ws?token=a%2eb HTTP/1.1\r\nAuthorization: Basic x\r\nsec-websocket-protocol: "
        "x,bearer.y,z\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n",
    };
    static struct head head;
    int sound = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        char text[512];
        size_t len = spoil(text, sizeof(text), texts[below(2)]);

        if (head_read(&head, text, len) != HEAD_SOUND)
            continue;
        assert_true(strlen(head.a.path) < len);
        assert_true(head.key == NULL || strlen(head.key) == 24);
        sound++;
    }
    assert_true(sound > ROUNDS / 10 && sound < ROUNDS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages),
        cmocka_unit_test(heads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
