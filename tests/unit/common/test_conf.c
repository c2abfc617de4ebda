#include "common/buf.h"
#include "common/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

static struct buf errors;
static char dir[] = "/tmp/test_conf.XXXXXX";

static int
make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

static int
clean(void **state)
{
    (void)state;
    clearenv();
    buf_init(&errors, 4096);
    return 0;
}

static int
done(void **state)
{
    (void)state;
    buf_fini(&errors);
    return 0;
}

static const char *
path_of(const char *name)
{
    static char path[100];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void
write_file(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Load with this configuration file. */
static enum rc
load_file(const char *text, struct conf **c)
{
    enum rc rc;

    write_file("conf", text);
    setenv("SYNCKAIROS_CONFIG", path_of("conf"), 1);
    rc = conf_load(c, &errors);
    unlink(path_of("conf"));
    return rc;
}

static size_t
lines(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += *s == '\n';
    return n;
}

static void
test_defaults(void **state)
{
    struct conf *c;

    (void)state;
    assert_int_equal(conf_load(&c, &errors), RC_OK);
    assert_string_equal(buf_cstr(&errors), "");
    assert_int_equal(c->app_env, ENV_PRODUCTION);
    assert_true(c->auth_required);
    assert_true(c->strict_body);
    assert_true(c->rate_limit_enabled);
    assert_string_equal(c->allowed_origins, "");
    assert_string_equal(c->database_url, "");
    assert_string_equal(c->redis_url, "redis://localhost:6379");
    assert_string_equal(c->redis_password, "");
    assert_string_equal(c->key_prefix, "sk:");
    assert_string_equal(c->fcgi_listen, "unix:/run/synckairos/fcgi.sock");
    assert_int_equal(c->fcgi_socket_mode, 0660);
    assert_int_equal(c->drain_ms, 15000);
    assert_int_equal(c->outage_pause_ms, 30000);
    assert_int_equal(c->switch_grace_ms, 300);
    assert_int_equal(c->session_cache_ttl_ms, 3600000);
    assert_int_equal(c->ws_port, 3001);
    assert_int_equal(c->ws_heartbeat_ms, 5000);
    assert_int_equal(c->ws_connection_timeout_ms, 30000);
    assert_int_equal(c->log_level, LOG_INFO);
    assert_int_equal(c->log_format, LOG_JSON);
    assert_int_equal(c->rate_limit_switch.count, 10);
    assert_int_equal(c->rate_limit_switch.window_ms, 1000);
    assert_int_equal(c->rate_limit_switch.cooldown_ms, 10000);
    assert_int_equal(c->rate_limit_create.count, 5);
    assert_int_equal(c->rate_limit_create.window_ms, 60000);
    conf_free(c);
    conf_free(NULL);
}

static void
test_environment(void **state)
{
    struct conf *c;

    (void)state;
    setenv("WS_PORT", "4001", 1);
    setenv("KEY_PREFIX", "t:", 1);
    setenv("LOG_LEVEL", "", 1); /* set to nothing is not set */
    setenv("WS_HEARTBEAT_INTERVAL", "2s", 1);
    assert_int_equal(conf_load(&c, &errors), RC_OK);
    assert_int_equal(c->ws_port, 4001);
    assert_string_equal(c->key_prefix, "t:");
    assert_int_equal(c->log_level, LOG_INFO);
    assert_int_equal(c->ws_heartbeat_ms, 2000);
    conf_free(c);
}

static void
test_names_of_the_reference(void **state)
{
    struct conf *c;

    (void)state;
    setenv("NODE_ENV", "development", 1);
    setenv("CORS_ORIGIN", "https://a.example", 1);
    setenv("RATE_LIMIT_SWITCH", "10", 1);
    setenv("RATE_LIMIT_GENERAL", "500", 1);
    assert_int_equal(conf_load(&c, &errors), RC_OK);
    assert_int_equal(c->app_env, ENV_DEVELOPMENT);
    assert_string_equal(c->allowed_origins, "https://a.example");
    assert_int_equal(c->rate_limit_switch.window_ms, 1000);
    assert_int_equal(c->rate_limit_switch.cooldown_ms, 0);
    assert_int_equal(c->rate_limit_general.count, 500);
    assert_int_equal(c->rate_limit_general.window_ms, 60000);
    conf_free(c);
    setenv("APP_ENV", "test", 1); /* the newer name wins */
    assert_int_equal(conf_load(&c, &errors), RC_OK);
    assert_int_equal(c->app_env, ENV_TEST);
    conf_free(c);
}

static void
test_file_then_environment(void **state)
{
    struct conf *c;

    (void)state;
    setenv("WS_PORT", "4003", 1);
    setenv("NODE_ENV", "test", 1);
    assert_int_equal(load_file("# a comment\n\n  KEY_PREFIX = \"f:\" \r\nWS_PORT=4002\n"
                               "WS_HOST='::1'\nAPP_ENV=development\nPORT=80\nLOG_LEVEL=\n"
                               "WS_MAX_CLIENTS=7",
                               &c),
                     RC_OK);
    assert_string_equal(c->key_prefix, "f:");
    assert_int_equal(c->ws_port, 4003);
    assert_string_equal(c->ws_host, "::1");
    assert_int_equal(c->app_env, ENV_TEST);
    assert_int_equal(c->ws_max_clients, 7);
    conf_free(c);
}

static void
test_faults_of_the_file(void **state)
{
    struct conf *c;

    (void)state;
    assert_int_equal(load_file("WS_PROT=1\nnonsense\nWS_PORT=1\nWS_PORT=2\nQUITE_UNKNOWN=x\n"
                               "NODE_ENV_FILE=/x\nKEY_PREFIX={}\n",
                               &c),
                     RC_VALIDATION);
    assert_null(c);
    assert_non_null(strstr(errors.data, "line 1 of the file: unknown name WS_PROT\n"));
    assert_non_null(strstr(errors.data, "line 2 of the file: no NAME=value\n"));
    assert_non_null(strstr(errors.data, "line 4 of the file: WS_PORT stands there twice\n"));
    assert_non_null(strstr(errors.data, "line 5 of the file: unknown name QUITE_UNKNOWN\n"));
    assert_non_null(strstr(errors.data, "line 6 of the file: unknown name NODE_ENV_FILE\n"));
    assert_non_null(strstr(errors.data, "KEY_PREFIX: "));
    assert_int_equal(lines(errors.data), 6);
    buf_clear(&errors);
    assert_int_equal(load_file("REDIS_URI=redis://h\n", &c), RC_VALIDATION);
    assert_string_equal(errors.data,
                        "line 1 of the file: unknown name REDIS_URI, did you mean REDIS_URL\n");
}

static void
test_missing_file(void **state)
{
    struct conf *c;

    (void)state;
    setenv("SYNCKAIROS_CONFIG", "/nonexistent/conf", 1);
    assert_int_equal(conf_load(&c, &errors), RC_VALIDATION);
    assert_non_null(strstr(errors.data, "/nonexistent/conf: No such file"));
    assert_int_equal(lines(errors.data), 1);
}

static void
test_all_faults_together(void **state)
{
    struct conf *c;

    (void)state;
    setenv("WS_PORT", "nine", 1);
    setenv("LOG_LEVEL", "loud", 1);
    setenv("REDIS_URL", "gopher://u:geheim@h", 1);
    setenv("AUTH_REQUIRED", "perhaps", 1);
    setenv("RATE_LIMIT_GET", "/", 1);
    setenv("WS_CONNECTION_TIMEOUT", "3s", 1); /* not longer than the heartbeat */
    assert_int_equal(conf_load(&c, &errors), RC_VALIDATION);
    assert_null(c);
    assert_int_equal(lines(errors.data), 6);
    assert_non_null(strstr(errors.data, "WS_PORT: \"nine\" is not valid, expected 1..65535\n"));
    assert_non_null(strstr(errors.data, "LOG_LEVEL: \"loud\""));
    assert_non_null(strstr(errors.data, "REDIS_URL: "));
    assert_non_null(strstr(errors.data, "AUTH_REQUIRED: \"perhaps\""));
    assert_non_null(strstr(errors.data, "RATE_LIMIT_GET: "));
    assert_non_null(strstr(errors.data, "WS_CONNECTION_TIMEOUT: "));
    assert_null(strstr(errors.data, "geheim"));
}

static void
test_secret_files(void **state)
{
    struct conf *c;

    (void)state;
    write_file("secret", "geheim \n");
    setenv("REDIS_PASSWORD_FILE", path_of("secret"), 1);
    assert_int_equal(conf_load(&c, &errors), RC_OK);
    assert_string_equal(c->redis_password, "geheim "); /* only the line end goes */
    conf_free(c);
    setenv("REDIS_PASSWORD", "other", 1);
    assert_int_equal(conf_load(&c, &errors), RC_VALIDATION);
    assert_string_equal(errors.data, "REDIS_PASSWORD and REDIS_PASSWORD_FILE are both set\n");
    unsetenv("REDIS_PASSWORD");
    unlink(path_of("secret"));
    buf_clear(&errors);
    assert_int_equal(conf_load(&c, &errors), RC_VALIDATION);
    assert_non_null(strstr(errors.data, "REDIS_PASSWORD_FILE: "));
    assert_int_equal(lines(errors.data), 1);
}

static void
test_secret_of_the_environment_wins(void **state)
{
    struct conf *c;
    char text[200];

    (void)state;
    write_file("secret", "from a file");
    snprintf(text, sizeof(text), "REDIS_PASSWORD_FILE=%s\n", path_of("secret"));
    assert_int_equal(load_file(text, &c), RC_OK);
    assert_string_equal(c->redis_password, "from a file");
    conf_free(c);
    setenv("REDIS_PASSWORD", "from the environment", 1);
    assert_int_equal(load_file(text, &c), RC_OK);
    assert_string_equal(c->redis_password, "from the environment");
    conf_free(c);
    unlink(path_of("secret"));
}

static void
test_open_production_needs_a_word(void **state)
{
    struct conf *c;

    (void)state;
    setenv("AUTH_REQUIRED", "false", 1);
    assert_int_equal(conf_load(&c, &errors), RC_VALIDATION);
    assert_non_null(strstr(errors.data, "ALLOW_ANONYMOUS=sync"));
    setenv("ALLOW_ANONYMOUS", "sync", 1);
    assert_int_equal(conf_load(&c, &errors), RC_OK);
    conf_free(c);
    unsetenv("ALLOW_ANONYMOUS");
    setenv("APP_ENV", "development", 1);
    assert_int_equal(conf_load(&c, &errors), RC_OK);
    assert_false(c->auth_required);
    conf_free(c);
}

static void
test_token_settings(void **state)
{
    static const struct {
        const char *name, *value, *fault; /* NULL: good */
    } cases[] = {
        { "JWT_SECRET", "0123456789abcdef0123456789abcdef", NULL },
        { "JWT_SECRET", "0123456789abcdef0123456789abcde", "JWT_SECRET: " },
        { "JWT_SECRET", "-----BEGIN PUBLIC KEY-----MIIBIjANBgkqhkiG9w0", "JWT_SECRET: " },
        { "JWT_SECRET_PREVIOUS", "short", "JWT_SECRET_PREVIOUS: " },
        { "JWT_SECRET_PREVIOUS", "0123456789abcdef0123456789abcdef", "no JWT_SECRET" },
        { "JWT_ALGORITHM", "none", "JWT_ALGORITHM: " },
        { "JWT_ALGORITHM", "EdDSA", NULL },
        { "JWT_EXPIRES_IN", "7d", NULL },
        { "JWT_EXPIRES_IN", "24h", NULL },
        { "GUEST_TOKENS", "true", "APP_ENV=development" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct conf *c;

        clearenv();
        buf_clear(&errors);
        setenv(cases[i].name, cases[i].value, 1);
        if ((conf_load(&c, &errors) == RC_OK) != (cases[i].fault == NULL))
            fail_msg("%s=%s", cases[i].name, cases[i].value);
        if (cases[i].fault != NULL)
            assert_non_null(strstr(errors.data, cases[i].fault));
        assert_null(strstr(buf_cstr(&errors), "0123456789"));
        conf_free(c);
    }
}

static void
test_print(void **state)
{
    struct conf *c;
    struct buf out;

    (void)state;
    setenv("REDIS_URL", "redis://u:geheim@h", 1);
    setenv("REDIS_PASSWORD", "geheim", 1);
    setenv("WS_PORT", "4005", 1);
    assert_int_equal(conf_load(&c, &errors), RC_OK);
    buf_init(&out, 65536);
    conf_print(&out, "values", c);
    assert_non_null(strstr(out.data, "\nWS_PORT=4005\n"));
    assert_non_null(strstr(out.data, "\nREDIS_URL=***\n"));
    assert_non_null(strstr(out.data, "\nREDIS_PASSWORD=***\n"));
    assert_null(strstr(out.data, "geheim"));
    assert_non_null(strstr(out.data, "\nPORT="));
    buf_clear(&out);
    conf_print(&out, "env", NULL);
    assert_non_null(strstr(out.data, "\n#WS_PORT=3001\n"));
    assert_non_null(strstr(out.data, "REDIS_PASSWORD_FILE"));
    assert_non_null(strstr(out.data, "\n#PORT=3000\n"));
    buf_clear(&out);
    conf_print(&out, "markdown", NULL);
    assert_non_null(strstr(out.data, "\n| `WS_PORT` | `3001` | 1..65535 | "));
    buf_clear(&out);
    conf_print(&out, "else", c);
    assert_string_equal(buf_cstr(&out), "");
    buf_fini(&out);
    conf_free(c);
}

/* The example must load as it is, and with every line taken in. */
static void
test_example_loads(void **state)
{
    struct conf *c;
    struct buf out, live;

    (void)state;
    buf_init(&out, 65536);
    buf_init(&live, 65536);
    conf_print(&out, "env", NULL);
    assert_int_equal(load_file(out.data, &c), RC_OK);
    conf_free(c);
    for (char *p = out.data; *p; p++)
        if (!(*p == '#' && p[1] >= 'A' && p[1] <= 'Z' && p > out.data && p[-1] == '\n'))
            buf_char(&live, *p);
    assert_int_equal(load_file(live.data, &c), RC_OK);
    conf_free(c);
    buf_fini(&out);
    buf_fini(&live);
}

/* What conf_start(args) of a child says, and how it ends (0 and "up" when it returns). */
static int
start(const char *arg, char *said, size_t size)
{
    char name[] = "test", copy[64];
    char *argv[] = { name, copy, NULL };
    int fds[2], status;
    size_t len = 0;
    ssize_t n;
    pid_t pid;

    snprintf(copy, sizeof(copy), "%s", arg);
    assert_int_equal(pipe(fds), 0);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        dup2(fds[1], STDERR_FILENO);
        conf_free(conf_start(*arg ? 2 : 1, argv, "test", "usage\n"));
        printf("up\n");
        exit(0);
    }
    close(fds[1]);
    while (len < size - 1 && (n = read(fds[0], said + len, size - 1 - len)) > 0)
        len += (size_t)n;
    said[len] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
test_start(void **state)
{
    char said[32768];

    (void)state;
    assert_int_equal(start("", said, sizeof(said)), 0);
    assert_string_equal(said, "up\n");
    assert_int_equal(start("--print-config", said, sizeof(said)), 0);
    assert_memory_equal(said, "ALLOWED_ORIGINS=\n", 17);
    assert_int_equal(start("--print-config=markdown", said, sizeof(said)), 0);
    assert_memory_equal(said, "| Name", 6);
    assert_int_equal(start("--print-config=what", said, sizeof(said)), 64);
    assert_int_equal(start("--help", said, sizeof(said)), 0);
    assert_memory_equal(said, "usage\n  --print-config", 22);
    setenv("WS_PORT", "nine", 1);
    setenv("LOG_LEVEL", "loud", 1);
    assert_int_equal(start("", said, sizeof(said)), 78);
    assert_int_equal(lines(said), 2);
    assert_non_null(strstr(said, "\"fault\":\"WS_PORT: "));
    assert_non_null(strstr(said, "\"fault\":\"LOG_LEVEL: "));
    assert_int_equal(start("--print-config=values", said, sizeof(said)), 78);
    assert_int_equal(start("--print-config=env", said, sizeof(said)), 0);
}

static void
test_unknown_names_of_the_environment(void **state)
{
    char said[8192];

    (void)state;
    setenv("WS_MAX_CLIENT", "5", 1);
    setenv("REDIS_SERVICE_HOST", "10.0.0.1", 1); /* Kubernetes sets these */
    setenv("HOME", "/root", 1);
    setenv("DB_HOST", "x", 1);
    setenv("PORT", "3000", 1);
    assert_int_equal(start("", said, sizeof(said)), 0);
    assert_int_equal(lines(said), 3);
    assert_non_null(
        strstr(said, "\"name\":\"WS_MAX_CLIENT\",\"did_you_mean\":\"WS_MAX_CLIENTS\""));
    assert_non_null(strstr(said, "\"name\":\"REDIS_SERVICE_HOST\",\"did_you_mean\":\"\""));
    assert_int_equal(start("--worker", said, sizeof(said)), 0);
    assert_string_equal(said, "up\n");
}

/* Under plain CGI a query without "=" arrives as arguments. */
static void
test_a_query_is_no_option(void **state)
{
    char said[8192];

    (void)state;
    setenv("GATEWAY_INTERFACE", "CGI/1.1", 1);
    assert_int_equal(start("--print-config", said, sizeof(said)), 0);
    assert_string_equal(said, "up\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, clean, done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_environment),
        TEST(test_names_of_the_reference),
        TEST(test_file_then_environment),
        TEST(test_faults_of_the_file),
        TEST(test_missing_file),
        TEST(test_all_faults_together),
        TEST(test_secret_files),
        TEST(test_secret_of_the_environment_wins),
        TEST(test_open_production_needs_a_word),
        TEST(test_token_settings),
        TEST(test_print),
        TEST(test_example_loads),
        TEST(test_start),
        TEST(test_unknown_names_of_the_environment),
        TEST(test_a_query_is_no_option),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
