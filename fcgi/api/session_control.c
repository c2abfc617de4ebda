#include "fcgi/api/session_control.h"

#include "common/session.h"

#include <string.h>

#define TYPES "fischer|delay|bronstein|byoyomi|canadian|hourglass|per_move|stages"

/* clang-format off */
#define TYPE(word, must, what)                                                                \
    { .name = "type", .type = F_ENUM, .label = "Type", .required = must, .one_of = word, .doc = what }
#define INCREMENT(what)                                                                       \
    { .name = "increment_ms", .type = F_INT, .label = "Increment", .min = 0, .max = 60000, .doc = what }
#define DELAY(what)                                                                           \
    { .name = "delay_ms", .type = F_INT, .label = "Delay", .required = true, .min = 1, .max = 60000, \
      .doc = what }
#define PERIOD(what)                                                                          \
    { .name = "period_ms", .type = F_INT, .label = "Period", .required = true, .min = 1000,   \
      .max = SESSION_PERIOD_MAX_MS, .doc = what }

const struct field session_control_types[] = {
    TYPE(TYPES, false, "Which one it is."),
    { .type = F_END },
};

static const struct field fischer_fields[] = {
    TYPE("fischer", false, "The bank burns, and each hand-over adds to it. With 2000 ms, a turn of 10 s "
                           "out of 60 s leaves 50 s, then 52 s."),
    INCREMENT("What a hand-over adds; 0 when left out."),
    { .type = F_END },
};

static const struct field delay_fields[] = {
    TYPE("delay", true, "The beginning of every turn is free. With 3000 ms, a turn of 10 s out of 60 s "
                        "costs 7 s, one of 2 s nothing."),
    DELAY("For how long."),
    { .type = F_END },
};

static const struct field bronstein_fields[] = {
    TYPE("bronstein", true, "A hand-over gives back what the turn took, up to a limit. With 3000 ms, a turn "
                            "of 10 s out of 60 s leaves 50 s, then 53 s; one of 2 s ends where it began."),
    DELAY("The limit."),
    { .type = F_END },
};

static const struct field byoyomi_fields[] = {
    TYPE("byoyomi", true, "When the bank is gone, periods follow; one that is used up is lost, a hand-over "
                          "makes the running one whole again. With 3 of 10000 ms, a turn of 75 s out of "
                          "60 s leaves 5 s and periods_left 2, then 10 s and still 2."),
    { .name = "periods", .type = F_INT, .label = "Periods", .required = true, .min = 1,
      .max = SESSION_PERIODS_MAX, .doc = "How many." },
    PERIOD("How long each one is."),
    { .type = F_END },
};

static const struct field canadian_fields[] = {
    TYPE("canadian", true, "When the bank is gone, there is one block of time for several turns together; "
                           "after the last of them a new one. With 2 moves in 30000 ms, a turn of 70 s out "
                           "of 60 s leaves 20 s and moves_left 1; a second one of 15 s makes that 30 s "
                           "and 2 again."),
    { .name = "moves", .type = F_INT, .label = "Moves", .required = true, .min = 1,
      .max = SESSION_MOVES_MAX, .doc = "How many turns a block is for." },
    PERIOD("How long a block is."),
    { .type = F_END },
};

static const struct field hourglass_fields[] = {
    TYPE("hourglass", true, "Two participants: what burns for one runs to the other. A turn of 10 s out of "
                            "60 s leaves 50 s here and makes 70 s there."),
    { .type = F_END },
};

static const struct field per_move_fields[] = {
    TYPE("per_move", true, "Every turn has the whole bank. A turn of 10 s out of 60 s leaves 50 s, then 60 s."),
    { .type = F_END },
};

static const struct field stage_fields[] = {
    { .name = "moves", .type = F_INT, .label = "Moves", .min = 1, .max = SESSION_MOVES_MAX,
      .doc = "How many turns the stage has; the last one, and only that, goes on without." },
    { .name = "add_ms", .type = F_INT, .label = "Added time", .min = 0, .max = 86400000,
      .doc = "What the bank gets when the stage has ended; 0 when left out." },
    INCREMENT("What each hand-over in it adds; 0 when left out."),
    { .type = F_END },
};

static const struct field stages_fields[] = {
    TYPE("stages", true, "The bank burns, hand-overs add to it, and so does the end of a stage. With "
                         "[{moves 2, add_ms 30000, increment_ms 1000}, {increment_ms 2000}], two turns of "
                         "10 s out of 60 s leave 51 s, then 72 s in stage 2."),
    { .name = "stages", .type = F_ARRAY, .label = "Stages", .required = true, .min = 1,
      .max = SESSION_STAGES_MAX, .items = stage_fields, .doc = "In their order." },
    { .type = F_END },
};

const struct field_variant session_control_variants[] = {
    { "fischer",   fischer_fields },
    { "delay",     delay_fields },
    { "bronstein", bronstein_fields },
    { "byoyomi",   byoyomi_fields },
    { "canadian",  canadian_fields },
    { "hourglass", hourglass_fields },
    { "per_move",  per_move_fields },
    { "stages",    stages_fields },
    { NULL,        NULL },
};
/* clang-format on */

static struct time_stage
stage_draft(struct json_object *from)
{
    return (struct time_stage){
        .moves = body_int(from, "moves", 0),
        .add_ms = body_int(from, "add_ms", 0),
        .increment_ms = body_int(from, "increment_ms", 0),
    };
}

/* increment_ms beside it says the same, or the draft is at fault: session_create finds that. */
static void
fischer_draft(struct session *s, struct json_object *from)
{
    int64_t increment = body_int(from, "increment_ms", s->increment_ms);

    s->control.increment_ms = increment < 0 ? 0 : increment;
}

void
session_control_draft(struct session *s, struct json_object *from)
{
    const char *type = body_str(from, "type");
    struct time_control *control = &s->control;

    control->type = type == NULL ? CONTROL_FISCHER : control_type_parse(type);
    if (control->type == CONTROL_FISCHER)
        fischer_draft(s, from);
    control->delay_ms = body_int(from, "delay_ms", 0);
    control->periods = body_int(from, "periods", 0);
    control->period_ms = body_int(from, "period_ms", 0);
    control->moves = body_int(from, "moves", 0);
    control->n_stages = (int32_t)body_array_len(from, "stages");
    for (int32_t k = 0; k < control->n_stages; k++)
        control->stages[k] = stage_draft(body_array_at(from, "stages", (size_t)k));
}
