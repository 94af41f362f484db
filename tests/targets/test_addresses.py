"""Which addresses a run may reach: every spelling, every wrapping, and names that change their minds."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine.errors import TargetRefused
from aurea_engine.fields.hosts import parse_host, unwrap
from aurea_engine.targets.addresses import check_address, check_target, resolve, resolve_entries
from aurea_engine.workload.access import Access, parse_allowed_target
from aurea_server.settings.targets import parse_secrets, parse_targets

named = pytest.mark.parametrize
Answers = list[list[str]]


def allow(*entries: str, listeners: tuple[tuple[str, int], ...] = ()) -> Access:
    return Access(targets=tuple(map(parse_allowed_target, entries)), listeners=listeners, local=False)


def is_allowed(access: Access, host: str, port: int = 80) -> bool:
    try:
        check_target(host, port, access)
    except TargetRefused:
        return False
    return True


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Answers]], list[str]]:
    """A resolver whose answers are planted, each list once, the last for ever; what was asked is in what it returns."""

    def plant(answers: dict[str, Answers]) -> list[str]:
        asked: list[str] = []

        async def getaddrinfo(loop: Any, host: str, port: int, **_: Any) -> list[Any]:
            asked.append(host)
            left = answers.get(host)
            if not left:
                raise socket.gaierror(socket.EAI_NONAME, "unknown")
            addresses = left.pop(0) if len(left) > 1 else left[0]
            return [
                (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
                for each in addresses
            ]

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
        return asked

    return plant


def in_plain_loop(work: Callable[[], Awaitable[Any]]) -> Any:
    """On asyncio's own loop, whose resolver a test can replace."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:

        async def main() -> Any:
            return await work()

        return runner.run(main())


