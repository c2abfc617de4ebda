#include "conf.h"
#include "arena.h"
#include "buf.h"
#include "conf_row.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#define FILE_BYTES_MAX (64 * 1024)
#define SECRET_BYTES_MAX 4096
#define ERRORS_MAX (64 * 1024)
#define ENTRIES_MAX 256
#define PRINT_OPTION "--print-config"

extern char **environ;

/* One line of the configuration file; the texts lie in file.text. */
struct entry {
    const char *name;
    const char *value;
};

struct file {
    char *text;
    struct entry entries[ENTRIES_MAX];
    size_t n;
};

/* Read a small file into memory of the caller, NUL-terminated. 0 or an errno. */
static int
slurp(const char *path, char *out, size_t size)
{
    size_t len = 0;
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;

    if (fd < 0)
        return errno;
    while (len < size && (n = read(fd, out + len, size - len)) > 0)
        len += (size_t)n;
    if (n < 0)
        error = errno;
    else if (len == size)
        error = EFBIG;
    else
        out[len] = '\0';
    close(fd);
    return error;
}

static char *
trim(char *s)
{
    char *end;

    s += strspn(s, " \t");
    end = s + strlen(s);
    while (end > s && strchr(" \t\r\n", end[-1]))
        *--end = '\0';
    return s;
}

/* Take one pair of quotes off, as shells and docker write them. */
static char *
unquote(char *s)
{
    size_t len = strlen(s);

    if (len < 2 || (*s != '"' && *s != '\'') || s[len - 1] != *s)
        return s;
    s[len - 1] = '\0';
    return s + 1;
}

static const char *
entry_value(const struct file *file, const char *name)
{
    for (size_t i = 0; i < file->n; i++)
        if (strcmp(file->entries[i].name, name) == 0)
            return file->entries[i].value;
    return NULL;
}

static bool
is_file_name(const char *name, size_t len)
{
    const struct conf_row *row = len > 5 ? conf_row_find(name, len - 5) : NULL;

    return row && conf_row_is_secret(row) && memcmp(name + len - 5, "_FILE", 5) == 0;
}

static bool
is_known(const char *name, size_t len)
{
    return conf_row_find(name, len) || is_file_name(name, len);
}

static void
take_line(struct file *file, char *line, int number, struct buf *errors)
{
    char *name = trim(line), *equals = strchr(name, '=');
    const struct conf_row *near;

    if (*name == '\0' || *name == '#')
        return;
    if (!equals) {
        buf_printf(errors, "line %d of the file: no NAME=value\n", number);
        return;
    }
    *equals = '\0';
    name = trim(name);
    if (!is_known(name, strlen(name))) {
        near = conf_row_near(name, strlen(name));
        buf_printf(errors, "line %d of the file: unknown name %.64s%s%s\n", number, name,
                   near ? ", did you mean " : "", near ? near->env : "");
    } else if (entry_value(file, name)) {
        buf_printf(errors, "line %d of the file: %s stands there twice\n", number, name);
    } else if (file->n < ENTRIES_MAX) {
        file->entries[file->n++] = (struct entry){ name, unquote(trim(equals + 1)) };
    }
}

static void
read_file(const char *path, struct file *file, struct buf *errors)
{
    int number = 0, error;
    char *line, *rest;

    file->text = xalloc(FILE_BYTES_MAX);
    error = slurp(path, file->text, FILE_BYTES_MAX);
    if (error) {
        buf_printf(errors, "SYNCKAIROS_CONFIG: %s: %s\n", path, strerror(error));
        return;
    }
    rest = file->text;
    while ((line = strsep(&rest, "\n")))
        take_line(file, line, ++number, errors);
}

/* Values that are set to nothing count as not set: compose files and CI do that. */
static const char *
lookup(const struct file *file, const char *name)
{
    const char *value = file ? entry_value(file, name) : getenv(name);

    return value && *value ? value : NULL;
}

/* The text of NAME_FILE, in `memory`; NULL when there is none, or when it was a fault. */
static const char *
lookup_secret(const struct file *file, const struct conf_row *row, char *memory,
              struct buf *errors)
{
    char name[64];
    const char *path;
    int error;

    snprintf(name, sizeof(name), "%s_FILE", row->env);
    path = lookup(file, name);
    if (!path)
        return NULL;
    if (lookup(file, row->env)) {
        buf_printf(errors, "%s and %s are both set\n", row->env, name);
        return NULL;
    }
    error = slurp(path, memory, SECRET_BYTES_MAX);
    if (error) {
        buf_printf(errors, "%s: %s: %s\n", name, path, strerror(error));
        return NULL;
    }
    memory[strcspn(memory, "\r\n")] = '\0';
    return memory;
}

/* What one source says of a row: its name first, then NAME_FILE, then the older name. */
static const char *
lookup_row(const struct file *file, const struct conf_row *row, char *memory,
           struct buf *errors)
{
    const char *value = NULL;

    if (conf_row_is_secret(row))
        value = lookup_secret(file, row, memory, errors);
    if (!value)
        value = lookup(file, row->env);
    if (!value && row->alias)
        value = lookup(file, row->alias);
    return value;
}

static void
take_row(const struct conf_row *row, const struct file *file, struct conf *c,
         struct buf *errors)
{
    char memory[SECRET_BYTES_MAX];
    struct fail f = { .rc = RC_OK };
    const char *value = lookup_row(NULL, row, memory, errors);
    enum rc rc = conf_value_parse(row, row->def, c, &f);

    assert(rc == RC_OK);
    if (!value)
        value = lookup_row(file, row, memory, errors);
    if (value && conf_value_parse(row, value, c, &f) != RC_OK)
        buf_printf(errors, "%s\n", f.message);
}

