"""Random bodies of create, what is wrong with them, and how the driver is told."""

import json

from history import WHOLE

OUT = {"": 0, "removed": 1, "eliminated": 2}


def uuid(rng):
    text = "%08x-%04x-4%03x-8%03x-%012x" % tuple(rng.getrandbits(b) for b in (32, 16, 12, 12, 48))
    return mixed(rng, text)


def mixed(rng, text):
    """Some other spelling of the same id."""
    return rng.choice((text, text, text.upper(), text.lower()))


MODES = ("per_participant", "per_cycle", "per_group", "global", "count_up")


def random_body(rng):
    mode = rng.choice(("per_participant",) + MODES)
    n = rng.choice((1, 2, 2, 2, 2, 3, 3, 4, 5, 12) + ((0,) * 5 if mode in WHOLE else ()))
    banks = rng.choice(((1000, 3000), (1000, 60000), (1000, 86400000), (5000, 5000)))
    people = []
    names = [uuid(rng) for _ in range(4)]
    for k in range(n):
        p = {
            "participant_id": uuid(rng),
            "participant_index": rng.choice((k, k, k, rng.randrange(4), 9007199254740991)),
            "total_time_ms": rng.randint(*banks),
        }
        if rng.random() < (0.5 if mode == "per_group" else 0.1):
            p["group_id"] = mixed(rng, rng.choice(names))
        if rng.random() < 0.05:
            p["out"] = rng.choice(("removed", "eliminated"))
        people.append(p)
    if people and all(p.get("out") for p in people):
        del people[0]["out"]
    body = {
        "session_id": uuid(rng),
        "epoch": "%s-%s.%s" % ("0" + "".join(rng.choices("0123456789abcdefghij", k=10)),
                               "".join(rng.choices("0123456789xyz", k=4)),
                               "00000000" + rng.choice("012")),
        "sync_mode": mode,
        "participants": people,
        "total_time_ms": rng.randint(1000, rng.choice((3000, 60000, 86400000))),
        "increment_ms": rng.choice((0, 0, 1, 500, rng.randint(0, 60000))),
    }
    if rng.random() < 0.2:
        body["time_per_cycle_ms"] = rng.randint(1000, rng.choice((5000, 86400000)))
    if rng.random() < (0.7 if mode == "count_up" else 0.2):
        body["max_time_ms"] = rng.randint(1000, rng.choice((5000, 86400000)))
    if mode == "count_up" and rng.random() < 0.5 or \
            mode == "global" and "time_per_cycle_ms" in body and rng.random() < 0.5:
        del body["total_time_ms"]
    if rng.random() < 0.2:
        body["owner"] = rng.choice(("user-1", "%", "a%20b", "\u00e4\u00f6\"\\", "x" * 255))
    if rng.random() < 0.2:
        body["metadata"] = rng.choice(({}, {"a": [1, {"b": "c\n"}]}, {"\u20ac": "%20=,"}))
    random_policy(rng, body)
    if rng.random() < (0.7 if mode == "per_participant" else 0.02):
        random_control(rng, body)
    if rng.random() < (0.6 if mode == "per_group" else 0.01):
        random_groups(rng, body, names)
    return body


def random_control(rng, body):
    """A time control, sometimes one that the session cannot have."""
    ms = lambda least, most: rng.randint(least, rng.choice((least + 500, most)))
    rule = rng.choice((
        {"type": "fischer", "increment_ms": body["increment_ms"]},
        {"type": "delay", "delay_ms": ms(1, 60000)},
        {"type": "bronstein", "delay_ms": ms(1, 60000)},
        {"type": "byoyomi", "periods": rng.choice((1, 2, 3, 100)), "period_ms": ms(1000, 3600000)},
        {"type": "canadian", "moves": rng.choice((1, 2, 3, 200)), "period_ms": ms(1000, 3600000)},
        {"type": "hourglass"},
        {"type": "per_move"},
        {"type": "stages", "stages": [
            {"moves": rng.choice((1, 2, 3)), "add_ms": ms(0, 60000), "increment_ms": ms(0, 60000)}
            for _ in range(rng.choice((1, 2, 3, 5)))]},
    ))
    if rule["type"] == "stages":
        del rule["stages"][-1]["moves"]
    if rule["type"] == "hourglass" and rng.random() < 0.9:
        del body["participants"][2:]
        for one in body["participants"][:1]:
            one.pop("out", None)
    if rule["type"] != "fischer":
        body["increment_ms"] = 0
    body["time_control"] = rule


