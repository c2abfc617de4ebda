/* The head of a request as a broadcaster looks at it: what is sound stays a head when its token
 * is moved. A line behind the head is the payload of a Close. Behind a line "admission" stands
 * what is asked about a head, line by line. */
#include "broadcaster/admission.h"
#include "broadcaster/foyer.h"
#include "broadcaster/frame.h"
#include "broadcaster/vet.h"
#include "common/arena.h"
#include "common/buf.h"
#include "fuzz.h"

#include <string.h>

#define REWRITTEN_MAX (64 * 1024)
#define HEAD_MAX 8192 /* more is never looked at */

static void
hold_close(const char *s, size_t len)
{
    uint16_t code = frame_close_answer(s, len);

    HOLD(code == 0 || (code >= 1000 && code < 5000));
    HOLD((code == 0) == (len == 0));
}

/* --- what the library makes of a head, as admission.h is asked about it --- */

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

bool
fuzz_take(const char *s, size_t len)
{
    static const char admission[] = "admission\n";
    const char *end = memmem(s, len, "\r\n\r\n", 4);
    size_t head = end != NULL ? (size_t)(end + 4 - s) : len;
    enum vet vet;
    struct buf out;

    if (head > HEAD_MAX)
        return false;
    if (len > sizeof(admission) - 1 && memcmp(s, admission, sizeof(admission) - 1) == 0)
        return admit(s + sizeof(admission) - 1, len - (sizeof(admission) - 1));
    hold_close(s + head, len - head);
    vet = vet_head(s, head);
    buf_init(&out, REWRITTEN_MAX);
    if (foyer_rewrite(&out, s, head)) {
        HOLD(!out.overflow);
        HOLD(vet != VET_SOUND || out.len < head + 64);
        HOLD(vet != VET_SOUND || vet_head(out.data, out.len) == VET_SOUND);
    }
    buf_fini(&out);
    return vet == VET_SOUND;
}
