/* Tokens of open sockets: warned of, ended, refreshed, revoked. Redis is a list of questions.
 */
#include "broadcaster/pass.h"
#include "broadcaster/seat.h"

#include "common/conf.h"
#include "common/keys.h"
#include "common/redis.h"
#include "common/tally.h"
#include "common/token.h"
#include "fake.h"

#include <hiredis/hiredis.h>

#define NOW 1700000000000LL

static struct conf conf;
static struct token_keys *keys;
static struct clients set;
static struct passes *passes;
static void *tally;
static int64_t now;
static bool link_is_down;
static struct {
    struct redis_batch *b;
    link_done *done;
    void *arg;
} asked; /* the question under way */
static int questions;

static bool
on_ask(void *ctx, struct redis_batch *b, link_done *done, void *arg)
{
    (void)ctx;
    if (link_is_down)
        return false;
    assert_null(asked.b);
    asked.b = b;
    asked.done = done;
    asked.arg = arg;
    questions++;
    return true;
}

static bool
on_is_up(void *ctx)
{
    (void)ctx;
    return !link_is_down;
}

static int64_t
on_now(void *ctx)
{
    (void)ctx;
    return now;
}

/* Every GET of the question is answered by this; NULL: by nil. */
static void
reply_all(const char *value)
{
    size_t len = value != NULL ? strlen(value) : 0;
    redisReader *reader = redisReaderCreate();
    struct redis_batch *b = asked.b;
    void *reply;
    char wire[64];

    for (int i = 0; i < redis_batch_count(b); i++) {
        if (value == NULL)
            snprintf(wire, sizeof(wire), "$-1\r\n");
        else
            snprintf(wire, sizeof(wire), "$%zu\r\n%s\r\n", len, value);
        redisReaderFeed(reader, wire, strlen(wire));
        assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
        redis_batch_give(b, reply);
    }
    redisReaderFree(reader);
    asked.b = NULL;
    asked.done(asked.arg, b, true);
}

static void
lose(void)
{
    struct redis_batch *b = asked.b;

    asked.b = NULL;
    asked.done(asked.arg, b, false);
}

static int
begin(void **state)
{
    struct pass_calls calls = { .ask = on_ask, .is_up = on_is_up, .now_ms = on_now };

    (void)state;
    conf = (struct conf){ .auth_required = true,
                          .key_prefix = "t:",
                          .jwt_secret = "0123456789abcdef0123456789abcdef",
                          .jwt_secret_previous = "",
                          .jwt_issuer = "",
                          .jwt_audience = "" };
    calls.tally = tally = xalloc(tally_size());
    now = NOW;
    questions = 0;
    link_is_down = false;
    assert_int_equal(token_keys_new(&conf, &keys, NULL), RC_OK);
    clients_init(&set, &fake_io, 1000, 0);
    passes = passes_new(&conf, keys, &set, &calls);
    return 0;
}

static int
end(void **state)
{
    (void)state;
    passes_free(passes);
    clients_fini(&set);
    token_keys_free(keys);
    free(tally);
    return 0;
}

/* A token that ends so many seconds after NOW. Static. */
static const char *
text_of(const char *sub, int seconds)
{
    static struct buf text = { .max = TOKEN_TEXT_MAX };
    struct token_claims claims = { .sub = sub,
                                   .iat_s = NOW / 1000 - 5,
                                   .exp_s = NOW / 1000 + seconds };

    buf_clear(&text);
    assert_true(token_mint_own(keys, &claims, &text));
    return buf_cstr(&text);
}

static struct fake *
open_with(const char *sub, int seconds)
{
    struct fake *f = fake_open(&set, 0);
    const struct token *t = NULL;
    const char *text;

    if (sub != NULL) {
        text = text_of(sub, seconds);
        assert_int_equal(token_check(keys, text, strlen(text), now, &t, NULL), RC_OK);
    }
    pass_take(passes, &f->c, t, "192.0.2.1");
    pass_greet(passes, &f->c);
    return f;
}

static void
leave(struct fake *f)
{
    pass_leave(passes, &f->c);
    fake_close(f);
}

static const char *
told(struct fake *f)
{
    clients_flush(&set);
    return fake_words(f);
}

static void
at(int64_t ms)
{
    now = NOW + ms;
    passes_tick(passes);
}

/* --- time --- */

static void
test_TOKEN_EXPIRING_comes_60_s_before_and_4401_at_exp_itself(void **state)
{
    struct fake *f = open_with("u", 100), *other = open_with("v", 1000);

    (void)state;
    at(39999);
    assert_string_equal(told(f), "");
    at(40000);
    assert_string_equal(told(f), "TOKEN_EXPIRING");
    at(99999);
    assert_string_equal(told(f), "");
    at(100000);
    assert_string_equal(told(f), "close:4401");
    assert_string_equal(told(other), "");
    at(940000);
    assert_string_equal(told(other), "TOKEN_EXPIRING");
    leave(f);
    leave(other);
}

