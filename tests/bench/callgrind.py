"""What callgrind has counted, by theme."""

import collections
import re

# The first that fits the file of a function, or the program or library that it is in.
THEMES = [
    ("Redis client", r"libhiredis|common/(redis|keys)"),
    ("rows, records", r"common/(row|session_row|session_slice|session_whole|session_access|event)\.c"),
    ("answer: JSON, headers", r"common/session_json|fcgi/(reply|count|api)"),
    ("load, commit", r"common/(session_(load|commit|call|store|idem|mine|many|tell|claim)|id|changes)\.c"),
    ("engine", r"common/(session|mode|control|warning)"),
    ("log, metrics", r"common/(log|metrics|tally|report|clock|status)"),

    ("FastCGI", r"libfcgi|fcgi/(io_fcgi|worker|slot)"),
    ("token", r"libcrypto|common/(token|base64|revoke)"),
    ("request: head, route, body", r"fcgi/(request|route|query|main|io|guard|service)|common/(json|field)|libjson-c"),
    ("limits, access", r"fcgi/gate|common/(limit|access|address|etag)"),
]
# They work for whoever calls them.
HELPERS = r"/libc\.|/ld-|/libm\.|valgrind|common/(buf|arena)\.c|string_fortified"


class _Names:
    """Names come once, as "(3) name", and then as "(3)"."""

    def __init__(self):
        self.known = {}

    def __call__(self, text):
        number, _, name = text.partition(" ")
        if name:
            self.known[number] = name
        return self.known.get(number, text)


def read(path):
    """{function: own instructions}, {(caller, callee): instructions} and {(caller, callee): calls}; a function is (object, file, name)."""
    own, calls, times = collections.Counter(), collections.Counter(), collections.Counter()
    names = {"ob": _Names(), "fl": _Names(), "fn": _Names()}
    ob = fl = callee_ob = callee_fl = called = None
    function = callee = None
    for line in open(path):
        if line[0] in "+-*0123456789":
            cost = int(line.split()[1])
            if called:
                calls[function, callee] += cost
                called = None
            else:
                own[function] += cost
            continue
        key, _, value = line.rstrip("\n").partition("=")
        if key == "ob":
            ob = names["ob"](value)
        elif key == "fl":
            fl = names["fl"](value)
        elif key == "fn":
            function = (ob, fl, names["fn"](value))
            callee_ob, callee_fl = ob, fl
        elif key in ("fi", "fe"):
            names["fl"](value)
        elif key == "cob":
            callee_ob = names["ob"](value)
        elif key in ("cfi", "cfl"):
            callee_fl = names["fl"](value)
        elif key == "cfn":
            callee = (callee_ob, callee_fl, names["fn"](value))
        elif key == "calls":
            called = True
            times[function, callee] += int(value.split()[0])
            callee_ob, callee_fl = ob, fl
    return own, calls, times


def theme(function):
    """None: a helper."""
    ob, fl, _ = function
    if re.search(HELPERS, f"{ob} {fl}"):
        return None
    return next((name for name, pattern in THEMES if re.search(pattern, f"{ob} {fl}")), "other")


def by_theme(path):
    """Theme -> instructions: its functions, and what they had helpers do."""
    own, calls, _ = read(path)
    found = collections.Counter()
    for function, cost in own.items():
        if theme(function):
            found[theme(function)] += cost
    for (caller, callee), cost in calls.items():
        if theme(caller) and not theme(callee) and not callee[2].startswith("__libc_start"):
            found[theme(caller)] += cost
    return found


def inclusive(path, names):
    """Name -> (calls, instructions with all that was called), of functions that do not call themselves."""
    _, calls, times = read(path)
    of = lambda counts, name: sum(n for (_, callee), n in counts.items() if callee[2] == name)
    return {name: (of(times, name), of(calls, name)) for name in names}
