"""Which requests are answered: RFC 9112 where it leaves one reading, nothing where it leaves two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.web.http_headers import Headers

from lairchat.model import limits
from lairchat.transports.http_rules import LOOPBACK, canonical, host_of, judge

HOSTS = {"chat.example", "192.0.2.7", *LOOPBACK}


def asked(
    method: bytes = b"GET",
    target: bytes = b"/",
    version: bytes = b"HTTP/1.1",
    **headers: list[bytes],
) -> str:
    """Return the status and code with which a request is refused, or ``fine``."""
    raw = {name.replace("_", "-").encode(): values for name, values in headers.items()}
    raw.setdefault(b"Host", [b"localhost:7025"])
    refused = judge(method, target, version, Headers(raw), HOSTS)
    return "fine" if refused is None else f"{refused.status} {refused.refusal.code}"


@pytest.mark.parametrize(
    ("host", "outcome"),
    [
        ([b"localhost"], "fine"),
        ([b"LOCALHOST:7025"], "fine"),
        ([b"chat.example."], "fine"),
        ([b"Chat.Example:443"], "fine"),
        ([b"[::1]:7025"], "fine"),
        ([b"[0:0:0:0:0:0:0:1]"], "fine"),
        ([b"192.0.2.7"], "fine"),
        ([], "400 LC-HTTP-SYNTAX"),
        ([b"localhost", b"localhost"], "400 LC-HTTP-SYNTAX"),
        ([b"localhost", b"evil.example"], "400 LC-HTTP-SYNTAX"),
        ([b""], "400 LC-HTTP-SYNTAX"),
        ([b"localhost, evil.example"], "400 LC-HTTP-SYNTAX"),
        ([b"user@localhost"], "400 LC-HTTP-SYNTAX"),
        ([b"localhost/"], "400 LC-HTTP-SYNTAX"),
        ([b"localhost:70256789"], "400 LC-HTTP-SYNTAX"),
        ([b"localhost:"], "400 LC-HTTP-SYNTAX"),
        ([b"\xff"], "400 LC-HTTP-SYNTAX"),
        ([b"evil.example"], "421 LC-HTTP-HOST"),
        ([b"localhost.evil.example"], "421 LC-HTTP-HOST"),
        ([b"203.0.113.1"], "421 LC-HTTP-HOST"),
    ],
)
def test_the_host_is_there_once_and_ours(host: list[bytes], outcome: str) -> None:
    assert asked(Host=host) == outcome
    assert asked(Host=host, version=b"HTTP/1.0") == outcome


def test_with_http_2_the_same_host_may_be_there_twice() -> None:
    twice = [b"localhost", b"localhost"]
    assert asked(Host=twice, version=b"HTTP/2") == "fine"
    assert asked(Host=[b"localhost", b"chat.example"], version=b"HTTP/2") == "400 LC-HTTP-SYNTAX"


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"POST", b"PUT", b"DELETE", b"get", b"X"])
def test_methods_that_nothing_answers_to(method: bytes) -> None:
    assert asked(method) == "405 LC-HTTP-METHOD"
    refused = judge(method, b"/", b"HTTP/1.1", Headers({b"Host": [b"localhost"]}), HOSTS)
    assert refused is not None
    assert refused.headers == ((b"Allow", b"GET, HEAD"),)


def test_methods_that_are_answered() -> None:
    assert asked(b"GET") == asked(b"HEAD") == "fine"


@pytest.mark.parametrize("target", [b"*", b"http://localhost/", b"localhost:7025", b"health"])
def test_the_target_is_a_path(target: bytes) -> None:
    assert asked(target=target) == "400 LC-HTTP-SYNTAX"


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/1.2", b"HTTP/3", b"ICY"])
def test_other_versions(version: bytes) -> None:
    assert asked(version=version) == "505 LC-HTTP-VERSION"


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({"Content_Length": [b"0"]}, "fine"),
        ({"Content_Length": [b"%d" % limits.HTTP_BODY_BYTES]}, "fine"),
        ({"Content_Length": [b"%d" % (limits.HTTP_BODY_BYTES + 1)]}, "413 LC-HTTP-SIZE"),
        ({"Content_Length": [b"9" * 18]}, "413 LC-HTTP-SIZE"),
        ({"Content_Length": [b"9" * 5000]}, "400 LC-HTTP-SYNTAX"),
        ({"Content_Length": [b"5", b"5"]}, "400 LC-HTTP-SYNTAX"),
        ({"Content_Length": [b"5, 5"]}, "400 LC-HTTP-SYNTAX"),
        ({"Content_Length": [b"+5"]}, "400 LC-HTTP-SYNTAX"),
        ({"Content_Length": [b"0x5"]}, "400 LC-HTTP-SYNTAX"),
        ({"Content_Length": [b"1_0"]}, "400 LC-HTTP-SYNTAX"),
        ({"Content_Length": [b"\xc2\xb2"]}, "400 LC-HTTP-SYNTAX"),
        ({"Transfer_Encoding": [b"chunked"]}, "fine"),
        ({"Transfer_Encoding": [b"Chunked"]}, "fine"),
        ({"Transfer_Encoding": [b"identity"]}, "400 LC-HTTP-SYNTAX"),
        ({"Transfer_Encoding": [b"gzip, chunked"]}, "400 LC-HTTP-SYNTAX"),
        ({"Transfer_Encoding": [b"chunked", b"chunked"]}, "400 LC-HTTP-SYNTAX"),
        ({"Transfer_Encoding": [b"chunked"], "Content_Length": [b"5"]}, "400 LC-HTTP-SYNTAX"),
    ],
)
def test_the_end_of_a_body_is_seen_in_one_place(
    headers: dict[str, list[bytes]], outcome: str
) -> None:
    assert asked(**headers) == outcome


def test_http_1_0_has_no_chunks() -> None:
    assert asked(version=b"HTTP/1.0", Transfer_Encoding=[b"chunked"]) == "400 LC-HTTP-SYNTAX"


@given(st.binary(max_size=40))
def test_any_host_is_judged_without_an_error(value: bytes) -> None:
    found = host_of(value)
    assert found is None or canonical(found) == found


@given(st.binary(max_size=20), st.binary(max_size=20), st.lists(st.binary(max_size=10), max_size=3))
def test_any_head_is_judged_without_an_error(
    method: bytes, target: bytes, values: list[bytes]
) -> None:
    headers = Headers({b"Host": values, b"Content-Length": values, b"Transfer-Encoding": values})
    for version in (b"HTTP/1.1", b"HTTP/2", target):
        assert judge(method, target, version, headers, HOSTS) is not None