@named(
    ("text", "expected"),
    [
        ("127.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("0x7f.0.0x0.1", "127.0.0.1"),
        ("10.0.0.1.", "10.0.0.1"),
        ("1", "0.0.0.1"),
        ("１２７.0.0.1", "127.0.0.1"),
        ("127。0。0。1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("EXAMPLE.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("Ｅxample.com", "example.com"),
        ("a_b.svc", "a_b.svc"),
    ],
)
def test_each_host_has_one_form(text: str, expected: str) -> None:
    """As `inet_aton` and IDNA read it, which the resolver of the system does too."""
    assert str(parse_host(text)) == expected


@named(
    "text",
    [
        "", ".", "a..b", "-a.example", "a-.example", "a b", "a/b", "a%41", "1.2.3.4.5", "256.1.1.1", "a.0x", "foo.9",
        "fe80::1%eth0", "[::1%lo]", "[::1", "::1]", "x" * 64, ".".join(["abcdefgh"] * 40), "a\n", "a\0", "a@b", "1.1.1.1 x",
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the sentence is checked where people see it
        parse_host(text)


@given(st.text("0123456789abcdefxX.:[]%-１。", max_size=18))
def test_what_system_reads_as_address_is_one(text: str) -> None:
    """The oracle is the resolver itself, asked not to look anything up: what it takes for an address is no name to us."""
    try:
        system = socket.getaddrinfo(text, 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][4][0]
    except (OSError, UnicodeError):
        return
    try:
        ours = parse_host(text)
    except ValueError:
        return
    assert str(ours) == system


@given(st.text(max_size=30))
def test_any_text_raises_value_error_at_most(text: str) -> None:
    for parse in (parse_host, parse_allowed_target, parse_targets, parse_secrets):
        with contextlib.suppress(ValueError):
            parse(text)


@given(st.integers(0, 2**32 - 1))
def test_embedded_ipv4_addresses_count(number: int) -> None:
    """Each form that carries an IPv4 address is that address; the oracle is the standard library's own reading."""
    v4 = ipaddress.IPv4Address(number)
    for prefix in ("::ffff:", "64:ff9b::", "::ffff:0:"):
        assert unwrap(ipaddress.IPv6Address(f"{prefix}{v4}")) == v4
    six_to_four = ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1)
    assert unwrap(six_to_four) == six_to_four.sixtofour == v4
    teredo = ipaddress.IPv6Address((0x20010000 << 96) | (1 << 64) | (number ^ 0xFFFFFFFF))
    assert teredo.teredo is not None
    assert unwrap(teredo) == teredo.teredo[1] == v4


def test_plain_addresses_stay_themselves() -> None:
    assert [str(unwrap(ipaddress.ip_address(each))) for each in ("::", "::1", "fd00::1", "10.0.0.1")] == [
        "::", "::1", "fd00::1", "10.0.0.1"
    ]  # fmt: skip


WRAPPED = (
    "169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::169.254.169.254]", "[2002:a9fe:a9fe::1]", "0xa9fea9fe",
    "2852039166", "0251.0376.0251.0376", "[::169.254.169.254]", "[64:ff9b:1::a9fe:a9fe]", "[fe80::1]", "[fd00:ec2::254]",
    "224.0.0.1", "[ff02::1]", "0.0.0.0", "0", "[::]", "255.255.255.255", "169.254.1.1", "[::ffff:0.0.0.0]",
    "100.100.100.200", "168.63.129.16", "[fd20:ce::254]", "[2001:0:1::5601:5601]", "169.254.169.254.",
)  # fmt: skip


@named("host", WRAPPED)
def test_some_addresses_are_never_reached(host: str) -> None:
    """Whatever is allowed, and however it is written."""
    everything = allow("0.0.0.0/0", "::/0", "169.254.169.254:80", "169.254.0.0/16", "[fe80::]:80")
    assert not is_allowed(everything, host)


@named(
    ("entry", "inside", "outside"),
    [
        ("10.0.0.0/8", [("10.1.2.3", 1), ("[::ffff:10.1.2.3]", 65535), ("[64:ff9b::a01:203]", 7)], [("11.0.0.1", 1)]),
        ("10.0.0.0/8:443", [("10.1.2.3", 443)], [("10.1.2.3", 80)]),
        ("10.0.0.7", [("10.0.0.7", 1), ("10.0.0.7", 9)], [("10.0.0.8", 1)]),
        ("10.0.0.7:80", [("10.0.0.7", 80), ("0x0a000007", 80)], [("10.0.0.7", 81), ("ten.example", 80)]),
        ("[fd00::/8]:80", [("[fd12::1]", 80)], [("[fd12::1]", 81), ("[fc00::1]", 80)]),
        ("fd00::/8", [("fd12::1", 5)], [("10.0.0.1", 5)]),
        ("[fd00::1]:80", [("[fd00:0::1]", 80)], [("[fd00::2]", 80)]),
        ("fd00::1", [("[fd00::1]", 8)], [("[fd00::2]", 8)]),
        ("::ffff:10.0.0.0/104", [("10.9.9.9", 1)], [("11.9.9.9", 1)]),
        ("[::ffff:10.0.0.1]:80", [("10.0.0.1", 80)], [("10.0.0.1", 81)]),
        ("App.Example.:80", [("app.example", 80), ("APP.example.", 80)], [("app.example", 81), ("b.example", 80)]),
        ("bücher.example:80", [("xn--bcher-kva.example", 80)], [("bucher.example", 80)]),
        ("127.0.0.1:80", [("127.1", 80), ("localhost", 80)], [("localhost", 81), ("other", 80)]),
        ("localhost:80", [("localhost", 80), ("LOCALHOST.", 80)], [("localhost", 81)]),
    ],
)  # fmt: skip
def test_entries_allow_what_they_say(entry: str, inside: list[tuple[str, int]], outside: list[tuple[str, int]]) -> None:
    access = allow(entry)
    assert [each for each in inside if not is_allowed(access, *each)] == []
    assert [each for each in outside if is_allowed(access, *each)] == []


@named(
    "text",
    [
        "", "a", "a:", "a:0", "a:65536", "a:+1", "a:１", "10.0.0.0/33", "10.0.0.1/8", "http://a:1", "a:1:2", "[::1",
        "*:80", "a/8", "a:80=unix:", "a:80=unix:relative", "=unix:/a", "unix:/a", "10.0.0.1:80=unix:/a",
        "10.0.0.0/8=unix:/a", "a=unix:/a",
    ],
)  # fmt: skip
def test_malformed_entries_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_allowed_target(text)


def test_nothing_is_allowed_by_no_entry() -> None:
    for host in ("10.0.0.1", "localhost", "app.example", "[::1]"):
        assert not is_allowed(allow(), host)


def test_user_of_their_own_may_aim_anywhere() -> None:
    """The command line: no list, and so no refusal, not even of link-local addresses."""
    for host in WRAPPED:
        check_target(host, 80, Access())


@named(
    ("listener", "refused", "reached"),
    [
        ("127.0.0.1", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "[64:ff9b::127.0.0.1]"], ["127.0.0.2"]),
        ("0.0.0.0", ["127.0.0.1", "127.0.0.2", "127.99.1.1"], ["192.0.2.1"]),
        ("::", ["[::1]", "127.0.0.1", "[::ffff:127.0.0.1]"], ["192.0.2.1"]),
        ("::1", ["[::1]"], ["127.0.0.1"]),
    ],
)  # fmt: skip
async def test_own_listener_is_never_reached(listener: str, refused: list[str], reached: list[str]) -> None:
    """On its port and all of its addresses; another port of the same address is no listener."""
    access = allow("0.0.0.0/0", "::/0", listeners=((listener, 5000),))
    for host in reached:
        assert is_allowed(access, host, 5000)
    for host in refused:
        assert is_allowed(access, host, 5001)
        if host == "localhost":
            assert ("127.0.0.1", 5000) not in await resolve(host, 5000, access)
        else:
            assert not is_allowed(access, host, 5000)


def test_listeners_are_on_all_own_addresses() -> None:
    """A wildcard listener answers on each of them; one that no entry of a routing table has is somebody else's."""
    access = allow("0.0.0.0/0", listeners=(("0.0.0.0", 5000),))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only picks the address to send from
        except OSError:
            pytest.skip("this machine has no address but loopback")
        own = probe.getsockname()[0]
    assert not is_allowed(access, own, 5000)


def test_foreign_names_are_not_resolved(resolver: Callable[[dict[str, Answers]], list[str]]) -> None:
    """No entry could match, so the name is not even looked up."""
    asked = resolver({"evil.example": [["10.0.0.1"]]})
    for access in (allow(), allow("app.example:80"), allow("10.0.0.1:80"), allow("10.0.0.0/8:81")):
        with pytest.raises(TargetRefused):
            in_plain_loop(lambda access=access: resolve("evil.example", 80, access))  # type: ignore[misc]
    assert asked == []


def test_names_may_resolve_into_a_network(resolver: Callable[[dict[str, Answers]], list[str]]) -> None:
    """What lies outside it is left out, and an answer without anything inside is a refusal."""
    asked = resolver(
        {"two.example": [["192.0.2.9", "10.0.0.9", "10.0.0.9"]], "out.example": [["192.0.2.9", "169.254.169.254"]]}
    )
    access = allow("10.0.0.0/8:80")
    assert in_plain_loop(lambda: resolve("two.example", 80, access)) == [("10.0.0.9", 80)]
    with pytest.raises(TargetRefused, match="no address that is allowed"):
        in_plain_loop(lambda: resolve("out.example", 80, access))
    assert asked == ["two.example", "out.example"]


def test_names_keep_addresses_of_the_start(resolver: Callable[[dict[str, Answers]], list[str]]) -> None:
    """DNS rebinding: the first answer is what the operator allowed, and the second points into the cloud, or next door."""
    resolver(
        {"app.example": [["10.0.0.1", "10.0.0.2"], ["10.0.0.2"], ["127.0.0.1"], ["169.254.169.254"], ["10.0.0.3"]]}
    )
    targets = in_plain_loop(lambda: resolve_entries([parse_allowed_target("app.example:80")]))
    access = Access(targets=targets, local=False)
    assert in_plain_loop(lambda: resolve("app.example", 80, access)) == [("10.0.0.2", 80)]
    for _ in range(3):
        with pytest.raises(TargetRefused):
            in_plain_loop(lambda: resolve("app.example", 80, access))
    check_address(ipaddress.ip_address("10.0.0.1"), 80, access)


def test_name_without_address_raises(resolver: Callable[[dict[str, Answers]], list[str]]) -> None:
    resolver({})
    with pytest.raises(OSError):  # noqa: PT011
        in_plain_loop(lambda: resolve_entries([parse_allowed_target("app.example:80")]))


def test_answers_of_resolvers_are_unwrapped(resolver: Callable[[dict[str, Answers]], list[str]]) -> None:
    """A resolver that is the attacker's may answer in any form of IPv6."""
    answers = ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:10.0.0.1"]
    resolver({"app.example": [answers]})
    access = allow("0.0.0.0/0", "::/0")
    assert in_plain_loop(lambda: resolve("app.example", 80, access)) == [("::ffff:10.0.0.1", 80)]


def test_sockets_are_reached_by_own_entry(resolver: Callable[[dict[str, Answers]], list[str]]) -> None:
    """The name stands for the socket at its port; it is looked up nowhere, and no other name or port leads there."""
    asked = resolver({"app": [["10.0.0.1"]]})
    access = allow("app:80=unix:/run/app.sock", "10.0.0.0/8")
    assert in_plain_loop(lambda: resolve("APP.", 80, access)) == [("/run/app.sock",)]
    assert in_plain_loop(lambda: resolve_entries(access.targets or ())) == access.targets
    assert asked == []
    assert in_plain_loop(lambda: resolve("app", 81, access)) == [("10.0.0.1", 81)]
    assert [str(entry) for entry in access.targets or ()] == ["app:80=unix:/run/app.sock", "10.0.0.0/8"]


def test_access_survives_pipe_to_a_runner() -> None:
    access = allow(
        "10.0.0.0/8:80", "app.example:80", "fd00::/8", "app:80=unix:/run/app.sock", listeners=(("::1", 5000),)
    )
    again = Access.from_plain(access.to_plain())
    assert again == access
    assert [is_allowed(again, host) for host in ("10.1.1.1", "app.example", "11.0.0.1")] == [True, True, False]
