"""What is decided about pushes: when the next may be sent, what an answer means, and what people are told. No I/O, no clock.

All figures are cumulative, so only the newest standing of a run is worth sending: what fails is replaced by what comes, and
nothing waits in a queue. After a failure that passes by itself the collector is left alone for a while, twice as long after
each, or for as long as it says. What it refuses for good is dropped, and the next push is tried in its turn.

Source: "OTLP/HTTP Response" of OpenTelemetry's protocol specification.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from aurea_server.cli.number_format import make_printable
from aurea_server.cli.otlp_settings import METRICS, OtlpSettings
from aurea_server.metrics.otlp_protobuf import NOTHING_SAID, Answer

TRANSIENT = {429, 502, 503, 504}
"""Statuses after which the same may be sent again."""

FIRST_DELAY, LONGEST_DELAY = 1.0, 60.0

GIVE_UP_AFTER = 1.0
"""Seconds that the end of a run waits for a collector that never took anything."""

SILENCE = 3.0
"""Seconds that it waits for one that has said nothing yet, as a short run's may not have had the time to."""

_MOST_TEXT = 200


@dataclass(frozen=True)
class Reply:
    """What came of a push. ``status``: 0 where no answer came, and ``error`` says why; ``retry_after``: of the header.
    ``is_final``: it could not even be sent, and never can be.
    """

    status: int = 0
    retry_after: str = ""
    answer: Answer = NOTHING_SAID
    error: str = ""
    is_final: bool = False

    @property
    def is_delivered(self) -> bool:
        """Points that were rejected are lost, but the rest has arrived."""
        return 200 <= self.status < 300

    @property
    def is_transient(self) -> bool:
        """Whether trying again may help: also where nothing listened, or nothing came in time."""
        return not self.is_final and (self.status == 0 or self.status in TRANSIENT)


class Delivery:
    """Pushes of one run. Times are seconds of any one clock. ``say``: tells people a line; ``draw``: from 0 to 1."""

    def __init__(
        self,
        settings: OtlpSettings,
        say: Callable[[str], None],
        draw: Callable[[], float] = lambda: secrets.randbelow(1000) / 1000,
    ) -> None:
        self._settings, self._say, self._draw = settings, say, draw
        self.delivered = self.failed = self.rejected = 0
        self._delay = FIRST_DELAY
        self._last: Reply | None = None
        self._noted: set[str] = set()
        self.not_before = 0.0

    def record(self, reply: Reply, now: float, today: datetime | None = None) -> bool:
        """A push was answered by ``reply``. Returns whether it is to be sent again, unless something newer is there by then.
        ``today``: the date, for an answer that names one.
        """
        self._last = reply
        if reply.is_delivered:
            self.delivered += 1
            self._delay = FIRST_DELAY
            self._note_answer(reply.answer)
            return False
        self.failed += 1
        self._note(
            "failed", f"metrics were not delivered to {self._settings.shown}: {self._describe(reply)}; the run goes on"
        )
        if reply.is_transient:
            self.not_before = now + self._find_delay(reply, today or datetime.now(UTC))
        return reply.is_transient

    def abandon(self, error: str) -> None:
        """Pushes ended with ``error`` of our own: it is what the end says, and nothing is said of it before."""
        self._last = Reply(error=error, is_final=True)

    def _find_delay(self, reply: Reply, today: datetime) -> float:
        asked = parse_retry_after(reply.retry_after, today)
        # Less is as good as nothing said: a collector that asks for no pause at all would be asked all the time.
        if asked is not None and asked >= FIRST_DELAY:
            return asked
        # From half to all of it, so that many runs whose collector went away do not come back at one instant.
        delay = self._delay * (1 + self._draw()) / 2
        self._delay = min(2 * self._delay, LONGEST_DELAY)
        return delay

    def find_patience(self) -> float:
        """How long, in s, the end of a run may be waited for."""
        if self.delivered:
            return self._settings.timeout
        return min(GIVE_UP_AFTER if self.failed else SILENCE, self._settings.timeout)

    def finish(self, *, is_complete: bool) -> None:
        """The run is over, and so are its pushes. ``is_complete``: the last one, which carries the end, was delivered."""
        if self.rejected:
            self._note("rejected in all", f"the collector rejected {self.rejected:,} data points in all")
        if is_complete and not self.failed:
            return
        where, pushes = self._settings.shown, self.failed + self.delivered
        if is_complete:
            self._note(
                "end", f"{self.failed:,} of {pushes:,} pushes of metrics to {where} failed; the end was delivered"
            )
            return
        # What was asked last may still be without an answer: then the reply before says nothing of the end.
        is_refused = self._last is not None and not self._last.is_delivered
        because = self._describe(self._last) if self._last is not None and is_refused else "no answer came in time"
        failed = f"{self.failed:,} of {pushes:,} pushes failed, and " if self.failed else ""
        self._note("end", f"{failed}the end of the run was not delivered to {where}: {because}")

    def _note_answer(self, answer: Answer) -> None:
        said = self._clean(answer.text)
        self.rejected += answer.rejected
        if answer.rejected:
            text = f"the collector rejected {answer.rejected:,} data points"
            self._note("rejected", f"{text}: {said}" if said else text)
        elif said:  # the specification allows a warning with nothing rejected
            self._note("warned", f"the collector took the metrics, and says: {said}")

    def _describe(self, reply: Reply) -> str:
        if not reply.status:
            hint = "; 4317 is for gRPC as a rule, and 4318 for HTTP" if ":4317/" in self._settings.url else ""
            return self._clean(reply.error) + hint
        if 300 <= reply.status < 400:
            return f"HTTP {reply.status}: it redirects, which is not followed"
        said = self._clean(reply.answer.text)
        text = f"HTTP {reply.status}: {said}" if said else f"HTTP {reply.status}"
        hint = f"; if its path is another one, give {METRICS}, which is taken as it stands"
        return text + hint if reply.status in (404, 405) else text

    def _clean(self, text: str) -> str:
        """What a collector says, as text that hides what it must not say and moves no cursor."""
        return make_printable(self._settings.hide_secrets(text))[:_MOST_TEXT].strip()

    def _note(self, kind: str, text: str) -> None:
        """Once of each kind: a collector that is away would say the same every few seconds."""
        if kind not in self._noted:
            self._noted.add(kind)
            self._say(text)


def parse_retry_after(text: str, today: datetime) -> float | None:
    """Seconds from ``today``: the header has a number of them, or a date. None for anything else."""
    text = text.strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max((date - today).total_seconds(), 0.0)
    except (ValueError, OverflowError):  # the latter of a year or a zone that no date can have
        return None