static void
test_TOKEN_EXPIRING_comes_at_once_when_less_is_left(void **state)
{
    struct fake *f = open_with("u", 59);

    (void)state;
    assert_string_equal(told(f), "TOKEN_EXPIRING");
    at(59000);
    assert_string_equal(told(f), "close:4401");
    leave(f);
}

/* Leeway is for admission alone. */
static void
test_no_leeway_on_an_open_socket(void **state)
{
    struct fake *f = open_with("u", -10);

    (void)state;
    assert_string_equal(told(f), "close:4401");
    leave(f);
}

static void
test_anonymous_has_nothing_that_ends(void **state)
{
    struct fake *f = open_with(NULL, 0);

    (void)state;
    at(1000000000);
    passes_pump(passes);
    passes_revoked(passes, "sub 9999999999999 u", 19);
    passes_link_up(passes);
    passes_pump(passes);
    assert_string_equal(told(f), "");
    assert_int_equal(questions, 0);
    leave(f);
}

/* --- REFRESH --- */

static void
test_REFRESH_prevents_the_end(void **state)
{
    struct fake *f = open_with("u", 70);

    (void)state;
    at(20000);
    assert_string_equal(told(f), "TOKEN_EXPIRING");
    assert_int_equal(pass_refresh(passes, &f->c, text_of("u", 200)), FAULT_NONE);
    at(100000);
    assert_string_equal(told(f), "");
    at(140000);
    assert_string_equal(told(f), "TOKEN_EXPIRING");
    at(200000);
    assert_string_equal(told(f), "close:4401");
    leave(f);
}

static void
test_REFRESH_with_another_sub_or_a_bad_token_leaves_the_old_one(void **state)
{
    struct fake *f = open_with("u", 100);

    (void)state;
    assert_int_equal(pass_refresh(passes, &f->c, text_of("v", 200)), FAULT_OTHER_SUB);
    assert_int_equal(pass_refresh(passes, &f->c, text_of("u", 0)), FAULT_UNAUTHENTICATED);
    assert_int_equal(pass_refresh(passes, &f->c, ""), FAULT_UNAUTHENTICATED);
    assert_int_equal(pass_refresh(passes, &f->c, "a.b.c"), FAULT_UNAUTHENTICATED);
    assert_string_equal(f->c.pass.token->sub, "u");
    at(100000);
    assert_string_equal(told(f), "close:4401"); /* a warning comes before, were there time */
    leave(f);
}

/* Failed ones count on the address, whoever it is; those of a service do not. */
static void
test_one_failed_REFRESH_too_many_closes(void **state)
{
    struct fake *u, *v;

    (void)state;
    conf.rate_limit_enabled = true;
    conf.rate_limit_general = (struct limit_rule){ 3, 60000, 0 };
    u = open_with("u", 100);
    v = open_with("v", 100);
    assert_int_equal(pass_refresh(passes, &u->c, "a.b.c"), FAULT_UNAUTHENTICATED);
    assert_int_equal(pass_refresh(passes, &v->c, "a.b.c"), FAULT_UNAUTHENTICATED);
    assert_int_equal(pass_refresh(passes, &u->c, text_of("v", 200)), FAULT_OTHER_SUB);
    assert_int_equal(pass_refresh(passes, &u->c, text_of("u", 200)), FAULT_NONE);
    assert_int_equal(pass_refresh(passes, &u->c, "a.b.c"), FAULT_UNAUTHENTICATED);
    assert_string_equal(told(u), "");
    v->c.pass.token->role = ROLE_SERVICE;
    assert_int_equal(pass_refresh(passes, &v->c, "a.b.c"), FAULT_UNAUTHENTICATED);
    assert_string_equal(told(v), "");
    assert_int_equal(pass_refresh(passes, &u->c, "a.b.c"), FAULT_UNAUTHENTICATED);
    assert_string_equal(told(u), "close:1008");
    v->c.pass.token->role = ROLE_USER;
    conf.rate_limit_enabled = false;
    for (int i = 0; i < 5; i++)
        assert_int_equal(pass_refresh(passes, &v->c, "a.b.c"), FAULT_UNAUTHENTICATED);
    assert_string_equal(told(v), "");
    leave(u);
    leave(v);
}

/* --- revocation --- */

