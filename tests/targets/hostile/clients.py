"""The clients that are compared: pycurl and aiohttp as oracles, and Aurea's own.

Each plays one conversation at a time over connections of its own, and says of each exchange what it was told: a `Said`. The
words for failures are Aurea's classes; what each oracle calls them stands beside. After an exchange that may end the
connection an oracle gets a new one: oracles tell what a reply means, the server's log whether connections are used rightly.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import aiohttp
import pycurl

from tests.targets.hostile.cases import conversation, path_of
from tests.targets.hostile.parts import Asked, Exchange

AT_ONCE = 24  # conversations under way at a time
QUICK, PATIENT = 0.25, 60.0  # a client's patience where the server is to be silent for ever, and everywhere else


class Said(NamedTuple):
    """A reply, or a failure: never both. A client that does not look at the body has an empty ``checksum``, of any reply."""

    status: int = 0
    length: int = 0
    checksum: str = ""
    failure: str | None = None
    detail: str = ""
    received: int | None = None
    sent: int | None = None
    connected: bool | None = None


def checksum(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8).hexdigest()


def reply(status: int, body: bytes) -> Said:
    return Said(status, len(body), checksum(body))


def failure(name: str, detail: object = "") -> Said:
    return Said(failure=name, detail=str(detail)[:200])


def patience(exchange: Exchange, waits: Sequence[str] = ()) -> float:
    """How long a client waits for an exchange. ``waits``: the kinds in which it is known to wait for ever."""
    return QUICK if "timeout" in exchange.truth.failures or exchange.kind in waits else PATIENT


Play = Callable[[int, Sequence[int]], dict[int, list[Said]]]

# ------------------------------------------------------------------------------------------------------- pycurl

CURL_WAITS = ("not_continued",)
CURL = {
    pycurl.E_GOT_NOTHING: "closed_early",
    pycurl.E_PARTIAL_FILE: "closed_early",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_COULDNT_CONNECT: "refused",
    8: "protocol",  # CURLE_WEIRD_SERVER_REPLY, which pycurl does not name
    pycurl.E_UNSUPPORTED_PROTOCOL: "protocol",
    pycurl.E_HTTP2: "protocol",
    100: "too_large",  # CURLE_TOO_LARGE, likewise
    pycurl.E_OUT_OF_MEMORY: "too_large",
    pycurl.E_BAD_CONTENT_ENCODING: "protocol",
    pycurl.E_WRITE_ERROR: "protocol",  # what came cannot be unpacked
    pycurl.E_SEND_ERROR: "reset",
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_PEER_FAILED_VERIFICATION: "tls",
}


def curl_class(error: pycurl.error) -> str:
    """What libcurl's code means. Its 56, "failure in receiving", is a reset, a chunk that is wrong, or a head too large."""
    code, message = error.args
    if code == pycurl.E_RECV_ERROR:
        if "reset" in message or "Send failure" in message:
            return "reset"
        if "Too large" in message or "too large" in message:
            return "too_large"
        return "protocol"
    return CURL.get(code, f"curl {code}")


def ask_curl(curl: pycurl.Curl, url: str, asked: Asked, timeout: float) -> Said:
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(pycurl.TIMEOUT_MS, int(timeout * 1000))
    curl.setopt(pycurl.NOBODY, asked.method == "HEAD")
    if asked.inflates:
        curl.setopt(pycurl.ACCEPT_ENCODING, "gzip, deflate")
    body = bytearray()
    curl.setopt(pycurl.WRITEFUNCTION, body.extend)
    if asked.method in {"POST", "PUT"}:
        curl.setopt(pycurl.CUSTOMREQUEST, asked.method)
        curl.setopt(pycurl.POSTFIELDS, asked.body)
        curl.setopt(pycurl.HTTPHEADER, ["Expect: 100-continue" if asked.expects else "Expect:"])
    try:
        curl.perform()
    except pycurl.error as error:
        return failure(curl_class(error), error.args)
    return reply(curl.getinfo(pycurl.RESPONSE_CODE), bytes(body))


def curl_conversation(base: str, seed: int) -> list[Said]:
    said = []
    curl = pycurl.Curl()
    for place, exchange in enumerate(conversation(seed)):
        said.append(ask_curl(curl, base + path_of(seed, place), exchange.asked, patience(exchange, CURL_WAITS)))
        if exchange.truth.keeps:
            curl.reset()  # of its options: its connections stay
        else:
            curl.close()
            curl = pycurl.Curl()
    curl.close()
    return said


def by_curl(base: str, seeds: Sequence[int]) -> dict[int, list[Said]]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return dict(zip(seeds, threads.map(lambda seed: curl_conversation(base, seed), seeds), strict=True))


# ------------------------------------------------------------------------------------------------------ aiohttp


AIOHTTP_WAITS = ("bad_chunk", "loose_chunk", "never_continued")


def aiohttp_class(error: Exception) -> str:
    """What aiohttp's exceptions mean: the cause tells where its own words do not."""
    causes: list[BaseException] = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    text = " ".join(f"{type(cause).__name__} {cause}" for cause in causes)
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "tls"
    if "ConnectionResetError" in text or "BrokenPipeError" in text:
        return "reset"
    if "LineTooLong" in text or "Got more than" in text:
        return "too_large"
    if (
        "not completed" in text.lower()
        or "Not enough data" in text
        or isinstance(error, aiohttp.ServerDisconnectedError)
    ):
        return "closed_early"
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError | aiohttp.http.HttpProcessingError):
        return "protocol"
    return f"aiohttp {text[:100]}"


async def ask_aiohttp(session: aiohttp.ClientSession, url: str, asked: Asked, timeout: float) -> Said:
    wait = aiohttp.ClientTimeout(total=timeout)
    body = asked.body if asked.method in {"POST", "PUT"} else None
    try:
        async with session.request(
            asked.method, url, data=body, timeout=wait, expect100=asked.expects, allow_redirects=False
        ) as response:
            return reply(response.status, await response.read())
    except (aiohttp.ClientError, TimeoutError, OSError, aiohttp.http.HttpProcessingError) as error:
        return failure(aiohttp_class(error), repr(error))


async def aiohttp_conversation(base: str, seed: int, context: ssl.SSLContext | bool) -> list[Said]:
    said: list[Said] = []
    while len(said) < len(conversation(seed)):
        connector = aiohttp.TCPConnector(limit=1, ssl=context)
        cookies = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False, cookie_jar=cookies) as session:
            for place, exchange in enumerate(conversation(seed)[len(said) :], len(said)):
                session._auto_decompress = exchange.asked.inflates
                said.append(
                    await ask_aiohttp(
                        session, base + path_of(seed, place), exchange.asked, patience(exchange, AIOHTTP_WAITS)
                    )
                )
                if not exchange.truth.keeps:
                    break
    return said


async def some_at_once(one: Callable[[int], object], seeds: Sequence[int]) -> dict[int, list[Said]]:
    """Plays every conversation, AT_ONCE of them at a time."""
    said: dict[int, list[Said]] = {}
    left = iter(seeds)

    async def worker() -> None:
        for seed in left:
            said[seed] = await one(seed)  # type: ignore[misc]

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return said


def by_aiohttp(base: str, seeds: Sequence[int]) -> dict[int, list[Said]]:
    return asyncio.run(some_at_once(lambda seed: aiohttp_conversation(base, seed, True), seeds))