/* What no row can see alone. */
static void
check_together(const struct conf *c, struct buf *errors)
{
    if (c->app_env == ENV_PRODUCTION && !c->auth_required &&
        strcmp(c->allow_anonymous, "sync") != 0)
        buf_str(errors, "AUTH_REQUIRED: false lets everybody in; with APP_ENV=production that "
                        "needs ALLOW_ANONYMOUS=sync\n");
    if (c->guest_tokens && c->app_env != ENV_DEVELOPMENT)
        buf_str(errors, "GUEST_TOKENS: gives tokens to anybody, so it needs "
                        "APP_ENV=development\n");
    if (c->jwt_secret_previous[0] != '\0' && c->jwt_secret[0] == '\0')
        buf_str(errors, "JWT_SECRET_PREVIOUS: there is no JWT_SECRET that takes over\n");
    if (c->ws_connection_timeout_ms <= c->ws_heartbeat_ms)
        buf_str(errors, "WS_CONNECTION_TIMEOUT: must be longer than WS_HEARTBEAT_INTERVAL, or "
                        "silent clients are dropped before they are asked\n");
}

/* c holds a valid value in every field, whatever was wrong. */
static void
fill(struct conf *c, struct buf *errors)
{
    struct file *file = xalloc(sizeof(*file));
    const char *path = getenv("SYNCKAIROS_CONFIG");

    if (path && *path)
        read_file(path, file, errors);
    for (size_t i = 0; i < conf_row_count; i++)
        take_row(&conf_rows[i], file, c, errors);
    check_together(c, errors);
    free(file->text);
    free(file);
}

/* Names that begin like this are meant for us, or look as if. */
static bool
is_our_family(const char *name)
{
    static const char *const heads[] = { "FCGI_", "RATE_LIMIT_", "REDIS_", "SYNCKAIROS_",
                                         "WS_" };

    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
        if (strncmp(name, heads[i], strlen(heads[i])) == 0)
            return true;
    return false;
}

void
conf_strangers(void (*fn)(void *ctx, const char *name, const char *meant), void *ctx)
{
    for (char **e = environ; e && *e; e++) {
        size_t len = strcspn(*e, "=");
        const struct conf_row *near;
        char name[80];

        if (is_known(*e, len))
            continue;
        near = conf_row_near(*e, len);
        if (!near && !is_our_family(*e))
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)len, *e);
        fn(ctx, name, near ? near->env : "");
    }
}

/* Only a warning: the environment is shared with others, whose names may look like ours. */
static void
warn_unknown(void *ctx, const char *name, const char *meant)
{
    (void)ctx;
    log_warn("unknown setting in the environment", LOG_STR("name", name),
             LOG_STR("did_you_mean", meant));
}

/* The documentation is the same whatever is set. */
static bool
needs_no_values(const char *as)
{
    return strcmp(as, "=env") == 0 || strcmp(as, "=markdown") == 0;
}

static _Noreturn void
help_and_exit(const char *usage)
{
    fputs(usage, stdout);
    fputs(
        "  --print-config   the settings in force, without secrets; =env and =markdown: all\n"
        "                   settings with their documentation\n"
        "  --help           this text\n"
        "Settings come from the environment, or from the file that SYNCKAIROS_CONFIG names.\n",
        stdout);
    exit(fflush(stdout) == 0 ? 0 : EX_IOERR);
}

static _Noreturn void
print_and_exit(const char *as, const struct conf *c)
{
    struct buf out;

    buf_init(&out, ERRORS_MAX);
    conf_print(&out, *as == '\0' ? "values" : as + 1, c);
    fputs(buf_cstr(&out), stdout);
    exit(out.len > 0 && fflush(stdout) == 0 ? 0 : EX_USAGE);
}

static _Noreturn void
report_and_exit(struct buf *errors)
{
    char *rest = errors->data, *line;

    while ((line = strsep(&rest, "\n")))
        if (*line)
            log_error("configuration", LOG_STR("fault", line));
    exit(EX_CONFIG);
}

enum rc
conf_load(struct conf **out, struct buf *errors)
{
    struct conf *c = xalloc(sizeof(*c));
    size_t before = errors->len;

    fill(c, errors);
    *out = NULL;
    if (errors->len > before || errors->overflow) {
        conf_free(c);
        return RC_VALIDATION;
    }
    *out = c;
    return RC_OK;
}

void
conf_free(struct conf *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < conf_row_count; i++)
        conf_value_free(&conf_rows[i], c);
    free(c);
}

struct conf *
conf_start(int argc, char **argv, const char *component, const char *usage)
{
    struct conf *c = xalloc(sizeof(*c));
    bool cgi = getenv("GATEWAY_INTERFACE") != NULL, quiet = cgi;
    const char *print = NULL;
    struct buf errors;

    /* Under plain CGI the arguments are a query of anybody, and each request is a start. */
    for (int i = 1; i < argc && !cgi; i++) {
        if (strncmp(argv[i], PRINT_OPTION, strlen(PRINT_OPTION)) == 0)
            print = argv[i] + strlen(PRINT_OPTION);
        if (strcmp(argv[i], "--worker") == 0)
            quiet = true; /* the master has warned */
        if (strcmp(argv[i], "--help") == 0)
            help_and_exit(usage);
    }
    buf_init(&errors, ERRORS_MAX);
    fill(c, &errors);
    log_setup(c->log_level, c->log_format, component);
    if (print && needs_no_values(print))
        print_and_exit(print, c);
    if (errors.len > 0)
        report_and_exit(&errors);
    if (print)
        print_and_exit(print, c);
    if (!quiet)
        conf_strangers(warn_unknown, NULL);
    buf_fini(&errors);
    return c;
}
