#include "access.h"

/* What a caller can be to a session; several at once. */
enum {
    STRANGER = 1, /* everybody with a token */
    READER = 2,   /* listed in `readers` */
    PLAYER = 4,   /* a participant, now or once */
    IN = 8,       /* a participant who still takes turns */
    ACTIVE = 16,  /* ... whose turn it is */
    MODERATOR = 32,
    OWNER = 64,
    TRUSTED = 128, /* service, admin */
};

#define OWNERS (OWNER | TRUSTED)

/* Who may, as a sum of the above. */
static const struct {
    unsigned usual;   /* sessions that everybody may see */
    unsigned hidden;  /* metadata.visibility "private" */
    unsigned readers; /* those with a list of readers */
} rights[COMMAND__MAX] = {
    [COMMAND_NONE] = { STRANGER, PLAYER | MODERATOR | OWNERS, READER | TRUSTED },
    [COMMAND_START] = { OWNERS, OWNERS, TRUSTED },
    [COMMAND_SWITCH] = { ACTIVE | OWNERS, ACTIVE | OWNERS, TRUSTED },
    [COMMAND_PAUSE] = { IN | OWNERS, IN | OWNERS, TRUSTED },
    [COMMAND_RESUME] = { IN | OWNERS, IN | OWNERS, TRUSTED },
    [COMMAND_COMPLETE] = { OWNERS, OWNERS, TRUSTED },
    [COMMAND_CANCEL] = { OWNERS, OWNERS, TRUSTED },
    [COMMAND_ADD] = { OWNERS, OWNERS, TRUSTED },
    [COMMAND_ADJUST] = { MODERATOR | OWNERS, MODERATOR | OWNERS, TRUSTED },
    [COMMAND_REMOVE] = { OWNERS, OWNERS, TRUSTED },
    [COMMAND_DELETE] = { OWNERS, OWNERS, TRUSTED },
};

static unsigned
right_to(enum command_type what, const struct session *s)
{
    if (s->readers != NULL)
        return rights[what].readers;
    return s->is_private ? rights[what].hidden : rights[what].usual;
}

/* ids are UUIDs; `sub` may be anything */
static bool
speaks_for(const struct token *t, const char *participant_id)
{
    if (id_equal(t->sub, participant_id))
        return true;
    for (size_t i = 0; i < t->n; i++)
        if (id_equal(t->participants[i], participant_id))
            return true;
    return false;
}

static unsigned
as_player(const struct token *t, const struct session *s)
{
    unsigned is = 0;

    for (size_t k = 0; k < s->n; k++) {
        if (!speaks_for(t, s->p[k].id))
            continue;
        is |= PLAYER;
        if (s->p[k].out == OUT_NONE)
            is |= IN;
        if (s->active == (int32_t)k)
            is |= ACTIVE;
    }
    return is;
}

bool
access_is_trusted(const struct caller *who)
{
    return who->token != NULL &&
           (who->token->role == ROLE_SERVICE || who->token->role == ROLE_ADMIN);
}

bool
access_is_unlimited(const struct caller *who)
{
    return who->token != NULL && who->token->role == ROLE_SERVICE;
}

/* Without the participants, of which there may be a thousand. */
static unsigned
at_once(const struct caller *who, const struct session *s)
{
    unsigned is = STRANGER;

    if (access_is_trusted(who))
        is |= TRUSTED;
    if (who->token->role == ROLE_MODERATOR)
        is |= MODERATOR;
    if (s->owner[0] != '\0' && strcmp(s->owner, who->token->sub) == 0)
        is |= OWNER;
    if (session_has_reader(s, who->token->sub))
        is |= READER;
    return is;
}

enum access
access_judge(const struct caller *who, const struct session *s, enum command_type what)
{
    unsigned is, see = right_to(COMMAND_NONE, s), act = right_to(what, s);

    if (who->is_free)
        return ACCESS_ALLOWED;
    if (who->token == NULL)
        return ACCESS_MISSING;
    is = at_once(who, s);
    if (!(is & see) || !(is & act))
        is |= as_player(who->token, s);
    if (!(is & see))
        return ACCESS_MISSING;
    return is & act ? ACCESS_ALLOWED : ACCESS_FORBIDDEN;
}