def control_fault(body):
    """Whether the session cannot have its time control."""
    rule = body.get("time_control", {})
    return rule and body["sync_mode"] != "per_participant" or \
        rule.get("type") == "hourglass" and len(body["participants"]) != 2


def random_groups(rng, body, names):
    """Given groups, seldom ones that contradict something."""
    ids = rng.sample(names, rng.choice((1, 2, 2, 3)))
    if rng.random() < 0.05:
        ids.append(mixed(rng, rng.choice(ids)))
    body["groups"] = [{"group_id": i, "total_time_ms": rng.randint(1000, rng.choice((3000, 60000)))} for i in ids]
    for p in body["participants"]:
        home = rng.choice(body["groups"])
        said = p.get("group_id")
        if rng.random() < 0.5 and (said is None or said.lower() == home["group_id"].lower() or rng.random() < 0.05):
            home.setdefault("members", []).append(mixed(rng, p["participant_id"]))
    if rng.random() < 0.05:
        stranger = rng.choice([uuid(rng)] + [p["participant_id"] for p in body["participants"]])
        rng.choice(body["groups"]).setdefault("members", []).append(stranger)


def random_policy(rng, body):
    """Rules for the end of time, sometimes ones that the mode cannot have."""
    people = body["participants"]
    anybody = lambda: mixed(rng, rng.choice(people)["participant_id"])
    if rng.random() < 0.4:
        kinds = ("notify", "end_session", "game_over") if body["sync_mode"] in WHOLE and rng.random() < 0.9 \
            else ("notify", "end_session", "game_over", "skip_cycle", "skip_question", "auto_action", "auto_fold", "eliminate", "eliminate")
        policy = body["action_on_timeout"] = {"type": rng.choice(kinds)}
        for key, values in (("action", ("fold", "\u20ac%")), ("outcome", ("lost", "x" * 64)),
                            ("penalty", ({}, {"points": -5}))):
            if rng.random() < 0.2:
                policy[key] = rng.choice(values)
        if rng.random() < 0.2 and people:
            policy["winner_participant_id"] = rng.choice((anybody, anybody, lambda: uuid(rng)))()
    if rng.random() < 0.3:
        clocks = [p["total_time_ms"] for p in people] + [body.get("total_time_ms", 500)]
        body["warn_at_ms"] = [rng.choice((100, 1000, rng.randint(100, 3000), rng.randint(100, 86400000), rng.choice(clocks)))
                              for _ in range(rng.randint(0, 5))]
    has_turns = body["sync_mode"] not in WHOLE
    if rng.random() < (0.3 if has_turns else 0.02):
        body["auto_advance"] = True
    if rng.random() < (0.3 if body["sync_mode"] == "per_cycle" else 0.01):
        body["max_cycles"] = rng.choice((1, 2, 5, 9))
    if rng.random() < 0.2 and people:
        body["active_participant_id"] = rng.choice((anybody, anybody, anybody, lambda: uuid(rng)))()


def faults(body):
    """All that is wrong with a body, in the order in which it is told."""
    return list(own_faults(body)) + (list(group_faults(body)) if body["sync_mode"] == "per_group" else [])


def repeated(ids):
    """The places at which an earlier one stands again."""
    ids = [i.lower() for i in ids]
    return [k for k, i in enumerate(ids) if i in ids[:k]]


