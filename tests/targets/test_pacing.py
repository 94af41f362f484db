"""The ceiling on a run's rate, against the definition: no window has more than rate × length, and a burst."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aurea_engine.records.batch import NS
from aurea_engine.workload.pacing import BURST_NS, SendPacer


@given(st.floats(0.5, 1e6), st.lists(st.integers(0, NS // 10), max_size=60))
def test_no_window_has_more_than_its_share(rate: float, gaps: list[int]) -> None:
    """Every pair of requests is a window. One request more than fits its length and the burst would be too many."""
    pacer, now, sent = SendPacer(rate), 0, []
    for gap in gaps:
        now += gap
        sent.append(pacer.reserve(now))
    assert sent == sorted(sent)
    for first, start in enumerate(sent):
        for last in range(first, len(sent)):
            allowed = rate * (sent[last] - start + BURST_NS) / NS + 1
            assert last - first <= allowed * (1 + 1e-9)


def test_requests_below_the_rate_never_wait() -> None:
    pacer = SendPacer(1000)
    assert [pacer.reserve(i * 1_000_000) for i in range(1000)] == [i * 1_000_000 for i in range(1000)]
    assert pacer.paced == 0


def test_a_flood_is_sent_at_the_rate() -> None:
    """10,001 requests at once at 10,000/s: those beyond the burst take their second, and are counted."""
    pacer = SendPacer(10_000)
    sent = [pacer.reserve(0) for _ in range(10_001)]
    assert sent[-1] == NS - BURST_NS
    assert pacer.paced == 10_001 - 101
