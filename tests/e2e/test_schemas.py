"""The schemas of /api-docs.json and /asyncapi.json say something: for each one a value that it lets pass, with one member removed, one
added or one of another kind, is refused."""
import pathlib
import re

import jsonschema
import pytest
import requests

import answers
import frames
from watch import body, watch

UUID = "11111111-1111-4111-8111-111111111111"


def describe(stack):
    return [requests.get(f"{stack.base_url}/{name}", timeout=10).json() for name in ("api-docs.json", "asyncapi.json")]


class Document:
    def __init__(self, doc):
        self.doc = doc
        self.resolver = jsonschema.RefResolver.from_schema(doc)

    def validator(self, schema):
        return jsonschema.Draft202012Validator(schema, resolver=self.resolver, format_checker=frames.FORMATS)

    def resolve(self, schema):
        return self.resolver.resolve(schema["$ref"])[1] if "$ref" in schema else schema

    def objects(self):
        """(name, schema) of every object that has members, wherever it stands; each once."""
        seen = set()

        def walk(node, at):
            if isinstance(node, list):
                for k, one in enumerate(node):
                    yield from walk(one, f"{at}/{k}")
            if not isinstance(node, dict):
                return
            if isinstance(node.get("properties"), dict) and "type" in node and id(node) not in seen:
                seen.add(id(node))
                yield at, node
            for name, one in node.items():
                if name not in ("example", "examples"):
                    yield from walk(one, f"{at}/{name}")

        yield from walk(self.doc, "#")

    def value(self, schema):
        """Some value that the schema lets pass, with every member that it knows."""
        schema = self.resolve(schema)
        for key in ("const", "enum", "oneOf", "anyOf"):
            if key in schema:
                first = schema[key] if key == "const" else schema[key][0]
                return self.value(first) if key in ("oneOf", "anyOf") else first
        kind = schema["type"]
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            return {name: self.value(one) for name, one in schema.get("properties", {}).items()}
        if kind == "array":
            return [self.value(schema["items"])] * max(1, schema.get("minItems", 1)) if "items" in schema else []
        if kind == "string":
            known = {"uuid": UUID, "date-time": "2026-01-01T00:00:00.000Z"}
            return known.get(schema.get("format"), "x" * max(1, schema.get("minLength", 1)))
        return {"integer": max(1, schema.get("minimum", 1)), "number": 1.5, "boolean": True}[kind]

    def valid(self, schema):
        """A value with as many members as may stand beside each other."""
        value = self.value(schema)
        validator = self.validator(schema)
        for name in [n for n in schema["properties"] if n not in schema.get("required", [])]:
            if validator.is_valid(value):
                break
            del value[name]
        assert [e.message for e in validator.iter_errors(value)] == []
        return value


def of_another_kind(validator, value, name):
    """Values of kinds that the member does not have: there is at least one."""
    kinds = [None, True, 7, 7.5, "?", [[]], {"?": {}}]
    wrong = []
    for kind in kinds:
        changed = {**value, name: kind}
        if type(kind) is not type(value[name]) and not validator.is_valid(changed):
            wrong.append(changed)
    return wrong


def cases(document):
    for at, schema in document.objects():
        yield at, schema, document.valid(schema), document.validator(schema)


@pytest.fixture(scope="module", params=["OpenAPI", "AsyncAPI"])
def document(request, stack):
    return Document(describe(stack)[request.param == "AsyncAPI"])


def test_every_schema_refuses_a_removed_required_field(document):
    removed = 0
    for at, schema, value, validator in cases(document):
        for name in schema.get("required", []):
            without = {k: v for k, v in value.items() if k != name}
            assert not validator.is_valid(without), f"{at} without {name}"
            removed += 1
    assert removed > 60


def test_every_schema_refuses_an_added_unknown_field(document):
    added = 0
    for at, _, value, validator in cases(document):
        assert not validator.is_valid({**value, "surprise": 1}), at
        added += 1
    assert added > 15


def test_every_schema_refuses_a_retyped_field(document):
    retyped = 0
    for at, _, value, validator in cases(document):
        for name in value:
            assert of_another_kind(validator, value, name), f"{at}: {name} may be anything"
            retyped += 1
    assert retyped > 90


def test_every_answer_and_message_names_what_it_requires(document):
    named = document.doc["components"]["schemas"] | document.doc["components"].get("messages", {})
    for name, schema in named.items():
        schema = schema.get("payload", schema)
        if schema["type"] == "object":
            assert schema["required"] and schema["additionalProperties"] is False, name


