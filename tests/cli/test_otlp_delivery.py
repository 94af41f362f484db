"""What is decided about pushes, without a socket and without a clock; and the thread that does it, without a collector."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurea_engine.processes.messages import Snapshot
from aurea_server.cli.otlp_delivery import Delivery, Reply, parse_retry_after
from aurea_server.cli.otlp_pusher import Pusher, make_post
from aurea_server.cli.otlp_settings import OtlpSettings
from aurea_server.metrics.otlp_protobuf import Answer
from aurea_server.metrics.otlp_run import RunMetricsEncoder, Standing
from aurea_server.runner.messages import Figures

SETTINGS = OtlpSettings("http://c:4318/v1/metrics?key=1", {"a": "Bearer Pl4nted"})
TODAY = datetime(2026, 12, 1, 12, tzinfo=UTC)
OK, BUSY, WRONG, ABSENT = Reply(200), Reply(503), Reply(400, answer=Answer(0, "no")), Reply(error="Connection refused")


def make(draw: float = 1.0) -> tuple[Delivery, list[str]]:
    said: list[str] = []
    return Delivery(SETTINGS, said.append, lambda: draw), said


# --- What an answer means --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 502, 503, 504, 0])
def test_what_passes_by_itself_is_tried_again(status: int) -> None:
    delivery, _ = make()
    assert delivery.record(Reply(status), 100.0)
    assert delivery.not_before == 101.0


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 500, 501])
def test_what_is_refused_for_good_is_dropped(status: int) -> None:
    """The next push may come in its turn: a gateway that was set up wrongly may be set right."""
    delivery, _ = make()
    assert not delivery.record(Reply(status), 100.0)
    assert delivery.not_before == 0


def test_each_failure_doubles_the_pause() -> None:
    delivery, _ = make()
    now, pauses = 0.0, []
    for _ in range(8):
        delivery.record(BUSY, now)
        pauses.append(delivery.not_before - now)
        now = delivery.not_before
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    delivery.record(OK, now)
    delivery.record(BUSY, now)
    assert delivery.not_before == now + 1


def test_a_pause_is_drawn_from_its_second_half() -> None:
    delivery, _ = make(draw=0.0)
    delivery.record(BUSY, 0.0)
    assert delivery.not_before == 0.5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        (" 0 ", 0),
        ("Tue, 01 Dec 2026 12:00:07 GMT", 7),
        ("Tue, 01 Dec 2026 11:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("9" * 400, None),
        ("٣", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert parse_retry_after(text, TODAY) == seconds


DATE = st.tuples(
    st.integers(0, 99), st.integers(0, 10**21), st.integers(0, 99), st.sampled_from("+- "), st.integers(0, 10**15)
)


@given(st.text(max_size=40) | DATE.map(lambda each: "Mon, {:02} Jan {:04} {:02}:00:00 {}{:04}".format(*each)))
def test_no_retry_after_ends_the_pushes(text: str) -> None:
    asked = parse_retry_after(text, TODAY)
    assert asked is None or asked >= 0


def test_a_collector_is_left_alone_as_long_as_it_says() -> None:
    delivery, _ = make()
    assert delivery.record(Reply(429, retry_after="30"), 100.0, TODAY)
    assert delivery.not_before == 130


@pytest.mark.parametrize("asked", ["0", "Tue, 01 Dec 2026 11:00:00 GMT", "Tue, 01 Dec 2026 12:00:00 GMT"])
def test_a_collector_that_asks_for_no_pause_gets_one(asked: str) -> None:
    """And one that grows, as where it says nothing: it would be asked as fast as it answers."""
    delivery, _ = make()
    delivery.record(Reply(503, retry_after=asked), 100.0, TODAY)
    assert delivery.not_before == 101
    delivery.record(Reply(503, retry_after=asked), 101.0, TODAY)
    assert delivery.not_before == 103


def test_the_end_waits_little_for_who_never_answered() -> None:
    delivery, _ = make()
    assert delivery.find_patience() == 3.0  # a short run has heard nothing yet
    delivery.record(ABSENT, 0.0)
    assert delivery.find_patience() == 1.0
    delivery.record(OK, 0.0)
    assert delivery.find_patience() == SETTINGS.timeout


# --- What people are told --------------------------------------------------------------------------------------------


def test_a_failure_is_told_once_and_summed_up_at_the_end() -> None:
    delivery, said = make()
    for reply in (OK, BUSY, BUSY, WRONG, OK):
        delivery.record(reply, 0.0)
    delivery.finish(is_complete=True)
    assert said == [
        "metrics were not delivered to http://c:4318/v1/metrics: HTTP 503; the run goes on",
        "3 of 5 pushes of metrics to http://c:4318/v1/metrics failed; the end was delivered",
    ]


def test_nothing_is_told_where_all_was_delivered() -> None:
    delivery, said = make()
    delivery.record(OK, 0.0)
    delivery.finish(is_complete=True)
    assert said == []


def test_an_end_that_is_lost_is_told() -> None:
    delivery, said = make()
    delivery.record(ABSENT, 0.0)
    delivery.finish(is_complete=False)
    end = "the end of the run was not delivered to http://c:4318/v1/metrics: Connection refused"
    assert said[1] == f"1 of 1 pushes failed, and {end}"


def test_rejected_points_are_told() -> None:
    delivery, said = make()
    for rejected in (5, 7):
        delivery.record(Reply(200, answer=Answer(rejected, "too old")), 0.0)
    delivery.finish(is_complete=True)
    assert said == ["the collector rejected 5 data points: too old", "the collector rejected 12 data points in all"]


def test_a_warning_is_told() -> None:
    delivery, said = make()
    delivery.record(Reply(200, answer=Answer(0, "deprecated")), 0.0)
    assert said == ["the collector took the metrics, and says: deprecated"]


def test_credentials_and_control_characters_are_not_repeated() -> None:
    delivery, said = make()
    delivery.record(Reply(401, answer=Answer(0, "\x1b[2JBearer Pl4nted is unknown, Pl4nted" + "x" * 1000)), 0.0)
    assert "HTTP 401: ?[2J*** is unknown, ***xxx" in said[0]
    assert len(said[0]) < 400


@pytest.mark.parametrize(
    ("url", "reply", "hint"),
    [
        ("http://c:4318/v1/metrics", Reply(404), "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, which is taken as it stands"),
        ("http://c:4317/v1/metrics", Reply(error="bad line"), "4317 is for gRPC as a rule, and 4318 for HTTP"),
        ("http://c:4318/v1/metrics", Reply(308), "HTTP 308: it redirects, which is not followed"),
    ],
)
def test_a_usual_mistake_gets_its_remedy(url: str, reply: Reply, hint: str) -> None:
    said: list[str] = []
    Delivery(OtlpSettings(url), said.append).record(reply, 0.0)
    assert hint in said[0]


# --- The thread ------------------------------------------------------------------------------------------------------


class FakeCollector:
    """Answers as ``replies`` say, the last one for ever; where ``open`` is not set it answers nothing."""

    def __init__(self, *replies: Reply) -> None:
        self.replies, self.bodies = list(replies), list[bytes]()
        self.came, self.open = threading.Semaphore(0), threading.Event()
        self.open.set()

    def post(self, body: bytes) -> Reply:
        self.bodies.append(body)
        self.came.release()
        self.open.wait(60)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def wait(self) -> None:
        """Until one more push has come."""
        assert self.came.acquire(timeout=60)


class CountingEncoder(RunMetricsEncoder):
    """Writes the instant of a standing, and nothing else."""

    def __init__(self) -> None:
        super().__init__("real", 0, {})

    def encode(self, standing: Standing, pause: Callable[[], None] = lambda: None) -> bytes:
        pause()
        if standing.failed == "break":
            raise ValueError("broken")
        return str(standing.now_ns).encode()


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    made = FakeCollector(OK)
    yield made
    made.open.set()


def start(collector: FakeCollector, timeout: float = 60.0) -> tuple[Pusher, list[str]]:
    said: list[str] = []
    delivery = Delivery(OtlpSettings("http://c/v1/metrics", timeout=timeout), said.append, lambda: 0.0)
    return Pusher(CountingEncoder(), delivery, collector.post), said


def wait_until(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.001)


def at(instant: int, *, ended: bool = False) -> Standing:
    return Standing(instant, Snapshot(), Figures(status="completed") if ended else None)


def test_a_slow_collector_gets_the_newest_standing(collector: FakeCollector) -> None:
    """The run never waits, and nothing piles up: what a slow collector could not take in time is never sent."""
    collector.open.clear()
    pusher, said = start(collector)
    pusher.offer(at(1))
    collector.wait()
    for instant in range(2, 1000):
        pusher.offer(at(instant))
    collector.open.set()
    pusher.offer(at(1000, ended=True))
    pusher.close()
    assert (collector.bodies[0], collector.bodies[-1]) == (b"1", b"1000")
    assert len(collector.bodies) <= 3
    assert said == []


def test_what_failed_is_sent_again_in_the_same_words(collector: FakeCollector) -> None:
    """The end is encoded once: it would be counted twice."""
    collector.replies = [OK, BUSY, OK]
    pusher, said = start(collector)
    pusher.offer(at(1))
    collector.wait()
    pusher.offer(at(2, ended=True))
    pusher.close()
    assert collector.bodies == [b"1", b"2", b"2"]
    assert said[-1].endswith("1 of 3 pushes of metrics to http://c/v1/metrics failed; the end was delivered")


def test_the_end_is_not_sent_before_it_is_asked_for(collector: FakeCollector) -> None:
    """A collector that wants an hour of peace is not waited for, and not disturbed."""
    collector.replies = [OK, Reply(503, retry_after="3600")]
    pusher, said = start(collector)
    pusher.offer(at(1))
    collector.wait()
    pusher.offer(at(2))
    collector.wait()
    pusher.offer(at(3, ended=True))
    pusher.close()
    assert collector.bodies == [b"1", b"2"]
    assert said[-1].endswith("the end of the run was not delivered to http://c/v1/metrics: HTTP 503")


def test_a_collector_may_ask_for_centuries(collector: FakeCollector) -> None:
    """More than a thread can wait for at once: it waits all the same, and ends with the run."""
    collector.replies = [Reply(503, retry_after="Fri, 31 Dec 9999 23:59:59 GMT")]
    pusher, said = start(collector)
    pusher.offer(at(1))
    collector.wait()
    pusher.offer(at(2, ended=True))
    pusher.close()
    assert collector.bodies == [b"1"]
    assert said[-1].endswith("the end of the run was not delivered to http://c/v1/metrics: HTTP 503")


def test_a_collector_that_never_answers_is_given_up(collector: FakeCollector) -> None:
    collector.open.clear()
    pusher, said = start(collector, timeout=0.05)
    pusher.offer(at(1, ended=True))
    collector.wait()
    pusher.close()
    assert said == ["the end of the run was not delivered to http://c/v1/metrics: no answer came in time"]


def test_a_second_signal_ends_the_waiting(collector: FakeCollector) -> None:
    collector.open.clear()
    pusher, _ = start(collector)
    pusher.offer(at(1, ended=True))
    collector.wait()
    pusher.close(lambda: True)
    assert collector.bodies == [b"1"]


def test_a_figure_that_cannot_be_encoded_ends_nothing(collector: FakeCollector) -> None:
    """The next push is tried in its turn; what could not be made is not sent, also not as nothing."""
    pusher, said = start(collector)
    pusher.offer(Standing(1, Snapshot(), failed="break"))
    wait_until(lambda: bool(said))
    pusher.offer(at(2, ended=True))
    pusher.close()
    assert collector.bodies == [b"2"]
    assert "ValueError: broken" in said[0]
    assert said[1].endswith("1 of 2 pushes of metrics to http://c/v1/metrics failed; the end was delivered")


def test_an_end_that_cannot_be_encoded_is_not_delivered(collector: FakeCollector) -> None:
    pusher, said = start(collector)
    pusher.offer(Standing(1, Snapshot(), failed="break"))
    pusher.close()
    assert collector.bodies == []
    assert said[-1].endswith("the end of the run was not delivered to http://c/v1/metrics: ValueError: broken")


def test_a_defect_of_the_thread_is_one_note(collector: FakeCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: no traceback, and nobody waits for a thread that is gone."""

    def fail(body: bytes) -> Reply:
        raise RuntimeError(f"never seen: {body.decode()}")

    monkeypatch.setattr(collector, "post", fail)
    monkeypatch.setattr(Delivery, "find_patience", lambda _: float("inf"))
    pusher, said = start(collector)
    pusher.offer(at(1))
    pusher.offer(at(2, ended=True))
    pusher.close()
    (note,) = said
    assert note.startswith("the end of the run was not delivered to http://c/v1/metrics: RuntimeError: never seen")


@pytest.mark.parametrize("host", ["a..b", "x" * 64, ".c"])
def test_a_host_that_no_name_can_be_is_given_up_at_once(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Delivery, "find_patience", lambda _: float("inf"))
    settings, said = OtlpSettings(f"http://{host}:4318/v1/metrics"), list[str]()
    pusher = Pusher(CountingEncoder(), Delivery(settings, said.append), make_post(settings))
    pusher.offer(at(1, ended=True))
    pusher.close()
    assert "metrics were not delivered" in said[0]
    assert "the end of the run was not delivered" in said[1]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://[::1]/v1/metrics", ("::1", 80)),
        ("http://[::1]:4318/v1/metrics", ("::1", 4318)),
        ("http://127.0.0.1/v1/metrics", ("127.0.0.1", 80)),
        ("https://[::1]/v1/metrics", ("::1", 443)),
        ("https://c/v1/metrics", ("c", 443)),
    ],
)
def test_an_address_needs_no_port(url: str, place: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def connect(address: object, *_: object, **__: object) -> None:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    assert make_post(OtlpSettings(url))(b"body").is_transient
    assert asked == [place]
