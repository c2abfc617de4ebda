/* The head of a request as a broadcaster reads it. What is behind the head is the payload of a
 * Close. Behind a line "admission" stands what is asked about a head, line by line. */
#include "broadcaster/admission.h"
#include "broadcaster/frame.h"
#include "broadcaster/head.h"
#include "common/arena.h"
#include "fuzz.h"

#include <string.h>

static void
hold_close(const char *s, size_t len)
{
    uint16_t code = frame_close_answer(s, len);

    HOLD(code == 0 || (code >= 1000 && code < 5000));
    HOLD((code == 0) == (len == 0));
}

/* --- what admission.h is asked about a head --- */

#define FIELDS 8

/* Lines: the path, the version, the session, Origin, Host, subprotocols, Authorization, the
 * token of the query, each "-" when there is none, and letters for what else is the case. */
static bool
admit(const char *s, size_t len)
{
    char *text = xalloc(len + 1), *rest = text;
    const char *field[FIELDS] = { "" };
    struct admission a;
    const char *token, *flags;
    enum verdict verdict;
    size_t n;

    memcpy(text, s, len);
    for (int i = 0; i < FIELDS && rest != NULL; i++) {
        field[i] = strsep(&rest, "\n");
        if (i > 0 && strcmp(field[i], "-") == 0)
            field[i] = NULL;
    }
    flags = rest != NULL ? rest : "";
    a = (struct admission){ .path = field[0],
                            .version = field[1],
                            .session_id = field[2],
                            .origin = field[3],
                            .host = field[4],
                            .subprotocol = field[5],
                            .authorization = field[6],
                            .query_token = field[7],
                            .is_signed_in = strchr(flags, 's') != NULL,
                            .full = strchr(flags, 'f') != NULL,
                            .draining = strchr(flags, 'd') != NULL };
    token = admission_token(&a, &n);
    HOLD(token == NULL || (n > 0 && strlen(token) >= n));
    verdict =
        admission_judge(&a, strchr(flags, 'o') != NULL ? "" : "https://a.example, http://b",
                        strchr(flags, 'a') != NULL);
    HOLD(verdict < VERDICT__MAX && verdict_rows[verdict].status != 0);
    free(text);
    return verdict_rows[verdict].status == 101;
}

/* Every part is a string of its own, none longer than the head, and whose request it is can be
 * said. */
static void
hold_head(const struct head *h, const char *s, size_t len)
{
    const char *parts[] = {
        h->a.path,    h->a.session_id,  h->a.query_token,   h->a.origin,  h->a.host,
        h->a.version, h->a.subprotocol, h->a.authorization, h->said_peer, h->forwarded_for,
        h->key
    };
    struct proxy_list proxies;
    char address[ADDRESS_MAX];
    size_t sum = 0;

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        sum += parts[i] != NULL ? strlen(parts[i]) + 1 : 0;
    HOLD(h->a.path != NULL && sum <= len && h->text_len <= HEAD_MAX);
    HOLD(h->key == NULL || (strlen(h->key) == 24 && h->method == HEAD_GET));
    HOLD(memmem(s, len, "\n ", 2) == NULL);
    HOLD(proxy_list_parse("127.0.0.1, 10.0.0.0/8", &proxies, NULL) == RC_OK);
    head_client(h, "127.0.0.1", &proxies, address);
    HOLD(strlen(address) > 0);
}

bool
fuzz_take(const char *s, size_t len)
{
    static const char admission[] = "admission\n";
    const char *end = memmem(s, len, "\r\n\r\n", 4);
    static struct head read;
    size_t head = end != NULL ? (size_t)(end + 4 - s) : len;
    enum head_rc rc;

    if (head > HEAD_MAX)
        return false;
    if (len > sizeof(admission) - 1 && memcmp(s, admission, sizeof(admission) - 1) == 0)
        return admit(s + sizeof(admission) - 1, len - (sizeof(admission) - 1));
    hold_close(s + head, len - head);
    rc = head_read(&read, s, head);
    HOLD(rc == HEAD_SOUND || rc == HEAD_BAD || rc == HEAD_LARGE);
    if (rc == HEAD_SOUND)
        hold_head(&read, s, head);
    return rc == HEAD_SOUND;
}