static void
test_revocation_is_asked_for_at_once(void **state)
{
    struct fake *good, *bad;

    (void)state;
    good = open_with("u", 1000);
    passes_pump(passes);
    assert_int_equal(questions, 1);
    reply_all(NULL);
    passes_pump(passes);
    assert_int_equal(questions, 1);
    assert_string_equal(told(good), "");
    bad = open_with("u", 1000);
    passes_pump(passes);
    reply_all("1700000000000");
    assert_string_equal(told(bad), "close:4401");
    assert_string_equal(told(good), "");
    leave(good);
    leave(bad);
}

static void
test_a_published_revocation_closes_whom_it_hits(void **state)
{
    struct fake *u = open_with("u", 1000), *v = open_with("u v", 1000);

    (void)state;
    passes_revoked(passes, "sub 1699999990000 u", 19); /* of before the token */
    passes_revoked(passes, "jti 1700000000000 u", 19);
    passes_revoked(passes, "sub 1700000000000 uu", 20);
    passes_revoked(passes, "sub", 3);
    passes_revoked(passes, "", 0);
    assert_string_equal(told(u), "");
    passes_revoked(passes, "sub 1700000000000 u v", 21);
    assert_string_equal(told(v), "close:4401");
    assert_string_equal(told(u), "");
    passes_revoked(passes, "sub 1700000000000 u", 19);
    assert_string_equal(told(u), "close:4401");
    leave(u);
    leave(v);
}

/* While the link for pushes was away one may have been missed. */
static void
test_after_a_loss_all_are_asked_about_again(void **state)
{
    struct fake *f[100];

    (void)state;
    for (int i = 0; i < 100; i++)
        f[i] = open_with("u", 1000);
    passes_pump(passes);
    reply_all(NULL);
    passes_pump(passes); /* not all fit into one question */
    reply_all(NULL);
    assert_int_equal(questions, 2);
    passes_link_up(passes);
    passes_link_up(passes);
    passes_pump(passes);
    reply_all("1700000000000");
    passes_pump(passes);
    reply_all("1700000000000");
    assert_int_equal(questions, 4);
    for (int i = 0; i < 100; i++) {
        assert_string_equal(told(f[i]), "close:4401");
        leave(f[i]);
    }
}

static void
test_a_lost_answer_is_asked_for_again(void **state)
{
    struct fake *f = open_with("u", 1000);

    (void)state;
    link_is_down = true;
    passes_pump(passes);
    passes_pump(passes);
    link_is_down = false;
    passes_pump(passes);
    assert_int_equal(questions, 1);
    lose();
    passes_pump(passes);
    assert_int_equal(questions, 2);
    reply_all("1700000000000");
    assert_string_equal(told(f), "close:4401");
    leave(f);
}

static void
test_who_leaves_or_refreshes_meanwhile(void **state)
{
    struct fake *gone = open_with("u", 1000), *fresh = open_with("u", 1000);

    (void)state;
    passes_pump(passes);
    leave(gone);
    assert_int_equal(pass_refresh(passes, &fresh->c, text_of("u", 2000)), FAULT_NONE);
    reply_all("1700000000000"); /* about the token of before */
    assert_string_equal(told(fresh), "");
    passes_pump(passes);
    assert_int_equal(questions, 2);
    reply_all("1700000000000");
    assert_string_equal(told(fresh), "close:4401");
    leave(fresh);
}

/* --- seats: only anonymous clients, so that every reply is a number --- */

/* How often the question under way holds this word, as an argument of its own. */
static int
said(const char *word)
{
    size_t len;
    const char *wire = redis_batch_wire(asked.b, &len), *at = wire;
    char needle[KEY_MAX + 16];
    int n = 0;

    snprintf(needle, sizeof(needle), "$%zu\r\n%s\r\n", strlen(word), word);
    while ((at = memmem(at, len - (size_t)(at - wire), needle, strlen(needle))) != NULL) {
        at++;
        n++;
    }
    return n;
}

static void
reply_number(int number)
{
    redisReader *reader = redisReaderCreate();
    struct redis_batch *b = asked.b;
    char wire[16];
    void *reply;

    for (int i = 0; i < redis_batch_count(b); i++) {
        snprintf(wire, sizeof(wire), ":%d\r\n", number);
        redisReaderFeed(reader, wire, strlen(wire));
        assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
        redis_batch_give(b, reply);
    }
    redisReaderFree(reader);
    asked.b = NULL;
    asked.done(asked.arg, b, true);
}

static int
begin_counting(void **state)
{
    begin(state);
    passes_free(passes);
    conf.rate_limit_enabled = true;
    conf.ws_max_open = 5;
    conf.auth_required = false;
    passes =
        passes_new(&conf, keys, &set,
                   &(struct pass_calls){ .ask = on_ask, .is_up = on_is_up, .now_ms = on_now });
    return 0;
}

