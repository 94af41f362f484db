"""The stop of one run of a study: the study's own, and yet the run may end by itself without ending the study."""

from __future__ import annotations

from aurea_engine.closed_sets import Status
from aurea_engine.engine import Stop


class RunStop(Stop):
    """Stops its run when the study is stopped. A run that ends itself, as by an objective that it lost, says so in its own
    `Stop`: were it the study's, the study would end with it.
    """

    def __init__(self, study: Stop) -> None:
        self._study = study
        self._own: Status | None = None

    @property
    def status(self) -> Status | None:
        """What ended the run, or the study."""
        return self._own or self._study.status

    @status.setter
    def status(self, status: Status | None) -> None:
        self._own = status
