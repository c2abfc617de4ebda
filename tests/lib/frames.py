"""Holds what is said on a WebSocket to /asyncapi.json: every frame that a test sends or receives (watch.py).

A state has some eighty members and a storm thousands of frames, so a frame is looked at in full when none of its shape (members, kinds of values,
words) was looked at before."""
import threading
import urllib.parse

import jsonschema
import requests

FORMATS = jsonschema.FormatChecker()


class Frames:
    """The description of one server."""

    def __init__(self, doc):
        self.doc = doc
        self.resolver = jsonschema.RefResolver.from_schema(doc)
        self.by_type = {}
        for key, message in doc["components"]["messages"].items():
            sent_by = "client" if doc["operations"][key]["action"] == "receive" else "server"
            self.by_type.setdefault((sent_by, message["name"]), []).append(self.validator(message["payload"]))
        self.seen = set()

    def validator(self, schema):
        return jsonschema.Draft202012Validator(schema, resolver=self.resolver, format_checker=FORMATS)

    def faults(self, sent_by, message):
        """What is wrong with a message, as sentences; empty when it is as described."""
        if not isinstance(message, dict) or (sent_by, message.get("type")) not in self.by_type:
            return [f"the {sent_by} says nothing like {str(message)[:200]}"]
        key = (sent_by, shape(message))
        if key in self.seen:
            return []
        found = []
        for validator in self.by_type[sent_by, message["type"]]:
            errors = [f"{message['type']} {list(e.absolute_path)}: {e.message[:300]}" for e in validator.iter_errors(message)]
            if not errors:
                self.seen.add(key)
                return []
            found += errors
        return found


def shape(value):
    if isinstance(value, dict):
        return tuple((name, shape(v)) for name, v in sorted(value.items()))
    if isinstance(value, list):
        return ("list", frozenset(shape(v) for v in value))
    if isinstance(value, str):
        return value if value.isidentifier() and len(value) < 40 else ("text", len(value))
    if isinstance(value, bool) or value is None:
        return value
    return (type(value).__name__, value > 0, value < 0)


_lock = threading.Lock()
_known = []


def of(ws_url):
    """The description that belongs to a WebSocket's address. All servers of one run are of one build, and some are spoken to past the
    web server: so the first one that can be asked speaks for all. None: none could be asked yet."""
    with _lock:
        if not _known:
            address = urllib.parse.urlsplit(ws_url)
            try:
                answer = requests.get(f"http://{address.netloc}/asyncapi.json", timeout=10)
                if answer.status_code == 200:
                    _known.append(Frames(answer.json()))
            except requests.ConnectionError:
                pass
        return _known[0] if _known else None
