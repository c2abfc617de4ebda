/*
 * kairosctl token - make tokens, look into them, and end them before their time.
 */
#include "common/token.h"
#include "common/arena.h"
#include "common/base64.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/id.h"
#include "common/json.h"
#include "common/redis.h"
#include "common/revoke.h"
#include "common/token_key.h"
#include "ctl.h"

#include <getopt.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <sysexits.h>

#define SECONDS_MAX (3660LL * 24 * 3600)

/* What stands behind the verb. */
struct asked {
    struct token_claims claims;
    const char *players[TOKEN_PARTICIPANTS_MAX];
    const char *key;  /* path of a private key; NULL: JWT_SECRET */
    const char *text; /* the token, the argument */
    int64_t seconds;
};

enum {
    ASK_SUB = 's',
    ASK_ROLE = 'r',
    ASK_SID = 'i',
    ASK_JTI = 'j',
    ASK_PARTICIPANT = 'p',
    ASK_SECONDS = 'n',
    ASK_KEY = 'k'
};

static const struct option options[] = {
    { "sub", required_argument, NULL, ASK_SUB },
    { "role", required_argument, NULL, ASK_ROLE },
    { "sid", required_argument, NULL, ASK_SID },
    { "jti", required_argument, NULL, ASK_JTI },
    { "participant", required_argument, NULL, ASK_PARTICIPANT },
    { "seconds", required_argument, NULL, ASK_SECONDS },
    { "key", required_argument, NULL, ASK_KEY },
    { NULL, 0, NULL, 0 },
};

static bool
is_name(const char *s)
{
    size_t len = strlen(s);

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
            return false;
    return len > 0 && len <= TOKEN_NAME_MAX;
}

static bool
take_name(const char *s, const char **out)
{
    *out = s;
    return is_name(s);
}

static bool
take_participant(struct asked *a, const char *s)
{
    if (!id_is_uuid(s, strlen(s)) || a->claims.n == TOKEN_PARTICIPANTS_MAX)
        return false;
    a->players[a->claims.n++] = s;
    return true;
}

static bool
take_seconds(struct asked *a, const char *s)
{
    char *end;

    a->seconds = strtoll(s, &end, 10);
    return *s >= '0' && *s <= '9' && *end == '\0' && a->seconds > 0 &&
           a->seconds <= SECONDS_MAX;
}

static bool
take(struct asked *a, int option, const char *value)
{
    switch (option) {
    case ASK_SUB:
        return take_name(value, &a->claims.sub);
    case ASK_SID:
        return take_name(value, &a->claims.sid);
    case ASK_JTI:
        return take_name(value, &a->claims.jti);
    case ASK_ROLE:
        a->claims.role = role_parse(value);
        return a->claims.role != ROLE_NONE;
    case ASK_PARTICIPANT:
        return take_participant(a, value);
    case ASK_SECONDS:
        return take_seconds(a, value);
    case ASK_KEY:
        a->key = value;
        return true;
    default:
        return false;
    }
}

/* --- mint --- */

static int
mint_with(const struct conf *conf, struct asked *a, struct buf *out)
{
    struct token_key *key[TOKEN_KEYS_MAX];
    struct fail f = { 0 };
    size_t n;
    bool good;

    if (token_key_read((enum token_algorithm)conf->jwt_algorithm, a->key, true, key, &n, &f) !=
        RC_OK)
        return ctl_failed("--key", &f);
    a->claims.iss = conf->jwt_issuer;
    a->claims.aud = conf->jwt_audience;
    good = token_mint(key[0], &a->claims, out);
    while (n > 0)
        token_key_free(key[--n]);
    return good ? 0 : EX_SOFTWARE;
}

static int
mint_own(const struct conf *conf, struct asked *a, struct buf *out)
{
    struct token_keys *keys = NULL;
    struct fail f = { 0 };
    int status = 0;

    if (token_keys_new(conf, &keys, &f) != RC_OK)
        return ctl_failed("token", &f);
    if (!token_mint_own(keys, &a->claims, out)) {
        ctl_say("token: there is no key to sign with: set JWT_SECRET, or give --key");
        status = EX_CONFIG;
    }
    token_keys_free(keys);
    return status;
}

static int
mint(const struct conf *conf, struct asked *a)
{
    struct buf out;
    int status;

    if (a->claims.sub == NULL || a->text != NULL)
        return ctl_misused(&ctl_token, "mint needs --sub, and no argument");
    if (a->key != NULL && conf->jwt_algorithm == TOKEN_HS256)
        return ctl_misused(&ctl_token, "--key is for JWT_ALGORITHM other than HS256");
    a->claims.iat_s = clock_wall_ms() / 1000;
    a->claims.exp_s =
        a->claims.iat_s + (a->seconds > 0 ? a->seconds : conf->jwt_expires_ms / 1000);
    a->claims.participants = a->players;
    buf_init(&out, TOKEN_TEXT_MAX);
    status = a->key != NULL ? mint_with(conf, a, &out) : mint_own(conf, a, &out);
    if (status == 0)
        puts(buf_cstr(&out));
    buf_fini(&out);
    return status != 0 ? status : ctl_done();
}

