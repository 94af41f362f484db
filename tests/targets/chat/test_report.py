"""What a chat reports, whatever a server says of its tokens: each amount can be stored, so that the job has its end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aurea_engine.records.reports import read_amount
from aurea_engine.targets.chat.answer import Answer, ignore_gap
from aurea_engine.targets.chat.columns import MEASURES
from aurea_engine.targets.chat.report import report_answer
from aurea_engine.targets.chat.usage import MOST_TOKENS, UNKNOWN
from tests.targets.chat.planted_server import DONE, event, word

NAMES = [each.name for each in MEASURES]
COUNTS = st.one_of(
    st.integers(0, 2**70), st.sampled_from([0, 1, 2, MOST_TOKENS, MOST_TOKENS + 1, 10**14, 2**53, 2**63])
)


def report(output: int, lasted: int) -> dict[str, float]:
    """Of an answer of two frames, which came at once and at the end."""
    answer = Answer()
    answer.begin(ignore_gap, keeps_text=False)
    answer.feed(word(0), 0)
    answer.feed(word(1) + event({"choices": [], "usage": {"completion_tokens": output}}) + DONE, lasted)
    answer.finish_stream()
    reply: Any = SimpleNamespace(
        answer=answer, connected=-1, sent=0, first_byte=0, finished=lasted, status=200, bytes_sent=1, bytes_received=1
    )
    return dict(zip(NAMES, report_answer(reply, answer.problem, None)[1], strict=True))


@given(COUNTS, st.integers(0, 2**62))
def test_whatever_a_server_says_it_took_can_be_stored(output: int, lasted: int) -> None:
    """Also where it says more than any server could have made in that time."""
    amounts = report(output, lasted)
    for measure in MEASURES:
        if amounts[measure.name] != UNKNOWN:
            read_amount(measure.name, amounts[measure.name], measure.scale)
    assert amounts["output_tokens"] == (output if output <= MOST_TOKENS else UNKNOWN)


def test_a_rate_is_over_the_whole_answer() -> None:
    assert report(10, 2 * 10**9)["output_rate"] == 5
    assert report(MOST_TOKENS + 1, 2 * 10**9)["output_rate"] == UNKNOWN
