"""Folds the audit records of a session, as somebody does who has nothing else.

A record is text: one row about the change, then a line "field value" for each stored field that
the change touched. A row is tagged values, "v3 a1795362403096 ...". The fields of a session are
`h` (the header), `m` (metadata), `t` (what follows a timeout), `p:<place>` and `g:<place>`.
Whoever begins with a snapshot, all fields at one version, needs only the records behind it.
"""


class Broken(Exception):
    """The records do not tell one life."""


def fields(text):
    """The lines of a snapshot or of a record behind its first."""
    out = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name in out:
            raise Broken("field %s twice" % name)
        out[name] = value
    return out


def row(text):
    return {word[0]: word[1:] for word in text.split(" ")}


def of_row(text, tag, absent=0):
    return int(row(text).get(tag, absent))


def fold(records, snapshots=()):
    """The fields after the last record; `snapshots` are {version: text} and have to fit."""
    state, version, at = {}, 0, 0
    for record in records:
        head, _, rest = record.partition("\n")
        if of_row(head, "v") != version + 1 or of_row(head, "a") < at:
            raise Broken("version %d is not followed by %s" % (version, head))
        version, at = version + 1, of_row(head, "a")
        state.update(fields(rest))
        if version in snapshots and fields(snapshots[version]) != state:
            raise Broken("the snapshot of version %d is not what was folded" % version)
    return state


HEADER = (("c", "created_at"), ("u", "updated_at"), ("b", "session_started_at"),
          ("f", "session_completed_at"), ("y", "cycle_started_at"), ("p", "paused_at"),
          ("q", "paused_total_ms"), ("n", "cycle_number"))
PARTICIPANT = (("x", "participant_index"), ("t", "total_time_ms"), ("A", "allotted_ms"),
               ("u", "time_used_ms"), ("c", "cycle_count"))


def compare(state, shown, instant):
    """Hold the folded fields against the state that clients see; `instant` writes epoch ms."""
    places = [name for name in state if name.startswith("p:")]
    if len(places) != len(shown["participants"]):
        raise Broken("%d participants" % len(places))
    for tag, name in HEADER:
        value = of_row(state["h"], tag)
        if (value if name[-3:] != "_at" else instant(value or None)) != shown[name]:
            raise Broken("%s is %s" % (name, value))
    for k, person in enumerate(shown["participants"]):
        for tag, name in PARTICIPANT:
            value = of_row(state["p:%d" % k], tag)
            if value != person[name]:
                raise Broken("%s of participant %d is %s" % (name, k, value))
