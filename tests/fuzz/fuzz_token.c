/*
 * A token: two lines are its header and its claims, which are signed here so that all of them
 * is looked at; anything else is the token as it came. A first line that stands in the table
 * below says by what else than the one secret.
 */
#include "common/arena.h"
#include "common/conf.h"
#include "common/json.h"
#include "common/token.h"
#include "common/token_key.h"
#include "fuzz.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOW_MS 1700000000000LL
#define SECRET "0123456789abcdef0123456789abcdef"
#define PREVIOUS "fedcba9876543210fedcba9876543210"
#define TEXT_MAX 20000
#define PATH_SIZE 64

enum how {
    BY_SECRET,
    BY_PREVIOUS,
    BY_SECRET_FOR_US, /* JWT_ISSUER and JWT_AUDIENCE are set */
    BY_RS256,
    BY_ES256,
    BY_EDDSA,
    IN_HEADER, /* the value of Authorization */
    PEM_PUBLIC,
    PEM_PRIVATE, /* the rest is a file of keys, for ES256 */
    HOW__MAX
};

static const char *const how_names[HOW__MAX] = {
    [BY_SECRET] = "secret", [BY_PREVIOUS] = "previous", [BY_SECRET_FOR_US] = "for us",
    [BY_RS256] = "RS256",   [BY_ES256] = "ES256",       [BY_EDDSA] = "EdDSA",
    [IN_HEADER] = "header", [PEM_PUBLIC] = "public",    [PEM_PRIVATE] = "private",
};

static const enum token_algorithm algorithms[HOW__MAX] = {
    [BY_RS256] = TOKEN_RS256, [BY_ES256] = TOKEN_ES256, [BY_EDDSA] = TOKEN_EDDSA
};

/* --- keys: one of each kind, made once --- */

static struct {
    struct token_key *signer;
    char public_path[PATH_SIZE];
} keys[HOW__MAX];

static int
file_of(char path[PATH_SIZE])
{
    int fd = memfd_create("keys", MFD_CLOEXEC);

    HOLD(fd >= 0);
    snprintf(path, PATH_SIZE, "/proc/self/fd/%d", fd);
    return fd;
}

static void
make_pair(enum how how, EVP_PKEY *pkey)
{
    char private_path[PATH_SIZE];
    struct token_key *read[TOKEN_KEYS_MAX];
    int secret_fd = file_of(private_path);
    BIO *private_file = BIO_new_file(private_path, "w");
    BIO *public_file =
        (file_of(keys[how].public_path), BIO_new_file(keys[how].public_path, "w"));
    size_t n;

    HOLD(PEM_write_bio_PrivateKey(private_file, pkey, NULL, NULL, 0, NULL, NULL) == 1);
    HOLD(PEM_write_bio_PUBKEY(public_file, pkey) == 1);
    BIO_free(private_file);
    BIO_free(public_file);
    EVP_PKEY_free(pkey);
    HOLD(token_key_read(algorithms[how], private_path, true, read, &n, NULL) == RC_OK &&
         n == 1);
    keys[how].signer = read[0];
    close(secret_fd);
}

static void
make_keys(void)
{
    if (keys[BY_SECRET].signer != NULL)
        return;
    keys[BY_SECRET].signer = token_key_secret(SECRET);
    keys[BY_SECRET_FOR_US].signer = token_key_secret(SECRET);
    keys[BY_PREVIOUS].signer = token_key_secret(PREVIOUS);
    make_pair(BY_RS256, EVP_RSA_gen(2048));
    make_pair(BY_ES256, EVP_EC_gen("P-256"));
    make_pair(BY_EDDSA, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
}

/* --- what is made of it --- */

static struct conf
settings(enum how how)
{
    bool is_ours = how == BY_SECRET_FOR_US;

    return (struct conf){ .jwt_secret = SECRET,
                          .jwt_secret_previous = PREVIOUS,
                          .jwt_issuer = is_ours ? "issuer" : "",
                          .jwt_audience = is_ours ? "us" : "",
                          .jwt_algorithm = (int)algorithms[how],
                          .jwt_public_key_file = keys[how].public_path };
}

/* Exactly as many bytes as there are, so that a read past the end is a finding. */
static bool
check(enum how how, const char *s, size_t len)
{
    const struct conf conf = settings(how);
    struct token_keys *known = NULL;
    const struct token *token = NULL;
    struct token *copy;
    bool taken;

    HOLD(token_keys_new(&conf, &known, NULL) == RC_OK);
    taken = token_check(known, s, len, NOW_MS, &token, NULL) == RC_OK;
    if (taken) {
        HOLD(token->sub[0] != '\0' && json_utf8_is_valid(token->sub, strlen(token->sub)));
        HOLD(token->exp_ms > NOW_MS - 3600000 && token->role < ROLE__MAX);
        for (size_t k = 0; k < token->n; k++)
            HOLD(id_is_uuid_shape(token->participants[k], strlen(token->participants[k])));
        HOLD(token_check(known, s, len, NOW_MS, &token, NULL) == RC_OK); /* remembered */
        copy = token_dup(token);
        HOLD(copy->n == token->n && strcmp(copy->jti, token->jti) == 0);
        free(copy);
    }
    token_keys_free(known);
    return taken;
}

static bool
check_pem(const char *s, size_t len, bool is_private)
{
    struct token_key *read[TOKEN_KEYS_MAX];
    char path[PATH_SIZE];
    size_t n;
    int fd = file_of(path);
    bool taken;

    HOLD(write(fd, s, len) == (ssize_t)len);
    taken = token_key_read(TOKEN_ES256, path, is_private, read, &n, NULL) == RC_OK;
    HOLD(taken == (n > 0) && n <= TOKEN_KEYS_MAX);
    while (n > 0)
        token_key_free(read[--n]);
    close(fd);
    return taken;
}

static bool
check_header(const char *s, size_t len)
{
    char *header = xalloc(len + 1);
    const char *found;
    size_t n;
    bool taken;

    memcpy(header, s, len);
    found = token_of_header(header, &n);
    taken = found != NULL;
    HOLD(!taken || (n > 0 && found + n <= header + strlen(header)));
    free(header);
    return taken;
}

/* The first line, when it is one of how_names; *s and *len go on behind it. */
static enum how
take_how(const char **s, size_t *len)
{
    const char *end = memchr(*s, '\n', *len);

    for (int how = 0; end != NULL && how < HOW__MAX; how++) {
        size_t n = strlen(how_names[how]);

        if ((size_t)(end - *s) != n || memcmp(*s, how_names[how], n) != 0)
            continue;
        *s += n + 1;
        *len -= n + 1;
        return (enum how)how;
    }
    return BY_SECRET;
}

bool
fuzz_take(const char *s, size_t len)
{
    enum how how;
    char *text;
    bool taken;

    if (len > TEXT_MAX)
        return false;
    make_keys();
    how = len > 0 ? take_how(&s, &len) : BY_SECRET;
    if (how == IN_HEADER)
        return check_header(s, len);
    if (how >= PEM_PUBLIC)
        return check_pem(s, len, how == PEM_PRIVATE);
    if (len == 0 || memchr(s, '\n', len) == NULL)
        return check(how, s, len);
    text = fuzz_sign(keys[how].signer, s, len, &len);
    taken = check(how, text, len);
    free(text);
    return taken;
}
