"""Holds every answer that a test gets over HTTP from the service to /api-docs.json (tests/conftest.py): a status that its operation
does not name, a member that is not described, one that is missing or of another kind."""
import re
import threading
import urllib.parse

import jsonschema
import requests

import frames

# Those who speak through the web server without being asked by an operation.
OF_THE_WEB_SERVER = {405, 414, 431}


class Answers:
    """The description of one server."""

    def __init__(self, doc):
        self.doc = doc
        self.resolver = jsonschema.RefResolver.from_schema(doc)
        # those without parameters first: /sessions/batch is no /sessions/{id}
        paths = sorted(doc["paths"], key=lambda path: path.count("{"))
        self.paths = [(re.compile(pattern(path)), doc["paths"][path]) for path in paths]
        self.seen = set()

    def operation(self, method, path):
        for matcher, item in self.paths:
            if matcher.fullmatch(path) and method in item:
                return item[method]
        return None

    def resolve(self, node):
        return self.resolver.resolve(node["$ref"])[1] if "$ref" in node else node

    def faults(self, method, path, answer):
        """What is wrong with an answer of the service, as sentences; empty when it is as described."""
        operation = self.operation(method.lower(), path)
        if operation is None or answer.status_code in OF_THE_WEB_SERVER:
            return []
        where = f"{method} {path} {answer.status_code}"
        response = operation["responses"].get(str(answer.status_code))
        if response is None:
            return [f"{where} is not described: {answer.text[:300]}"]
        response = self.resolve(response)
        if "content" not in response:
            return [f"{where} has a body"] if answer.content else []
        body = answer.json()
        key = (operation["operationId"], answer.status_code, frames.shape(body))
        if key in self.seen:
            return []
        schema = response["content"]["application/json"]["schema"]
        validator = jsonschema.Draft202012Validator(schema, resolver=self.resolver, format_checker=frames.FORMATS)
        found = [f"{where} {list(e.absolute_path)}: {e.message[:300]}" for e in validator.iter_errors(body)]
        if not found:
            self.seen.add(key)
        return found


def pattern(path):
    """"/v1/..." is also found under "/api/v1" and "/api"."""
    parts = [re.escape(part) for part in re.split(r"{\w+}", path)]
    return re.sub(r"^/v1/", "/(?:v1|api/v1|api)/", "[^/]+".join(parts))


_lock = threading.RLock()
_known = []


def check(send, request, answer):
    """Hold one answer to the description of the server that gave it; `send` is requests' own. Sentences, empty when all is well."""
    # the service marks what it says; not the broadcaster's own port, nor what the web server says by itself
    if "X-Request-Id" not in answer.headers or request.method in ("HEAD", "OPTIONS"):
        return []
    address = urllib.parse.urlsplit(request.url)
    with _lock:
        if not _known:
            asked = requests.Request("GET", f"http://{address.netloc}/api-docs.json").prepare()
            with requests.Session() as session:
                described = send(session, asked, timeout=10)
            if described.status_code != 200:
                return []
            _known.append(Answers(described.json()))
        return _known[0].faults(request.method, address.path, answer)


def listen(strange):
    """From now on every answer to `requests` is looked at, and what is wrong with it goes into the list `strange`."""
    send = requests.Session.send

    def send_and_look(session, request, **options):
        answer = send(session, request, **options)
        if not options.get("stream"):
            strange.extend(check(send, request, answer))
        return answer

    requests.Session.send = send_and_look