static void
test_4429_when_there_is_no_seat(void **state)
{
    struct fake *f = open_with(NULL, 0), *late;

    (void)state;
    passes_pump(passes);
    assert_int_equal(said("open"), 1);
    reply_number(1);
    assert_string_equal(told(f), "");
    late = open_with(NULL, 0);
    passes_pump(passes);
    reply_number(0);
    assert_string_equal(told(late), "close:4429");
    leave(late);
    leave(f);
    passes_pump(passes);
    assert_int_equal(said("close"), 1); /* the one that was counted */
    reply_number(1);
}

static void
test_who_leaves_before_the_answer_gives_its_seat_back(void **state)
{
    struct fake *f = open_with(NULL, 0);

    (void)state;
    passes_pump(passes);
    leave(f);
    reply_number(1);
    passes_pump(passes);
    assert_int_equal(said("close"), 1);
    reply_number(1);
    f = open_with(NULL, 0);
    passes_pump(passes);
    leave(f);
    reply_number(0);
    at(SEAT_BEAT_MS - 1);
    passes_pump(passes);
    assert_null(asked.b); /* nothing was counted */
}

/* Whoever came as an address and says later who it is stays counted as that. */
static void
test_REFRESH_changes_no_seat(void **state)
{
    struct fake *f = open_with(NULL, 0);

    (void)state;
    passes_pump(passes);
    assert_int_equal(said(keys_seats("t:", "address 192.0.2.1").s), 1);
    reply_number(1);
    assert_int_equal(pass_refresh(passes, &f->c, text_of("u", 1000)), FAULT_NONE);
    leave(f);
    passes_pump(passes);
    assert_int_equal(said("close"), 1);
    assert_int_equal(said(keys_seats("t:", "address 192.0.2.1").s), 1);
    reply_number(1);
}

/* Nobody knows what a lost question did: the open ones are counted under another name, also
 * when they are as many as may be. */
static void
test_after_a_lost_answer_all_are_counted_anew(void **state)
{
    struct fake *f[5], *gone;

    (void)state;
    for (int i = 0; i < 5; i++)
        f[i] = open_with(NULL, 0);
    passes_pump(passes);
    assert_int_equal(said("open"), 5);
    reply_number(1);
    gone = open_with(NULL, 0);
    passes_pump(passes);
    leave(gone);
    lose();
    passes_pump(passes);
    assert_int_equal(said("open"), 5);
    assert_int_equal(said("5"), 0); /* without a limit */
    assert_int_equal(said("close"), 0);
    passes_link_up(passes); /* and while that is under way, once more */
    reply_number(1);
    passes_pump(passes);
    assert_int_equal(said("open"), 5);
    reply_number(1);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(told(f[i]), "");
        leave(f[i]);
    }
    passes_pump(passes);
    assert_int_equal(said("close"), 5);
    reply_number(1);
}

static void
test_an_error_lets_pass(void **state)
{
    struct fake *f = open_with(NULL, 0);

    (void)state;
    passes_pump(passes);
    reply_all("not a number");
    assert_string_equal(told(f), "");
    leave(f);
}

static void
test_it_says_that_it_lives(void **state)
{
    (void)state;
    passes_pump(passes);
    assert_int_equal(questions, 1);
    reply_number(1);
    passes_pump(passes);
    at(SEAT_BEAT_MS - 1);
    passes_pump(passes);
    assert_int_equal(questions, 1);
    at(SEAT_BEAT_MS);
    passes_pump(passes);
    assert_int_equal(questions, 2);
    reply_number(1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
        T(test_TOKEN_EXPIRING_comes_60_s_before_and_4401_at_exp_itself),
        T(test_TOKEN_EXPIRING_comes_at_once_when_less_is_left),
        T(test_no_leeway_on_an_open_socket),
        T(test_anonymous_has_nothing_that_ends),
        T(test_REFRESH_prevents_the_end),
        T(test_REFRESH_with_another_sub_or_a_bad_token_leaves_the_old_one),
        T(test_one_failed_REFRESH_too_many_closes),
        T(test_revocation_is_asked_for_at_once),
        T(test_a_published_revocation_closes_whom_it_hits),
        T(test_after_a_loss_all_are_asked_about_again),
        T(test_a_lost_answer_is_asked_for_again),
        T(test_who_leaves_or_refreshes_meanwhile),
#define C(name) cmocka_unit_test_setup_teardown(name, begin_counting, end)
        C(test_4429_when_there_is_no_seat),
        C(test_who_leaves_before_the_answer_gives_its_seat_back),
        C(test_REFRESH_changes_no_seat),
        C(test_after_a_lost_answer_all_are_counted_anew),
        C(test_an_error_lets_pass),
        C(test_it_says_that_it_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
