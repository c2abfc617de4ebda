#include "frame_reader.h"

#include "common/arena.h"
#include "common/log.h"

#include <assert.h>
#include <wslay/wslay.h>

#define CONTROL_MAX 125
#define MASK_LEN 4

struct frame_parser {
    struct wslay_frame_context *wslay;
    const uint8_t *data; /* has arrived, and wslay has not taken it */
    size_t len;
    uint64_t left;  /* of the payload of a frame whose head is known */
    uint64_t taken; /* by wslay, and nothing has come of it yet: half a head */
    size_t control_len;
    char control[CONTROL_MAX];
};

static ssize_t
give(uint8_t *buf, size_t len, int flags, void *ctx)
{
    struct frame_parser *p = ctx;
    size_t n = len < p->len ? len : p->len;

    (void)flags;
    if (n == 0)
        return -1;
    memcpy(buf, p->data, n);
    p->data += n;
    p->len -= n;
    p->taken += n;
    return (ssize_t)n;
}

static struct frame_parser *
parser_new(void)
{
    static const struct wslay_frame_callbacks callbacks = { .recv_callback = give };
    struct frame_parser *p = xalloc(sizeof(*p));

    if (wslay_frame_context_init(&p->wslay, &callbacks, p) != 0)
        fatal(71, "wslay has no memory");
    return p;
}

void
frame_parser_free(struct frame_parser *p)
{
    if (p == NULL)
        return;
    wslay_frame_context_free(p->wslay);
    free(p);
}

void
frame_reader_fini(struct frame_reader *r)
{
    frame_parser_free(r->parser);
    r->parser = NULL;
}

static size_t
head_len(uint64_t payload)
{
    return 2 + (payload < 126 ? 0 : payload <= 0xffff ? 2 : 8) + MASK_LEN;
}

/* Whether a frame with this head may come now; if so the message begins, or goes on. */
static bool
begin(struct frame_reader *r, const struct wslay_frame_iocb *head)
{
    if (head->mask == 0 || head->rsv != WSLAY_RSV_NONE)
        return false;
    switch (head->opcode) {
    case WSLAY_CONTINUATION_FRAME:
        return r->in_message;
    case WSLAY_TEXT_FRAME:
    case WSLAY_BINARY_FRAME:
        if (r->in_message)
            return false;
        r->in_message = true;
        r->is_binary = head->opcode == WSLAY_BINARY_FRAME;
        return true;
    default:
        return head->opcode <= WSLAY_PONG && wslay_is_ctrl_frame(head->opcode);
    }
}

static void
take_piece(struct frame_reader *r, const struct wslay_frame_iocb *part, bool whole,
           const struct frame_calls *calls)
{
    const struct piece piece = { .data = (const char *)part->data,
                                 .len = part->data_length,
                                 .last = whole && part->fin,
                                 .binary = r->is_binary };

    r->in_message = !piece.last;
    calls->piece(calls->ctx, &piece);
}

static void
take_control(struct frame_reader *r, struct frame_parser *p,
             const struct wslay_frame_iocb *part, const struct frame_calls *calls)
{
    assert(p->control_len + part->data_length <= CONTROL_MAX);
    if (part->data_length > 0)
        memcpy(p->control + p->control_len, part->data, part->data_length);
    p->control_len += part->data_length;
    if (p->left > 0)
        return;
    r->is_over = part->opcode == WSLAY_CONNECTION_CLOSE;
    calls->control(calls->ctx, part->opcode, p->control, p->control_len);
    p->control_len = 0;
}

/* Hand over all that is there. False: a frame that nobody may send. */
static bool
parse(struct frame_reader *r, struct frame_parser *p, const struct frame_calls *calls)
{
    struct wslay_frame_iocb part;
    ssize_t n;

    while (!r->is_over && (n = wslay_frame_recv(p->wslay, &part)) != WSLAY_ERR_WANT_READ) {
        if (n < 0)
            return false;
        if (p->left == 0) {
            if (!begin(r, &part))
                return false;
            p->left = part.payload_length;
            p->taken -= head_len(part.payload_length);
        }
        p->left -= part.data_length;
        p->taken -= part.data_length;
        if (wslay_is_ctrl_frame(part.opcode))
            take_control(r, p, &part, calls);
        else
            take_piece(r, &part, p->left == 0, calls);
    }
    return true;
}

bool
frame_reader_read(struct frame_reader *r, struct frame_parser **shared, const void *data,
                  size_t len, const struct frame_calls *calls)
{
    struct frame_parser *p;
    bool sound;

    if (r->is_over)
        return true;
    if (r->parser == NULL) {
        r->parser = *shared != NULL ? *shared : parser_new();
        *shared = NULL;
    }
    p = r->parser;
    p->data = data;
    p->len = len;
    sound = parse(r, p, calls);
    r->is_over = r->is_over || !sound;
    if (!r->is_over && (p->left > 0 || p->taken > 0))
        return true;
    r->parser = NULL;
    if (r->is_over || *shared != NULL)
        frame_parser_free(p);
    else
        *shared = p;
    return sound;
}
