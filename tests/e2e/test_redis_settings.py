"""The programs say at their start, and of every Redis that they meet, whether sessions are safe with it."""
import json

from stack import until

SETTINGS, EVICTS, LOSES = "redis settings", "redis may evict live sessions", "redis loses sessions when it ends"


def lines(stack, name):
    """{event: [line, ...]} of one program's log."""
    found = {SETTINGS: [], EVICTS: [], LOSES: []}
    for text in stack.log(name).splitlines():
        line = json.loads(text) if text.startswith("{") else {}
        found.get(line.get("message"), []).append(line)
    return found


def test_what_redis_keeps_is_logged_and_warned_about(make_stack):
    stack = make_stack(BROADCASTERS=1, FCGI_WORKERS=3)
    until(lambda: lines(stack, "broadcaster-0")[SETTINGS] and lines(stack, "fcgi")[SETTINGS], say="the settings")
    for name in ("broadcaster-0", "fcgi"):
        said = lines(stack, name)
        assert [(line["maxmemory_policy"], line["appendonly"], line["maxmemory"]) for line in said[SETTINGS]] == [("noeviction", "yes", 0)], name
        assert not said[EVICTS] and not said[LOSES]

    stack.redis().config_set("maxmemory-policy", "volatile-ttl")
    stack.redis().config_set("appendonly", "no")
    stack.kill("fcgi", 1)
    stack.kill("broadcaster-0", 15)
    for name in ("broadcaster-0", "fcgi"):
        said = until(lambda: (now := lines(stack, name))[EVICTS] and now[LOSES] and now, say=name)  # pylint: disable=cell-var-from-loop
        assert said[EVICTS][0]["maxmemory_policy"] == "volatile-ttl" and "noeviction" in said[EVICTS][0]["remedy"]
        assert "appendonly yes" in said[LOSES][0]["remedy"] and said[LOSES][0]["level"] == "warn"

    before = len(lines(stack, "broadcaster-0")[SETTINGS])
    stack.kill("redis", 15)
    until(lambda: len(lines(stack, "broadcaster-0")[SETTINGS]) > before, say="another Redis")
    assert lines(stack, "broadcaster-0")[SETTINGS][-1]["appendonly"] == "yes"
