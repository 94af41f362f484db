"""A secret is planted in every place that can hold one, and then looked for in everything that a run leaves behind."""

from __future__ import annotations

import json
import logging
import pickle
import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trustme

from aurea_engine import (
    Fifo,
    Http,
    RunResult,
    RunSpec,
    SpecError,
    TlsOptions,
    Workload,
    encode_json,
    result_from_dict,
    result_to_dict,
    run,
    spec_from_dict,
    spec_to_dict,
)
from aurea_engine.workload.access import Access, PublishedSecret
from tests.targets.recording_server import Received, recording_server, reply

SECRET = "swordfish:Pa$$w0rd/é+=&"
FORMS = [SECRET, json.dumps(SECRET)[1:-1], quote(SECRET, safe=""), b64encode(SECRET.encode()).decode(), "swordfish"]
"""As it is, and as it is written in JSON, in a URL and in a header."""


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The path of a file with the secret, which is also in the variable AUREA_TEST_SECRET."""
    monkeypatch.setenv("AUREA_TEST_SECRET", SECRET)
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    return str(path)


def assert_absent(what: str, *left_behind: object) -> None:
    for each in left_behind:
        text = (
            each
            if isinstance(each, str)
            else each.decode("utf-8", "replace")
            if isinstance(each, bytes)
            else repr(each)
        )
        assert not [form for form in FORMS if form in text], f"the secret is in {what}"


def assert_nothing_tells(result: RunResult) -> None:
    """Result, specification, records, parts, and what is made of them again."""
    document = result_to_dict(result)
    written = encode_json(document)
    again = result_from_dict(json.loads(written))
    assert_absent("the result", written, result, again, repr(result.findings))
    assert_absent("its specification", spec_to_dict(result.spec), result.spec)
    assert result.parts is not None
    assert_absent("the parts", result.parts.to_bytes(), pickle.dumps(result.spec))


def job(url: str, path: str, **members: Any) -> dict[str, Any]:
    """The secret as a token, and in two headers."""
    return {
        "kind": "http",
        "url": url,
        "headers": {"X-Api-Key": {"env": "AUREA_TEST_SECRET"}, "Cookie": {"file": path}},
        "auth": {"bearer": {"env": "AUREA_TEST_SECRET"}},
        **members,
    }


def read(document: dict[str, Any], **members: Any) -> RunSpec:
    return spec_from_dict({"workload": {"job": document, "jobs": 5}, "seed": 1, "label": "baseline", **members})


async def test_the_target_is_told_and_nobody_else(planted: str, caplog: pytest.LogCaptureFixture) -> None:
    """Also where the target says it again, in its reply's headers and body, and where jobs fail by it."""
    caplog.set_level(logging.DEBUG)

    def answer(received: Received) -> bytes:
        echo = "".join(received.lines)
        return reply(echo, 200 if received.target == "/" else 500, f"X-Echo: {received.header('x-api-key')}")

    async with recording_server(answer) as server:
        for target, members in (
            ("/", {}),
            ("/fails", {"expect": {"contains": "nothing"}}),
            ("/", {"expect": {"json": {"": 1}}}),
        ):
            result = await run(read(job(server.url(target), planted, **members)))
            assert_nothing_tells(result)
    sent = server.received[0]
    values = [sent.header(name) for name in ("Authorization", "X-Api-Key", "Cookie")]
    assert [value and value.encode("latin-1").decode() for value in values] == [f"Bearer {SECRET}", SECRET, SECRET]
    assert_absent("a log", caplog.text)


async def test_basic_is_encoded(planted: str) -> None:
    """User and password, as RFC 7617 has them."""
    async with recording_server() as server:
        document = {"kind": "http", "url": server.url(), "auth": {"basic": {"file": planted}}}
        assert_nothing_tells(await run(read(document)))
    assert server.received[0].header("Authorization") == f"Basic {b64encode(SECRET.encode()).decode()}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "https://127.0.0.1:1/", "http://no-such-host.invalid/"])
