"""Stored results that runs of tests are compared with: ``--aurea-baseline FILE``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aurea_engine.codec.parsing import RESULT_DEPTH, parse_json
from aurea_engine.codec.result_reading import result_from_dict
from aurea_engine.codec.run_file import RunFile, is_run_file
from aurea_engine.errors import DamagedRunFile, SpecError
from aurea_engine.results.result import RunResult


@dataclass(frozen=True)
class Baselines:
    """``results``: file → the result in it. A run is compared with that of its own label; two without one
    are of one kind.
    """

    results: Mapping[str, RunResult]

    @classmethod
    def read(cls, files: Sequence[str]) -> Baselines:
        """Raises ValueError, naming the file, for one that cannot be read, and for two of one label."""
        results = {file: read_result(Path(file)) for file in files}
        labels = [result.spec.label for result in results.values()]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"two stored results have the label {label!r}: no run would know which is its own")
        return cls(results)

    def find(self, label: str | None) -> tuple[str, RunResult] | None:
        """The file and the result for runs with this label."""
        return next(((file, result) for file, result in self.results.items() if result.spec.label == label), None)

    def list_unused(self, used: Iterable[str | None]) -> list[str]:
        """A sentence for each file that no run was compared with: it may have been renamed, and nobody would notice."""
        seen = set(used)
        return [
            f"{file} was compared with no run: none was required that has "
            + ("no label" if result.spec.label is None else f"the label {result.spec.label!r}")
            for file, result in self.results.items()
            if file not in seen
        ]


def read_result(file: Path) -> RunResult:
    """The result that a JSON or run file holds. It is only looked at: no file that its specification names is opened."""
    try:
        content = file.read_bytes()
        if is_run_file(content):
            return RunFile.from_bytes(content).to_result(local=False, keep_unknown=True)
        return result_from_dict(parse_json(content, max_depth=RESULT_DEPTH), local=False, keep_unknown=True)
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from None
    except (SpecError, DamagedRunFile) as error:
        raise ValueError(f"{file} is no result of `aurea run -o`: {error}") from None