/* --- inspect --- */

/* What a piece of the token says, whether it is signed or not; control characters as '?'. */
static void
print_piece(const char *s, size_t len)
{
    unsigned char bytes[BASE64_BYTES(TOKEN_TEXT_MAX) + 1];
    size_t n;

    if (len > TOKEN_TEXT_MAX || !base64_decode(s, len, bytes, &n) ||
        !json_utf8_is_valid((const char *)bytes, n)) {
        puts("(no text as base64url)");
        return;
    }
    for (size_t i = 0; i < n; i++)
        putchar(bytes[i] < ' ' || bytes[i] == 0x7f ? '?' : bytes[i]);
    putchar('\n');
}

static int
inspect(const struct conf *conf, struct asked *a)
{
    struct token_keys *keys = NULL;
    const struct token *t;
    struct fail f = { 0 };
    size_t head;
    enum rc rc;

    if (a->text == NULL)
        return ctl_misused(&ctl_token, "inspect needs a token");
    if (token_keys_new(conf, &keys, &f) != RC_OK)
        return ctl_failed("token", &f);
    head = strcspn(a->text, ".");
    print_piece(a->text, head);
    if (a->text[head] == '.')
        print_piece(a->text + head + 1, strcspn(a->text + head + 1, "."));
    rc = token_check(keys, a->text, strlen(a->text), clock_wall_ms(), &t, &f);
    puts(rc == RC_OK ? "accepted" : f.message);
    token_keys_free(keys);
    return rc == RC_OK ? ctl_done() : 1;
}

/* --- revoke --- */

static int
revoke_one(const struct conf *conf, enum revoke_kind kind, const char *value)
{
    struct redis *redis = redis_new(conf, "kairosctl");
    struct redis_batch *b = redis_batch_new();
    struct fail f = { 0 };
    int place = revoke_put(b, conf->key_prefix, kind, value, clock_wall_ms());
    enum rc rc = redis_run(redis, b, &f);
    int status = 0;

    if (rc == RC_OK)
        rc = redis_batch_check(b, place, &f);
    if (rc == RC_OK)
        rc = redis_batch_check(b, place + 1, &f);
    if (rc != RC_OK)
        status = ctl_failed("revoke", &f);
    else
        printf("%s revoked, told to %lld broadcasters\n", revoke_kind_name(kind),
               redis_batch_reply(b, place + 1)->integer);
    redis_batch_free(b);
    redis_free(redis);
    return status != 0 ? status : ctl_done();
}

static int
revoke(const struct conf *conf, struct asked *a)
{
    const char *const values[REVOKE__MAX] = { a->claims.sub, a->claims.sid, a->claims.jti };
    int kind = -1, n = 0;

    for (int k = 0; k < REVOKE__MAX; k++)
        if (values[k] != NULL) {
            kind = k;
            n++;
        }
    if (n != 1 || a->text != NULL)
        return ctl_misused(&ctl_token, "revoke needs one of --sub, --sid and --jti");
    return revoke_one(conf, (enum revoke_kind)kind, values[kind]);
}

/* --- which --- */

static const struct {
    const char *name;
    int (*run)(const struct conf *conf, struct asked *a);
} verbs[] = { { "mint", mint }, { "inspect", inspect }, { "revoke", revoke } };

static int
run(const struct conf *conf, int argc, char **argv)
{
    struct asked a = { .seconds = 0 };
    int option;

    if (argc < 2)
        return ctl_misused(&ctl_token, "needs mint, inspect or revoke");
    while ((option = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1)
        if (!take(&a, option, optarg))
            return ctl_misused(&ctl_token, "an option is unknown, or its value is none");
    argc--;
    argv++;
    if (optind < argc)
        a.text = argv[optind++];
    if (optind < argc)
        return ctl_misused(&ctl_token, "too many arguments");
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, argv[0]) == 0)
            return verbs[i].run(conf, &a);
    return ctl_misused(&ctl_token, "needs mint, inspect or revoke");
}

const struct ctl_command ctl_token = {
    .name = "token",
    .summary = "make tokens, look into them, revoke them",
    .usage =
        "kairosctl token mint --sub WHO [--role user|service|moderator|admin] [--seconds N]\n"
        "                     [--participant UUID]... [--sid LOGIN] [--jti NAME] [--key FILE]\n"
        "Prints a token, signed with JWT_SECRET, or with the private key in FILE where\n"
        "JWT_ALGORITHM is another than HS256. It lasts JWT_EXPIRES_IN unless --seconds says\n"
        "otherwise.\n"
        "kairosctl token inspect TOKEN\n"
        "Prints its header, its claims, and whether it would be accepted; 1 when not.\n"
        "kairosctl token revoke --sub WHO | --sid LOGIN | --jti NAME\n"
        "Ends all tokens of that person, login or name that were issued up to now, also on\n"
        "open WebSockets.\n",
    .run = run,
};