def own_faults(body):
    ids = [p["participant_id"].lower() for p in body["participants"]]
    policy = body.get("action_on_timeout", {})
    unknown = lambda key, name: key in name and name[key].lower() not in ids
    for k in repeated(ids):
        yield fault("participants.%d.participant_id" % k, "Participant ID must be unique in the session", "duplicate")
    if unknown("active_participant_id", body):
        yield fault("active_participant_id", "Participant not found in session", "invalid_value")
    if unknown("winner_participant_id", policy):
        yield fault("action_on_timeout.winner_participant_id", "Participant not found in session", "invalid_value")
    if body["sync_mode"] in WHOLE and policy.get("type", "notify") not in ("notify", "end_session", "game_over"):
        yield fault("action_on_timeout.type", "This action needs a mode with turns", "invalid_value")
    if body["sync_mode"] in WHOLE and body.get("auto_advance"):
        yield fault("auto_advance", "auto_advance needs a mode with turns", "invalid_value")
    if body["sync_mode"] != "per_cycle" and "max_cycles" in body:
        yield fault("max_cycles", "max_cycles needs mode per_cycle", "invalid_value")
    if body["sync_mode"] != "per_group" and "groups" in body:
        yield fault("groups", "groups needs mode per_group", "invalid_value")


def group_faults(body):
    people = body["participants"]
    ids = [p["participant_id"].lower() for p in people]
    home = {}
    for g, group in enumerate(body.get("groups", [])):
        for k, member in enumerate(group.get("members", [])):
            field, who = "groups.%d.members.%d" % (g, k), member.lower()
            if who not in ids:
                yield fault(field, "Participant not found in session", "invalid_value")
            elif who in home:
                yield fault(field, "A participant can be in one group only", "duplicate")
            else:
                home[who] = group["group_id"].lower()
    for k, p in enumerate(people):
        listed = home.get(ids[k]) if ids.index(ids[k]) == k else None
        if listed is not None and p.get("group_id", listed).lower() != listed:
            yield fault("participants.%d.group_id" % k, "Another group has this participant as a member",
                        "invalid_value")
    for k in repeated([g["group_id"] for g in body.get("groups", [])]):
        yield fault("groups.%d.group_id" % k, "Group ID must be unique in the session", "duplicate")


def create_line(body, now):
    words = [str(now), "create", "id=" + body["session_id"], "epoch=" + body["epoch"],
             "mode=" + body["sync_mode"], "inc=%d" % body["increment_ms"]]
    for key, name in (("total", "total_time_ms"), ("tpc", "time_per_cycle_ms"), ("max", "max_time_ms"), ("owner", "owner")):
        if name in body:
            words.append("%s=%s" % (key, body[name]))
    if "metadata" in body:
        words.append("meta=" + json.dumps(body["metadata"], separators=(",", ":"),
                                          ensure_ascii=False))
    for p in body["participants"]:
        words.append("p=%s,%d,%d,%s,%d" % (p["participant_id"], p["participant_index"],
                                           p["total_time_ms"], p.get("group_id", "-"),
                                           OUT[p.get("out", "")]))
    for g, group in enumerate(body.get("groups", [])):
        words.append("g=%s,%d" % (group["group_id"], group["total_time_ms"]))
        words += ["gm=%d,%d,%s" % (g, k, member) for k, member in enumerate(group.get("members", []))]
    if "warn_at_ms" in body:
        words.append("warn=" + ",".join(map(str, body["warn_at_ms"])))
    policy = body.get("action_on_timeout", {})
    for key, name, where in (("first", "active_participant_id", body), ("cycles", "max_cycles", body),
                             ("act", "type", policy), ("action", "action", policy),
                             ("outcome", "outcome", policy), ("winner", "winner_participant_id", policy)):
        if name in where:
            words.append("%s=%s" % (key, where[name]))
    if body.get("auto_advance"):
        words.append("adv=1")
    if "penalty" in policy:
        words.append("penalty=" + json.dumps(policy["penalty"], separators=(",", ":")))
    return " ".join(words + control_words(body.get("time_control", {})))


def control_words(rule):
    """tc=TYPE delay= periods= period= moves= stage=MOVES,ADD,INCREMENT (of the last MOVES is 0)."""
    words = ["tc=" + rule["type"]] if rule else []
    words += ["%s=%d" % (key, rule[name]) for key, name in
              (("delay", "delay_ms"), ("periods", "periods"), ("period", "period_ms"), ("moves", "moves"))
              if name in rule]
    return words + ["stage=%d,%d,%d" % (row.get("moves", 0), row["add_ms"], row["increment_ms"])
                    for row in rule.get("stages", ())]


def fault(field, message, code):
    return {"field": field, "message": message, "code": code}
