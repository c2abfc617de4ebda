#include "backup.h"
#include "ctl.h"

#include "common/arena.h"

#include <errno.h>
#include <libpq-fe.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define ARGS_MAX 12

bool
backup_path(const char *dir, const char *name, char out[BACKUP_PATH])
{
    if (snprintf(out, BACKUP_PATH, "%s/%s", dir, name) < BACKUP_PATH)
        return true;
    ctl_say("%.40s...: the path is too long", dir);
    return false;
}

bool
backup_hash(const char *path, int64_t *size, char hex[BACKUP_HASH])
{
    unsigned char piece[65536], hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    FILE *in = fopen(path, "re");
    bool done = in != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    unsigned len = 0;
    size_t n;

    *size = 0;
    while (done && (n = fread(piece, 1, sizeof(piece), in)) > 0) {
        EVP_DigestUpdate(ctx, piece, n);
        *size += (int64_t)n;
    }
    done = done && !ferror(in) && EVP_DigestFinal_ex(ctx, hash, &len) == 1;
    for (unsigned i = 0; done && i < len; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", hash[i]);
    if (!done)
        ctl_say("%s: %s", path, strerror(errno));
    if (in != NULL)
        fclose(in);
    EVP_MD_CTX_free(ctx);
    return done;
}

/* In the child: the connection becomes environment. The name of the database is returned. */
static const char *
connection(const char *url)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    const char *name = "";

    for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++) {
        if (o->val == NULL)
            continue;
        if (o->envvar != NULL)
            setenv(o->envvar, o->val, 1);
        if (strcmp(o->keyword, "dbname") == 0)
            name = o->val;
    }
    return name; /* lives as long as the child */
}

static _Noreturn void
become(const char *url, const char *const *argv)
{
    char *args[ARGS_MAX], option[256];
    int n = 0;

    snprintf(option, sizeof(option), "--dbname=%s", connection(url));
    for (; n < ARGS_MAX - 2 && argv[n] != NULL; n++)
        args[n] = xstrdup(argv[n]);
    args[n] = option;
    args[n + 1] = NULL;
    execvp(args[0], args);
    ctl_say("%s: %s; it comes with postgresql-client", args[0], strerror(errno));
    _exit(127);
}

int
backup_run(const char *url, const char *const *argv)
{
    int status = 0;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid == 0)
        become(url, argv);
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return EX_OSERR;
    if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    ctl_say("%s did not do it", argv[0]);
    return EX_SOFTWARE;
}
