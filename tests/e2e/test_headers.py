"""What answers and pages say to browsers: security headers everywhere, and whose pages may read."""
import re

import pytest
import requests

from stack import ROOT

PAGES = ["/", "/demo/", "/demo/chess.html", "/demo/chess.js", "/synckairos.js", "/synckairos.d.ts", "/api-docs", "/api-docs/", "/status"]
DATA = ["/v1/time", "/health", "/ready", "/metrics", "/api-docs.json", "/asyncapi.json", "/v1/sessions", "/v1/nothing", "/nothing",
        "/ws", f"/v1/sessions/11111111-2222-4333-8444-555555555555"]


def get(stack, path, method="GET", **headers):
    return requests.request(method, stack.base_url + path, headers=headers, timeout=10, allow_redirects=False)


@pytest.mark.parametrize("path", PAGES + DATA)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_every_answer_has_the_security_headers(stack, path, method):
    answer = get(stack, path, method)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    policy = answer.headers["Content-Security-Policy"]
    assert "," not in policy, "two of them"
    assert "unsafe" not in policy and re.match("default-src '(self|none)'", policy)
    if path in DATA and method == "GET":
        assert policy == "default-src 'none'; frame-ancestors 'none'"


def test_the_web_servers_own_errors_have_them_too(stack):
    large = requests.post(stack.base_url + "/v1/sessions", data=b" " * 300_000, timeout=10)
    assert large.status_code == 413
    assert large.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert large.headers["X-Content-Type-Options"] == "nosniff"


def test_no_page_holds_a_script_or_a_style_of_its_own():
    for page in (ROOT / "web").rglob("*.html"):
        text = page.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", text), page
        assert not re.search(r"<style|\bstyle=|\bon[a-z]+=\"|javascript:", text), page


@pytest.mark.parametrize("origins", ["", "*"])
def test_cors_without_a_list_lets_all_read(make_stack, origins):
    stack = make_stack(ALLOWED_ORIGINS=origins, BROADCASTERS=1)
    for origin in ({}, {"Origin": "https://evil.example"}):
        for path in ("/v1/time", "/v1/nothing", "/demo/", "/ws"):
            answer = get(stack, path, **origin)
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"


def test_cors_with_a_list(make_stack):
    stack = make_stack(ALLOWED_ORIGINS="https://a.example,https://b.example:8443", BROADCASTERS=1)
    cases = {"https://a.example": "https://a.example", "https://b.example:8443": "https://b.example:8443",
             None: "https://a.example", "https://evil.example": None, "https://a.example.evil": None,
             "http://a.example": None, "https://a.exampl": None, "null": None, "https://a.example,https://b.example:8443": None}
    for origin, wanted in cases.items():
        for method in ("GET", "OPTIONS"):
            for path in ("/v1/time", "/v1/nothing"):
                answer = get(stack, path, method, **({"Origin": origin} if origin else {}))
                assert answer.headers.get("Access-Control-Allow-Origin") == wanted, (origin, method, path)
                assert answer.headers.get("Access-Control-Allow-Credentials") == ("true" if wanted else None)
                assert "Origin" in answer.headers["Vary"]
        for path in ("/demo/", "/ws"):
            page = get(stack, path, **({"Origin": origin} if origin else {}))
            assert page.headers.get("Access-Control-Allow-Origin") == wanted


@pytest.mark.parametrize("path", ["/v1/time", "/v1/nothing", "/demo/", "/nothing", "/ws"])
def test_every_answer_says_which_request_it_is_of(stack, path):
    assert get(stack, path, **{"X-Request-Id": "mine-1"}).headers["X-Request-Id"] == "mine-1"
    for sent in ({}, {"X-Request-Id": "x" * 129}, {"X-Request-Id": "a b"}):
        said = get(stack, path, **sent).headers["X-Request-Id"]
        assert said and said not in sent.values()
