"""The service does what /api-docs.json says: every status, header and body met here is the one described, and what the
description lets pass, the service takes. The page beside it loads nothing from elsewhere."""
import json
import re
import shutil
import subprocess
import time
import uuid

import jsonschema
import pytest
import requests

from stack import ROOT, Stack, until
from tokens import bearer
from watch import body

METHODS = {"get", "post", "put", "patch", "delete"}


class Described:
    """The service as its own description sees it: call() makes a request and holds the answer to what is said about
    that path, method and status."""

    def __init__(self, base_url):
        self.base_url = base_url
        self.http = requests.Session()
        self.doc = self.http.get(base_url + "/api-docs.json", timeout=10).json()
        self.resolver = jsonschema.RefResolver.from_schema(self.doc)
        self.met = set()

    def resolve(self, node):
        return self.resolver.resolve(node["$ref"])[1] if "$ref" in node else node

    def validator(self, schema):
        return jsonschema.Draft202012Validator(schema, resolver=self.resolver, format_checker=jsonschema.FormatChecker())

    def operations(self):
        for path, item in self.doc["paths"].items():
            for method in METHODS & item.keys():
                yield path, method, item[method]

    def body_schema(self, method, path):
        return self.doc["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]

    def needed_query(self, method, path):
        """Some value for each query parameter that has to be there."""
        return {p["name"]: p["schema"]["minimum"] for p in self.doc["paths"][path][method].get("parameters", [])
                if p["in"] == "query" and p["required"]}

    def call(self, method, path, status, id=None, pid=None, **options):
        options.setdefault("params", self.needed_query(method, path))
        answer = self.http.request(method, self.base_url + path.replace("{id}", str(id)).replace("{pid}", str(pid or uuid.uuid4())), timeout=10, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        described = self.resolve(self.doc["paths"][path][method]["responses"][str(status)])
        self.met.add((path, method, status))
        if "content" in described:
            assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
            faults = self.validator(described["content"]["application/json"]["schema"]).iter_errors(answer.json())
            assert [f"{list(fault.absolute_path)}: {fault.message}" for fault in faults] == []
        else:
            assert answer.content == b""
        headers = {name: self.resolve(header) for name, header in described.get("headers", {}).items()}
        missing = [name for name, header in headers.items() if header["required"] and name not in answer.headers]
        assert not missing, f"{method} {path} {status} lacks {missing}"
        return answer


@pytest.fixture(scope="module")
def api():
    stack = Stack(POSTGRES="on")
    stack.database().close()
    yield Described(stack.base_url)
    stack.close()


def refs(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from refs(one)


# --- the document ---------------------------------------------------------------------------------------------------


def test_it_is_openapi_3_1(api):
    assert api.doc["openapi"].startswith("3.1.")
    assert api.doc["info"]["version"] == "2.0.0"
    assert api.doc["info"]["title"]
    for ref in refs(api.doc):
        api.resolver.resolve(ref)


def test_every_schema_is_a_schema(api):
    schemas = list(api.doc["components"]["schemas"].values())
    for _, _, operation in api.operations():
        contents = [operation["requestBody"]] if "requestBody" in operation else []
        contents += [api.resolve(r) for r in operation["responses"].values()]
        schemas += [c["schema"] for part in contents for c in part.get("content", {}).values()]
    assert len(schemas) > 30
    for schema in schemas:
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_operation_is_complete(api):
    ids = [operation["operationId"] for _, _, operation in api.operations()]
    assert len(ids) == len(set(ids)) >= 11
    tags = {tag["name"] for tag in api.doc["tags"]}
    for path, method, operation in api.operations():
        in_path = [p["name"] for p in operation.get("parameters", []) if p["in"] == "path"]
        assert in_path == re.findall(r"{(\w+)}", path), path
        assert set(operation["tags"]) <= tags and operation["summary"]
        assert all(re.fullmatch(r"[2-5]\d\d", status) for status in operation["responses"])
        assert all(api.resolve(r)["description"] for r in operation["responses"].values())


@pytest.mark.parametrize("path", ["/api-docs.json", "/asyncapi.json"])
def test_it_has_an_etag(api, path):
    first = api.call("get", path, 200)
    again = api.call("get", path, 304, headers={"If-None-Match": first.headers["ETag"]})
    assert again.headers["ETag"] == first.headers["ETag"]
    api.call("get", path, 200, headers={"If-None-Match": '"other"'})


# --- the service against it -----------------------------------------------------------------------------------------


def test_the_life_of_a_session_is_as_described(api):
    sent = body(metadata={"any": ["thing"]}, max_time_ms=5000, time_per_cycle_ms=5000)
    call = lambda verb, status=200, **more: api.call("post", "/v1/sessions/{id}" + verb, status, sent["session_id"], **more)
    get = lambda status=200, **more: api.call("get", "/v1/sessions/{id}", status, sent["session_id"], **more)
    events = lambda **p: api.call("get", "/v1/sessions/{id}/events", 200, sent["session_id"], params=p).json()["data"]["events"]
    api.call("post", "/v1/sessions", 201, json=sent)
    api.call("post", "/v1/sessions", 200, json=sent)
    get()
    call("/start")
    api.call("post", "/v1/sessions", 409, json=sent)
    call("/switch")
    call("/switch", 409, json={"expected_version": 77})
    call("/switch", 409, json={"current_participant_id": sent["participants"][0]["participant_id"]})
    call("/pause")
    call("/switch", 400)
    call("/resume")
    get(304, headers={"If-None-Match": get().headers["ETag"]})
    api.call("get", "/v1/sessions/{id}/poll", 200, sent["session_id"])
    api.call("get", "/v1/sessions/{id}/poll", 304, sent["session_id"], params={"since_version": get().json()["data"]["version"]})
    api.call("get", "/v1/sessions/{id}/poll", 400, sent["session_id"], params={"since_version": "x"})
    for verb in ("/switch", "/pause", "/resume"):
        call(verb, 412, headers={"If-Match": '"other"'})
        call(verb, 400, headers={"If-Match": "other"})
        short = call(verb, headers={"If-Match": get().headers["ETag"], "Prefer": "return=minimal"})
        assert short.headers["Preference-Applied"] == "return=minimal" and "participants" not in short.json()["data"]
    call("/complete", headers={"Idempotency-Key": "k1"})
    again = call("/complete", headers={"Idempotency-Key": "k1"})
    assert again.headers["Idempotency-Replayed"] == "true"
    call("/complete", 422, headers={"Idempotency-Key": "k1"}, json={"expected_version": 1})
    call("/complete", 400, headers={"Idempotency-Key": "two words"})
    api.call("post", "/v1/sessions", 201, headers={"Idempotency-Key": "k1", "Prefer": "return=minimal"}, json=body())
    get()
    call("/start", 400)
    batch = api.call("post", "/v1/sessions/batch", 200, json={"session_ids": [sent["session_id"], str(uuid.uuid4())]}).json()["data"]
    assert [one["session_id"] for one in batch["sessions"]] == [sent["session_id"]] and len(batch["missing"]) == 1
    until(events, say="its first records")
    api.call("delete", "/v1/sessions/{id}", 204, sent["session_id"])
    api.call("delete", "/v1/sessions/{id}", 204, sent["session_id"])
    get(404)
    until(lambda: events()[-1]["event_type"] == "session_deleted", say="its records")
    assert len(events(limit=2)) == 2


def test_a_cancelled_stopwatch_is_as_described(api):
    sent = changed(sync_mode="count_up", participants=None, total_time_ms=None)
    api.call("post", "/v1/sessions", 201, json=sent)
    for verb in ("start", "switch", "cancel"):
        api.call("post", "/v1/sessions/{id}/" + verb, 200, sent["session_id"])
    api.call("post", "/v1/sessions/{id}/cancel", 400, sent["session_id"])


@pytest.mark.parametrize("control", [
    {"type": "fischer"}, {"type": "delay", "delay_ms": 3000}, {"type": "bronstein", "delay_ms": 3000},
    {"type": "byoyomi", "periods": 3, "period_ms": 10_000}, {"type": "canadian", "moves": 2, "period_ms": 30_000}, {"type": "hourglass"},
    {"type": "per_move"}, {"type": "stages", "stages": [{"moves": 1}, {"add_ms": 5}]}], ids=lambda control: control["type"])
def test_a_time_control_is_as_described(api, control):
    sent = body(time_control=control)
    state = api.call("post", "/v1/sessions", 201, json=sent).json()["data"]
    assert state["time_control"]["type"] == control["type"]
    for verb in ("start", "switch", "switch", "pause"):
        api.call("post", "/v1/sessions/{id}/" + verb, 200, sent["session_id"])
    # a description that lets anything pass would be none
    schema = api.validator({"$ref": "#/components/schemas/SyncState"})
    assert schema.is_valid(state)
    for wrong in ({**state["time_control"], "surprise": 1}, {"type": "chess"}, {}):
        assert not schema.is_valid({**state, "time_control": wrong})


def test_a_removal_is_as_described(api):
    sent = changed()
    api.call("post", "/v1/sessions", 201, json=sent)
    path = "/v1/sessions/{id}/participants/{pid}"
    for pid, status in ((sent["participants"][1]["participant_id"], 200), (sent["participants"][0]["participant_id"], 409),
                        (uuid.uuid4(), 404), ("x", 400)):
        api.call("delete", path, status, sent["session_id"], pid=pid)


def test_groups_and_their_changes_are_as_described(api):
    sent = changed(sync_mode="per_group", groups=[{"group_id": str(uuid.uuid4()), "total_time_ms": 5000}])
    api.call("post", "/v1/sessions", 201, json=sent)
    api.call("post", "/v1/sessions/{id}/participants", 201, sent["session_id"], json=newcomer(group_id=sent["groups"][0]["group_id"]))
    api.call("post", "/v1/sessions/{id}/participants", 400, sent["session_id"], json=newcomer(participant_id=sent["participants"][0]["participant_id"]))
    path, pid = "/v1/sessions/{id}/participants/{pid}", sent["participants"][0]["participant_id"]
    api.call("patch", path, 200, sent["session_id"], pid=pid, json={"add_ms": 5, "reason": "x"}, headers={"Prefer": "return=minimal"})
    api.call("patch", path, 404, sent["session_id"], json={"add_ms": 5, "reason": "x"})
    api.call("patch", path, 400, sent["session_id"], pid=pid, json={"add_ms": -70_000, "reason": "x"})
    api.call("post", "/v1/sessions/{id}/start", 200, sent["session_id"])
    api.call("patch", path, 200, sent["session_id"], pid=pid, json={"total_time_ms": 0, "reason": "x"})
    api.call("get", "/v1/sessions/{id}", 200, sent["session_id"])


def test_an_expired_session_is_as_described(api):
    one, two = str(uuid.uuid4()), str(uuid.uuid4())
    sent = changed(participants=[{"participant_id": one, "participant_index": 0, "total_time_ms": 1000, "group_id": two},
                                 {"participant_id": two, "participant_index": 1, "total_time_ms": 1000}])
    api.call("post", "/v1/sessions", 201, json=sent)
    api.call("post", "/v1/sessions/{id}/start", 200, sent["session_id"])
    end = time.monotonic() + 10
    while "last_timeout" not in api.call("get", "/v1/sessions/{id}", 200, sent["session_id"]).json()["data"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    switched = api.call("post", "/v1/sessions/{id}/switch", 200, sent["session_id"]).json()["data"]
    assert switched["expired_participant_id"] == one


def newcomer(**more):
    return {"participant_id": str(uuid.uuid4()), "total_time_ms": 5000, **more}


def some_body(method, path):
    """A body that passes, where there has to be one."""
    return {("post", "/v1/sessions"): body(), ("post", "/v1/sessions/batch"): {"session_ids": [str(uuid.uuid4())]},
            ("post", "/v1/sessions/{id}/participants"): newcomer(),
            ("patch", "/v1/sessions/{id}/participants/{pid}"): {"add_ms": 1, "reason": "x"}}.get((method, path))


def test_refusals_are_as_described(api):
    there = body()
    api.call("post", "/v1/sessions", 201, json=there)
    as_json = {"Content-Type": "application/json"}
    api.call("post", "/v1/sessions", 400, json={})
    api.call("post", "/v1/sessions", 400, data=b"{", headers=as_json)
    api.call("post", "/v1/sessions", 415, data=b"a=b", headers={"Content-Type": "text/plain"})
    api.call("post", "/v1/sessions", 413, data=b" " * 300_000 + b"{}", headers=as_json)
    for path, method, operation in api.operations():
        if "{id}" in path:
            api.call(method, path, 400, "no-uuid")
        if "404" in operation["responses"]:
            api.call(method, path, 404, uuid.uuid4(), json=some_body(method, path))
        if "requestBody" in operation:
            api.call(method, path, 400, there["session_id"], json={"surprise": 1})


def test_a_list_is_as_described(api):
    mine = bearer(f"lister-{uuid.uuid4()}")
    for _ in range(3):
        api.call("post", "/v1/sessions", 201, json=body(), headers=mine)
    assert len(api.call("get", "/v1/sessions", 200, headers=mine).json()["data"]["sessions"]) == 3
    page = api.call("get", "/v1/sessions", 200, headers=mine, params={"limit": 2}).json()["data"]
    page = api.call("get", "/v1/sessions", 200, headers=mine,
                    params={"limit": 2, "cursor": page["next_cursor"], "status": "pending"}).json()["data"]
    assert len(page["sessions"]) == 1 and "next_cursor" not in page
    api.call("get", "/v1/sessions", 400, headers=mine, params={"limit": 101})
    api.call("get", "/v1/sessions", 403, headers=mine, params={"owner": "somebody else"})
    api.call("get", "/v1/sessions", 401)


def test_time_health_and_ready_are_as_described(api):
    for path in ("/v1/time", "/health", "/ready"):
        assert "Server-Time" in api.call("get", path, 200).headers


def test_every_success_was_met(api):
    """Runs after the tests above: no described success goes unseen."""
    described = {(p, m, int(s)) for p, m, o in api.operations() for s in o["responses"] if s[0] in "23"}
    assert described - api.met == set()


def test_limits_and_missing_tokens_are_as_described(make_stack):
    stack = make_stack(AUTH_REQUIRED="true", RATE_LIMIT_ENABLED="true", RATE_LIMIT_GENERAL="2/60s")
    api = Described(stack.base_url)
    for _ in range(2):
        api.call("get", "/v1/sessions/{id}", 401, uuid.uuid4())
    api.call("get", "/v1/sessions/{id}", 429, uuid.uuid4())


def test_without_its_store_it_answers_as_described(make_stack):
    stack = make_stack()
    api = Described(stack.base_url)
    stack.hold("redis")
    stack.kill("redis")
    for path, method, operation in api.operations():
        if "503" in operation["responses"]:
            api.call(method, path, 503, uuid.uuid4(), headers=bearer(), json=some_body(method, path))
    assert "Server-Time" not in api.call("get", "/health", 200).headers
    stack.release("redis")


# --- bodies: what the description says and what the service does are the same ---------------------------------------


def changed(**more):
    sent = body()
    for name, value in more.items():
        if value is None:
            del sent[name]
        else:
            sent[name] = value
    return sent


def with_participant(**more):
    sent = body()
    sent["participants"][0].update(more)
    return sent


BODIES = [
    changed(),
    changed(session_id=None),
    changed(session_id="x"),
    changed(session_id=5),
    changed(sync_mode=None),
    changed(sync_mode="chess"),
    changed(participants=None),
    changed(participants=[]),
    changed(participants=[1]),
    changed(participants={}),
    changed(sync_mode="global", participants=None),
    changed(sync_mode="global", participants=[]),
    changed(sync_mode="count_up", participants=None, total_time_ms=None),
    changed(sync_mode="count_up", participants=[1]),
    changed(sync_mode="global", total_time_ms=None),
    changed(sync_mode="global", total_time_ms=None, time_per_cycle_ms=5000),
    changed(sync_mode="per_cycle", participants=[], time_per_cycle_ms=5000),
    changed(sync_mode="per_cycle", total_time_ms=None, time_per_cycle_ms=5000),
    changed(sync_mode="per_cycle", max_cycles=0),
    changed(sync_mode="per_cycle", max_cycles=7, auto_advance=True),
    changed(auto_advance="yes"),
    changed(action_on_timeout={"type": "game_over", "outcome": "lost", "penalty": {"points": 1}}),
    changed(action_on_timeout={}),
    changed(action_on_timeout={"type": "explode"}),
    changed(action_on_timeout={"type": "notify", "action": ""}),
    changed(action_on_timeout={"type": "notify", "surprise": 1}),
    changed(action_on_timeout=[]),
    changed(total_time_ms=None),
    changed(total_time_ms=999),
    changed(total_time_ms=1000),
    changed(total_time_ms=86_400_000),
    changed(total_time_ms=86_400_001),
    changed(total_time_ms=5000.0),
    changed(total_time_ms=5000.5),
    changed(total_time_ms="5000"),
    changed(total_time_ms=True),
    changed(increment_ms=0),
    changed(increment_ms=-1),
    changed(increment_ms=60_001),
    *(changed(time_control=control) for control in (
        {}, {"type": "fischer"}, {"increment_ms": 5}, {"type": "fischer", "increment_ms": 60_001}, {"type": "chess"}, {"type": 1}, [], "delay",
        {"type": "delay"}, {"type": "delay", "delay_ms": 1}, {"type": "delay", "delay_ms": 0}, {"type": "delay", "delay_ms": 60_001},
        {"type": "delay", "delay_ms": 5, "increment_ms": 5}, {"type": "delay", "delay_ms": "5"},
        {"type": "bronstein", "delay_ms": 60_000}, {"type": "bronstein"}, {"type": "bronstein", "delay_ms": 5, "moves": 5},
        {"type": "byoyomi", "periods": 1, "period_ms": 1000}, {"type": "byoyomi", "periods": 0, "period_ms": 1000},
        {"type": "byoyomi", "periods": 100, "period_ms": 3_600_000}, {"type": "byoyomi", "periods": 101, "period_ms": 1000},
        {"type": "byoyomi", "periods": 1, "period_ms": 999}, {"type": "byoyomi", "periods": 1, "period_ms": 3_600_001}, {"type": "byoyomi", "periods": 1},
        {"type": "canadian", "moves": 1, "period_ms": 1000}, {"type": "canadian", "moves": 201, "period_ms": 1000}, {"type": "canadian", "period_ms": 1000},
        {"type": "hourglass"}, {"type": "hourglass", "surprise": 1}, {"type": "per_move"}, {"type": "per_move", "delay_ms": 5},
        {"type": "stages"}, {"type": "stages", "stages": []}, {"type": "stages", "stages": [{}]}, {"type": "stages", "stages": [{"moves": 1}] * 5 + [{}]},
        {"type": "stages", "stages": [{"moves": 1, "add_ms": 86_400_000, "increment_ms": 60_000}, {}]}, {"type": "stages", "stages": [{"moves": 0}, {}]},
        {"type": "stages", "stages": [{"add_ms": -1}]}, {"type": "stages", "stages": [{"surprise": 1}]}, {"type": "stages", "stages": [5]})),
    changed(metadata={"a": {"b": [1, None]}}),
    changed(metadata=[]),
    changed(metadata="x"),
    changed(surprise=1),
    with_participant(participant_index=-1),
    with_participant(participant_index=2**53 - 1),
    with_participant(participant_index=2**53),
    with_participant(total_time_ms=999),
    with_participant(group_id="x"),
    with_participant(group_id=str(uuid.uuid4())),
    with_participant(surprise=1),
    [],
    "x",
]


@pytest.mark.parametrize("sent", BODIES, ids=range(len(BODIES)))
def test_a_body_is_taken_exactly_when_its_schema_says_so(api, sent):
    valid = api.validator(api.body_schema("post", "/v1/sessions")).is_valid(sent)
    api.call("post", "/v1/sessions", 201 if valid else 400, json=sent)


OTHERS = [
    ("post", "/v1/sessions/{id}/participants", sent) for sent in (
        newcomer(), newcomer(participant_index=0), newcomer(participant_index=-1), newcomer(group_id=str(uuid.uuid4())), newcomer(group_id="x"),
        newcomer(expected_version=1), newcomer(expected_version=0), newcomer(surprise=1), newcomer(total_time_ms=999), newcomer(total_time_ms="5000"),
        {"participant_id": str(uuid.uuid4())}, {"total_time_ms": 5000}, newcomer(participant_id=7), [], "x")
] + [
    ("patch", "/v1/sessions/{id}/participants/{pid}", sent) for sent in (
        {"add_ms": 5, "reason": "x"}, {"total_time_ms": 5, "reason": "x"}, {"add_ms": 5, "total_time_ms": 5, "reason": "x"}, {"reason": "x"},
        {"add_ms": 5}, {"total_time_ms": 5}, {"add_ms": 5, "reason": ""}, {"add_ms": 5, "reason": "x" * 200}, {"add_ms": 5, "reason": "x" * 201},
        {"add_ms": 5, "reason": 7}, {"add_ms": "5", "reason": "x"}, {"add_ms": 5.5, "reason": "x"}, {"total_time_ms": -1, "reason": "x"},
        {"total_time_ms": 86_400_001, "reason": "x"}, {"add_ms": -86_400_001, "reason": "x"}, {"add_ms": 5, "reason": "x", "surprise": 1},
        {"add_ms": 5, "reason": "x", "expected_version": 1}, {"total_time_ms": 86_400_000, "reason": "x"}, [], "x")
] + [
    ("post", "/v1/sessions", changed(sync_mode="per_group", **more)) for more in (
        {}, {"groups": [{"group_id": str(uuid.uuid4()), "total_time_ms": 5000}]}, {"groups": []}, {"groups": {}}, {"groups": [1]},
        {"groups": [{"group_id": str(uuid.uuid4())}]}, {"groups": [{"total_time_ms": 5000}]}, {"groups": [{"group_id": "x", "total_time_ms": 5000}]},
        {"groups": [{"group_id": str(uuid.uuid4()), "total_time_ms": 999}]},
        {"groups": [{"group_id": str(uuid.uuid4()), "total_time_ms": 5000, "members": []}]},
        {"groups": [{"group_id": str(uuid.uuid4()), "total_time_ms": 5000, "members": ["x"]}]},
        {"groups": [{"group_id": str(uuid.uuid4()), "total_time_ms": 5000, "members": "x"}]},
        {"groups": [{"group_id": str(uuid.uuid4()), "total_time_ms": 5000, "surprise": 1}]})
]


@pytest.mark.parametrize("method,path,sent", OTHERS, ids=range(len(OTHERS)))
def test_other_bodies_too(api, method, path, sent):
    there = body()
    api.call("post", "/v1/sessions", 201, json=there)
    valid = api.validator(api.body_schema(method, path)).is_valid(sent)
    good = 201 if method == "post" else 200
    api.call(method, path, good if valid else 400, there["session_id"], pid=there["participants"][0]["participant_id"], json=sent)


# --- the page -------------------------------------------------------------------------------------------------------


def test_the_page_loads_nothing_from_elsewhere(stack):
    assert requests.get(stack.base_url + "/api-docs", allow_redirects=False, timeout=10).status_code == 301
    page = requests.get(stack.base_url + "/api-docs/", timeout=10)
    assert page.status_code == 200 and "SyncKairos API Documentation" in page.text
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    loaded = re.findall(r'<(?:script|link)[^>]* (?:src|href)="([^"]*)"', page.text)
    assert loaded and not re.search(r"<script>|<style|style=", page.text)
    for address in loaded:
        if address != "data:,":
            assert ":" not in address
            assert requests.get(stack.base_url + "/api-docs/" + address, timeout=10).status_code == 200


def test_without_npm_the_page_is_the_plain_one(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "cp", "mv", "rm", "mkdir"):
        (tools / tool).symlink_to(shutil.which(tool))
    built = subprocess.run([ROOT / "etc/dev/docs", tmp_path / "docs"], cwd=ROOT, env={"PATH": str(tools)},
                           capture_output=True, text=True, timeout=60)
    assert built.returncode == 0 and "is the plain page" in built.stderr
    assert (tmp_path / "docs/index.html").read_text() == (ROOT / "web/api-docs/plain.html").read_text()
    assert {p.name for p in (tmp_path / "docs").iterdir()} == {"index.html", "plain.html", "plain.css", "plain.js"}


def test_the_lockfile_pins_without_naming_a_registry():
    lock = json.loads((ROOT / "web/api-docs/package-lock.json").read_text())
    packages = [p for name, p in lock["packages"].items() if name]
    assert packages and all("resolved" not in p and p["integrity"].startswith("sha512-") for p in packages)


def test_the_example_of_a_body_is_accepted(stack):
    document = requests.get(stack.base_url + "/api-docs.json", timeout=10).json()
    example = document["paths"]["/v1/sessions"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert requests.post(stack.base_url + "/v1/sessions", json=example, timeout=10).status_code == 201