def test_references_of_asyncapi_lead_somewhere_and_every_schema_is_one(stack):
    document = Document(describe(stack)[1])
    assert document.doc["asyncapi"] == "3.0.0" and document.doc["info"]["version"] == "2.0.0"

    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                document.resolver.resolve(node["$ref"])
            for one in node.values():
                walk(one)
        elif isinstance(node, list):
            for one in node:
                walk(one)

    walk(document.doc)
    for message in document.doc["components"]["messages"].values():
        jsonschema.Draft202012Validator.check_schema(message["payload"])
    operations = document.doc["operations"]
    assert set(operations) == set(document.doc["components"]["messages"]) == set(document.doc["channels"]["ws"]["messages"])


def test_asyncapi_says_with_which_codes_a_socket_is_closed(stack):
    source = (pathlib.Path(__file__).parents[2] / "broadcaster" / "client.c").read_text()
    codes = set(re.findall(r"\{ (\d{4}), WS_END_", source))
    said = describe(stack)[1]["info"]["description"].split("**Closed with**")[1].split("\n\n")[0]
    assert {"1000", "4401"} <= codes == set(re.findall(r"\b\d{4}\b", said))


def test_a_state_looks_the_same_in_openapi_and_asyncapi(stack):
    openapi, asyncapi = [doc["components"]["schemas"] for doc in describe(stack)]
    same = set(asyncapi) - {"ErrorCode"}
    assert {"SyncState", "Participant", "Group", "LastTimeout", "Result"} <= same
    for name in same:
        assert asyncapi[name] == openapi[name], name


def test_the_page_links_to_asyncapi(stack):
    root = pathlib.Path(__file__).parents[2]
    for page in ("web/api-docs/viewer.html", "web/api-docs/plain.js"):
        assert "../asyncapi.json" in (root / page).read_text()
    assert "asyncapi.json" in requests.get(stack.base_url + "/api-docs.json", timeout=10).json()["info"]["description"]


def test_what_is_heard_and_said_is_held_to_asyncapi(stack):
    sent = body()
    assert requests.post(stack.base_url + "/v1/sessions", json=sent, timeout=10).status_code == 201
    with watch(stack, sent["session_id"]) as socket:
        sync = dict(socket.wait_for("STATE_SYNC"))
        del sync["_received"]
        described = frames.of(stack.ws_url)
        assert ("server", frames.shape(sync)) in described.seen
        with pytest.raises(AssertionError):
            socket.send({"type": "PING", "surprise": 1})
        socket.send({"type": "PING"})
        socket.wait_for("PONG")
        assert ("client", frames.shape({"type": "PING"})) in described.seen


def test_frames_that_are_not_described_are_noticed(stack):
    """The check that watch.py makes of every frame would see these."""
    described = frames.Frames(describe(stack)[1])
    document = Document(described.doc)
    for key, message in described.doc["components"]["messages"].items():
        sent_by = "client" if described.doc["operations"][key]["action"] == "receive" else "server"
        good = document.valid(message["payload"])
        assert described.faults(sent_by, good) == []
        assert described.faults(sent_by, {**good, "surprise": 1})
        assert described.faults("client" if sent_by == "server" else "server", good)
    assert described.faults("server", {"type": "DANCE"}) and described.faults("server", [])


class Said:
    """An answer as `requests` gives it."""

    def __init__(self, status, body):
        self.status_code, self.body = status, body
        self.content = self.text = str(body)

    def json(self):
        return self.body


def test_answers_that_are_not_described_are_noticed(stack):
    """The check that conftest.py makes of every answer would see these; the suite runs under it."""
    assert requests.Session.send.__module__ == "answers"
    described = answers.Answers(describe(stack)[0])
    path = f"/v1/sessions/{UUID}"
    good = requests.post(stack.base_url + "/v1/sessions", json=body(), timeout=10).json()
    assert described.faults("GET", path, Said(200, good)) == []
    for name in ("/api" + path[3:], "/api" + path):
        assert described.faults("GET", name, Said(200, {"data": {**good["data"], "surprise": 1}}))
    assert described.faults("GET", path, Said(200, {"data": {k: v for k, v in good["data"].items() if k != "epoch"}}))
    assert described.faults("GET", path, Said(200, {"data": {**good["data"], "version": "1"}}))
    assert described.faults("GET", path, Said(418, {}))
    assert described.faults("DELETE", path, Said(204, "text"))
    assert described.faults("POST", "/v1/sessions/batch", Said(200, good))
