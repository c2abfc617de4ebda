/*
 * kairosctl doctor - does it all work, and if not, what has to be changed?
 */
#include "doctor.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/redis.h"
#include "common/token.h"
#include "ctl.h"

#include <getopt.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#define FAULTS_MAX (64 * 1024)
#define TOKEN_SECONDS 120
#define LETTERS_MIN 10 /* of different ones in a secret */
#define IDLE_EXTRA_MS 1000
#define CONNECTIONS_PERCENT 80
#define IDLE_MAX_MS (3600 * 1000)

static const char *const level_words[] = {
    [DOCTOR_OK] = "ok",
    [DOCTOR_WARN] = "warn",
    [DOCTOR_FAIL] = "FAIL",
};

static void
add_line(struct doctor *d, enum doctor_level level, const char *check, const char *finding,
         const char *remedy)
{
    struct json_object *line = json_object_new_object();

    json_object_object_add(line, "check", json_object_new_string(check));
    json_object_object_add(line, "level", json_object_new_string(level_words[level]));
    json_object_object_add(line, "finding", json_object_new_string(finding));
    if (remedy != NULL)
        json_object_object_add(line, "remedy", json_object_new_string(remedy));
    json_object_array_add(d->list, line);
}

void
doctor_say(struct doctor *d, enum doctor_level level, const char *check, const char *remedy,
           const char *fmt, ...)
{
    char finding[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(finding, sizeof(finding), fmt, args);
    va_end(args);
    d->bad += level != DOCTOR_OK;
    if (d->list != NULL) {
        add_line(d, level, check, finding, remedy);
        return;
    }
    printf("%-4s  %-22s  %s\n", level_words[level], check, finding);
    if (remedy != NULL)
        printf("      %-22s  -> %s\n", "", remedy);
    fflush(stdout);
}

void
doctor_say_connections(struct doctor *d, const char *check, const char *remedy, int64_t used,
                       int64_t most)
{
    bool many = used * 100 > most * CONNECTIONS_PERCENT;

    doctor_say(d, many ? DOCTOR_WARN : DOCTOR_OK, check, many ? remedy : NULL,
               "%" PRId64 " of %" PRId64 " are in use", used, most);
}

/* --- settings --- */

static void
check_secret(struct doctor *d)
{
    bool seen[256] = { false };
    int letters = 0;

    for (const char *s = d->conf->jwt_secret; *s != '\0'; s++) {
        letters += !seen[(unsigned char)*s];
        seen[(unsigned char)*s] = true;
    }
    if (d->conf->jwt_secret[0] == '\0' && d->conf->jwt_public_key_file[0] == '\0') {
        if (d->conf->auth_required)
            doctor_say(d, DOCTOR_FAIL, "token key",
                       "set JWT_SECRET (openssl rand -hex 32) or JWT_PUBLIC_KEY_FILE",
                       "callers need tokens, and there is no key to verify them");
        else
            doctor_say(d, DOCTOR_OK, "token key", NULL, "none, and nobody needs a token");
    } else if (d->conf->jwt_secret[0] != '\0' && letters < LETTERS_MIN) {
        doctor_say(d, DOCTOR_WARN, "token key",
                   "set JWT_SECRET to a random text: openssl rand -hex 32",
                   "JWT_SECRET has only %d different characters and can be guessed", letters);
    } else {
        doctor_say(d, DOCTOR_OK, "token key", NULL, "there is one");
    }
}

static void
check_anonymous(struct doctor *d)
{
    if (d->conf->auth_required)
        doctor_say(d, DOCTOR_OK, "anonymous callers", NULL, "are refused");
    else if (d->conf->app_env == ENV_PRODUCTION)
        doctor_say(d, DOCTOR_WARN, "anonymous callers",
                   "set AUTH_REQUIRED=true and give callers tokens, unless this is meant",
                   "anybody may command every session of this production installation");
    else
        doctor_say(d, DOCTOR_OK, "anonymous callers", NULL,
                   "may do everything; APP_ENV is not production");
}

static void
name_stranger(void *ctx, const char *name, const char *meant)
{
    struct buf *out = ctx;

    (void)meant;
    buf_printf(out, "%s%s", out->len == 0 ? "; not ours, and without effect: " : ", ", name);
}

/* The faults, one line each; false when there are some. */
static bool
check_settings(struct doctor *d, struct conf **conf)
{
    struct buf faults;
    char *rest, *line;

    buf_init(&faults, FAULTS_MAX);
    if (conf_load(conf, &faults) == RC_OK) {
        d->conf = *conf;
        conf_strangers(name_stranger, &faults);
        doctor_say(d, DOCTOR_OK, "settings", NULL, "are good%s", buf_cstr(&faults));
        buf_fini(&faults);
        return true;
    }
    for (rest = faults.data; (line = strsep(&rest, "\n")) != NULL;)
        if (*line != '\0')
            doctor_say(d, DOCTOR_FAIL, "settings",
                       "correct this in the environment or in the file of SYNCKAIROS_CONFIG; "
                       "etc/env.example describes every setting",
                       "%s", line);
    buf_fini(&faults);
    return false;
}

/* --- the tools of the checks --- */

/* A token like a service's, so that nothing counts on limits. */
static void
mint(struct doctor *d, struct buf *out)
{
    struct token_claims claims = { .sub = "kairosctl doctor", .role = ROLE_SERVICE };
    struct token_keys *keys = NULL;
    struct fail f = { 0 };

    claims.iat_s = clock_wall_ms() / 1000;
    claims.exp_s = claims.iat_s + TOKEN_SECONDS;
    if (*d->token != '\0' || d->conf->jwt_algorithm != 0 || d->conf->jwt_secret[0] == '\0')
        return;
    if (token_keys_new(d->conf, &keys, &f) == RC_OK && token_mint_own(keys, &claims, out))
        d->token = buf_cstr(out);
    token_keys_free(keys);
}

static void
examine(struct doctor *d)
{
    struct buf token, url;

    buf_init(&token, TOKEN_TEXT_MAX);
    buf_init(&url, 512);
    d->redis = redis_new(d->conf, "kairosctl");
    if (d->url == NULL) {
        buf_printf(&url, "http://localhost:%lld", (long long)d->conf->web_port);
        d->url = buf_cstr(&url);
    }
    if (d->idle_ms < 0)
        d->idle_ms = d->conf->ws_heartbeat_ms + IDLE_EXTRA_MS;
    mint(d, &token);
    check_secret(d);
    check_anonymous(d);
    doctor_redis(d);
    doctor_postgres(d);
    doctor_host(d);
    doctor_web(d);
    redis_free(d->redis);
    buf_fini(&url);
    buf_fini(&token);
}

static int
finish(struct doctor *d)
{
    int status;

    if (d->list != NULL) {
        puts(json_object_to_json_string_ext(d->list, JSON_C_TO_STRING_PRETTY |
                                                         JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(d->list);
    }
    status = ctl_done();
    return status == 0 && d->bad > 0 ? 1 : status;
}

static bool
take_option(struct doctor *d, int option)
{
    char *end = NULL;
    double seconds;

    switch (option) {
    case 'j':
        if (d->list == NULL)
            d->list = json_object_new_array();
        return true;
    case 'u':
        d->url = optarg;
        return true;
    case 't':
        d->token = optarg;
        return true;
    case 'i':
        seconds = strtod(optarg, &end);
        d->idle_ms = (int64_t)(seconds * 1000);
        return *optarg != '\0' && *end == '\0' && d->idle_ms >= 0 && d->idle_ms <= IDLE_MAX_MS;
    default:
        return false;
    }
}

static int
run(const struct conf *none, int argc, char **argv)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { "url", required_argument, NULL, 'u' },
                                             { "token", required_argument, NULL, 't' },
                                             { "idle", required_argument, NULL, 'i' },
                                             { NULL, 0, NULL, 0 } };
    struct doctor d = { .token = "", .idle_ms = -1 };
    struct conf *conf = NULL;
    int option;

    (void)none;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!take_option(&d, option))
            return ctl_misused(&ctl_doctor, "unknown option, or not such a value");
    if (optind < argc)
        return ctl_misused(&ctl_doctor, "takes no argument");
    if (check_settings(&d, &conf))
        examine(&d);
    conf_free(conf);
    return finish(&d);
}

const struct ctl_command ctl_doctor = {
    .name = "doctor",
    .summary = "try everything out, and say what to change",
    .usage =
        "kairosctl doctor [--json] [--url=URL] [--token=JWT] [--idle=SECONDS]\n"
        "Looks at settings, Redis, PostgreSQL, this host, and at the web server as a client\n"
        "does: one line for each check (ok, warn or FAIL) and below it what to change. To be\n"
        "run with the settings of the service, on its host. Exits 0 when everything is ok.\n"
        "  --json           the same as a JSON array\n"
        "  --url=URL        the web server (default http://localhost:PORT)\n"
        "  --token=JWT      show this token (default: one made with JWT_SECRET)\n"
        "  --idle=SECONDS   how long a WebSocket is left alone to see whether it survives\n"
        "                   (default: a little longer than WS_HEARTBEAT_INTERVAL)\n",
    .loads_settings = true,
    .run = run,
};
