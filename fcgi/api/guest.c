/*
 * /v1/tokens/guest: a token for the asking, so that the pages of `make run` work where tokens
 * are needed. Only with GUEST_TOKENS=true, which needs APP_ENV=development. A guest is
 * "guest-<name>": he can be any guest, and nobody else.
 */
#include "fcgi/api/api.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/id.h"
#include "common/token.h"
#include "fcgi/gate.h"
#include "fcgi/request.h"

#define LASTS_MS (24LL * 3600 * 1000)

/* clang-format off */
static const struct field guest_fields[] = {
    { .name = "name", .type = F_STR, .plain = true, .label = "Name", .min = 1, .max = 40,
      .doc = "Which guest; a new one when it is left out." },
    { .name = "if_needed", .type = F_BOOL, .label = "if_needed",
      .doc = "None where everybody is let in without." },
    { .type = F_END },
};
/* clang-format on */

static const char *
sub_of(struct req *rq)
{
    const char *name = body_str(rq->body.json, "name");
    char id[ID_LEN + 1];

    id_uuid4(id);
    return arena_printf(rq->mem, "guest-%s", name != NULL ? name : id);
}

static bool
gives(const struct req *rq)
{
    const struct conf *conf = rq->app->conf;

    return conf->guest_tokens && conf->app_env == ENV_DEVELOPMENT &&
           (conf->auth_required || !body_bool(rq->body.json, "if_needed", false));
}

static enum rc
guest(struct req *rq, struct fail *f)
{
    const struct conf *conf = rq->app->conf;
    int64_t now_ms = clock_wall_ms();
    int64_t lasts_ms = conf->jwt_expires_ms < LASTS_MS ? conf->jwt_expires_ms : LASTS_MS;
    struct token_claims claims = { .iat_s = now_ms / 1000,
                                   .exp_s = (now_ms + lasts_ms) / 1000 };
    struct buf text, *out;
    enum rc rc = gate_limit_settle(rq, f);

    if (rc != RC_OK)
        return rc;
    claims.sub = sub_of(rq);
    buf_init(&text, TOKEN_TEXT_MAX);
    if (gives(rq) && token_mint_own(rq->app->tokens, &claims, &text)) {
        out = reply_data(rq, 200);
        buf_printf(out, "{\"token\":\"%s\",\"sub\":", text.data);
        buf_json(out, claims.sub, strlen(claims.sub));
        buf_str(out, ",\"expires_at\":");
        buf_time(out, claims.exp_s * 1000);
        buf_char(out, '}');
    } else if (conf->auth_required) {
        rc = fail_set(f, RC_UNAUTHENTICATED, "A valid token is needed, and none is given here");
    } else {
        reply_empty(rq, 204);
    }
    reply_header(rq, "Cache-Control", "no-store");
    buf_fini(&text);
    return rc;
}

/* clang-format off */
const struct route guest_routes[] = {
    { METHOD_POST, "/v1/tokens/guest", AUTH_PUBLIC, LIMIT_GENERAL, guest_fields, NULL, guest, 200, ANSWER_OPERATOR, "Development", "A token without a login, in development" },
    { .path = NULL },
};
/* clang-format on */