async def test_a_dead_target_is_told_nothing(planted: str, url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Failures have classes and no texts."""
    result = await run(read(job(url, planted)))
    assert result.counts.failed == 5
    assert_nothing_tells(result)
    assert_absent("a log", caplog.text)


async def test_no_secret_follows_a_redirect(planted: str) -> None:
    """To another port; to the same one it does."""
    async with recording_server() as other, recording_server() as server:
        for there in (other.url("/there"), "/there"):
            server.answer = lambda received, there=there: (
                reply("", 302, f"Location: {there}") if received.target == "/" else reply()
            )
            await run(read(job(server.url(), planted, redirects=1)))
    assert len(other.received) == 5
    for received in other.received:
        assert_absent("a request to another origin", received)
    followed = [received for received in server.received if received.target == "/there"]
    assert [received.header("X-Api-Key") is not None for received in followed] == [True] * 5


async def test_no_certificate_follows_a_redirect(tmp_path: Path) -> None:
    """The client's own, which the first origin is shown; the second one asks for it, and is shown none."""
    authority, paths = trustme.CA(), {name: str(tmp_path / f"{name}.pem") for name in ("ca", "client")}
    authority.cert_pem.write_to_path(paths["ca"])
    authority.issue_cert("a.client").private_key_and_cert_chain_pem.write_to_path(paths["client"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=paths["ca"])
    context.verify_mode = ssl.CERT_OPTIONAL
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with recording_server(context=context) as other, recording_server(context=context) as server:
        server.answer = lambda _: reply("", 302, f"Location: {other.url()}")
        tls = TlsOptions(ca=paths["ca"], cert=paths["client"])
        result = await run(RunSpec(Workload(Http(server.url(), tls=tls, redirects=1), jobs=2)))
    assert result.counts.completed == 2
    assert [received.client for received in (*server.received, *other.received)] == [True, True, False, False]


async def test_a_published_secret_has_one_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """For another host or port the run does not begin, and the error tells neither value nor place."""
    monkeypatch.setenv("AUREA_TEST_SECRET", SECRET)
    async with recording_server() as server:
        secret = PublishedSecret("env", "AUREA_TEST_SECRET", "127.0.0.1", server.port)
        access = Access(secrets={"shop": secret}, local=False)
        document = {"kind": "http", "url": server.url(), "auth": {"bearer": {"secret": "shop"}}}
        assert_nothing_tells(await run(read(document), access=access))
        assert server.received[0].header("Authorization") is not None
        elsewhere = {**document, "url": server.url().replace("127.0.0.1", "127.0.0.2")}
        with pytest.raises(SpecError, match="published for this target") as refused:
            await run(read(elsewhere), access=access)
        assert_absent("an error", str(refused.value))
        assert "AUREA_TEST_SECRET" not in str(refused.value)


@pytest.mark.parametrize("value", ["", "swordfish\r\nHost: evil", "swordfish\0"])
async def test_a_value_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str) -> None:
    """Empty, or with a line end: the run does not begin, and the value is not shown."""
    (tmp_path / "secret").write_bytes(value.encode())
    document = {"kind": "http", "url": "http://127.0.0.1:1/", "auth": {"bearer": {"file": str(tmp_path / "secret")}}}
    with pytest.raises(SpecError) as refused:
        await run(read(document))
    assert "auth.file" in str(refused.value)
    assert_absent("an error", str(refused.value))


async def test_basic_needs_user_and_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUREA_TEST_SECRET", "swordfish")
    document = {"kind": "http", "url": "http://127.0.0.1:1/", "auth": {"basic": {"env": "AUREA_TEST_SECRET"}}}
    with pytest.raises(SpecError, match="must be a secret of the form user:password") as refused:
        await run(read(document))
    assert_absent("an error", str(refused.value))


def test_a_literal_secret_is_in_no_error() -> None:
    """Wherever a reader may put it by mistake, and whatever else is wrong there."""
    documents: list[dict[str, Any]] = [
        {"url": "http://user:swordfish@h/"},
        {"url": "http://user:swordfish@h:99999/ #x"},
        {"url": "user:swordfish@h"},
        {"url": "http://h/", "headers": {"Authorization": "Bearer swordfish"}},
        {"url": "http://h/", "headers": {"Cookie": "swordfish\n"}},
        {"url": "http://h/", "headers": {"X-Api-Key": ["swordfish"]}},
        {"url": "http://h/", "auth": {"bearer": "swordfish"}},
        {"url": "http://h/", "auth": {"bearer": {"secret": "a", "token": "swordfish"}}},
        {"url": "http://h/", "auth": "Bearer swordfish"},
    ]
    for document in documents:
        for local in (True, False):
            with pytest.raises(SpecError) as refused:
                spec_from_dict({"workload": {"job": {"kind": "http", **document}, "jobs": 1}}, local=local)
            assert_absent(f"the error of {document}", str(refused.value))


async def test_slots_of_a_pool_hide_it_too(planted: str) -> None:
    """A representation of the jobs while they run shows nothing."""
    async with recording_server() as server:
        spec = read(job(server.url(), planted))
        async with spec.workload.job.leaves()[0].opened() as pool:
            assert_absent("a pool's representation", pool, repr(vars(pool)))
        assert_nothing_tells(await run(RunSpec(Workload(spec.workload.job, jobs=5), Fifo(slots=1))))
