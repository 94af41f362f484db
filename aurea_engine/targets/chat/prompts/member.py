"""The member ``prompts`` of a chat: what its jobs ask, in one of four forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, Invalid, non_empty, show_value
from aurea_engine.fields.local_files import RUN_FILE, FileName
from aurea_engine.targets.chat.prompt_lines import PromptLine
from aurea_engine.workload.distributions import Constant, Distribution
from aurea_engine.workload.token_traces import MOST_TOKENS

MOST_GROUPS = 1_000_000
FORMS_OF_PROMPTS = 'must be a list of prompts, "trace", or an object with of, file, or input and output'
SHAPE = ("input", "output", "prefix")
JSON_LINES, SHAREGPT = (".jsonl", ".ndjson"), ".json"
"""How the name of a file ends, which says its form."""
DEFAULT_INPUT, DEFAULT_OUTPUT = 256, 128
"""Tokens. Never unlimited: an answer without an end costs what nobody asked for."""

Pick = Literal["in_order", "random", "once"]


class PromptForms:
    """An annotation: the short forms of the member, beside its object."""

    words = 'list of prompts, "trace", or prompts'
    also: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"const": "trace"},
        {
            "type": "array",
            "minItems": 1,
            "items": {"anyOf": [{"type": "string"}, {"$ref": "#/components/schemas/PromptLine"}]},
        },
    )


PROMPT_FORMS = PromptForms()


@dataclass(frozen=True)
class PromptPrefix(Checked):
    """A text of ``length`` tokens that prompts begin with. Each job has one of ``groups`` such texts, drawn at random."""

    length: Annotated[int, Meta(ge=1, le=MOST_TOKENS)]
    groups: Annotated[int, Meta(ge=1, le=MOST_GROUPS)] = 1


@dataclass(frozen=True)
class Prompts(Checked):
    """What the jobs of a chat ask. In one of four forms:

    - ``of``: prompts that are written out. Or those of a ``file``: JSONL, each line a text or an object as in ``of``; or
      JSON, a list of conversations as ShareGPT has them, of which each asks its first question.
      ``pick``: job i has prompt i, and behind the last they begin anew (``in_order``); one at ``random``; or each is used
      ``once``, and arrivals end with them.
    - a shape: ``input`` tokens of words that mean nothing, 256 if nothing is said, and an answer of at most ``output``
      tokens; if nothing is said, of the job's ``max_tokens``. A ``prefix`` comes before the input, and is the same for all
      jobs of its group.
    - ``trace``: the lengths come with the arrivals.

    ``exact``: the answers of a shape or a trace are not to be shorter either. The server is told by ``min_tokens`` and
    ``ignore_eos``, which are no part of OpenAI's interface; vLLM and SGLang know both.
    """

    of: Annotated[tuple[PromptLine, ...], non_empty("must hold at least one prompt")] | None = None
    file: Annotated[FileName | None, RUN_FILE] = None
    pick: Pick = "in_order"
    input: Distribution | None = None
    output: Distribution | None = None
    prefix: PromptPrefix | None = None
    trace: bool = False
    exact: bool = False

    @classmethod
    def coerce(cls, value: object) -> Prompts:
        """A list is ``of`` it; the word "trace" is a trace."""
        if value == "trace":
            return cls(trace=True)
        if isinstance(value, (list, tuple)):
            try:
                return cls(of=tuple(value))
            except SpecError as error:
                # The list was given for itself, so its problems are not those of a member.
                problems = [problem._replace(path=problem.path.removeprefix("of")) for problem in error.problems]
                raise SpecError(problems) from None
        raise Invalid(FORMS_OF_PROMPTS)

    @property
    def is_listed(self) -> bool:
        """Whether the prompts themselves are given, and not only their lengths."""
        return self.of is not None or self.file is not None

    def check(self) -> list[Problem]:
        given = [name for name in ("of", "file", "trace") if getattr(self, name) not in (None, False)]
        problems = [Problem(name, f"cannot stand beside {given[0]}: give one or the other") for name in given[1:]]
        if given:
            text = f"goes with a shape only, and cannot stand beside {given[0]}"
            problems += [Problem(name, text) for name in SHAPE if getattr(self, name) is not None]
        if not self.is_listed and self.pick != "in_order":
            problems.append(Problem("pick", "goes with prompts that are listed: of or file", show_value(self.pick)))
        if self.is_listed and self.exact:
            problems.append(Problem("exact", "goes with a shape or a trace, whose answers have a length"))
        if self.file is not None and Path(self.file).suffix.lower() not in (*JSON_LINES, SHAREGPT):
            text = "must end in .jsonl or .ndjson, one prompt a line, or in .json, conversations as ShareGPT has them"
            problems.append(Problem("file", text, show_value(self.file)))
        return problems or ([] if given else self._complete_shape())

    def _complete_shape(self) -> list[Problem]:
        problems = []
        if self.input is None:
            # The frozen value completes itself once, while it is made: a result shows what was asked for.
            object.__setattr__(self, "input", Constant(DEFAULT_INPUT))
        for name in ("input", "output"):
            distribution = getattr(self, name)
            if distribution is not None and not 1 <= _find_mean(distribution) <= MOST_TOKENS:
                problems.append(Problem(name, f"must be tokens, 1 to {MOST_TOKENS:,} on average"))
        return problems


def is_sharegpt(file: str) -> bool:
    """Whether a file of prompts holds conversations, by its name."""
    return Path(file).suffix.lower() == SHAREGPT


def _find_mean(distribution: Distribution) -> float:
    try:
        return distribution.moments().mean
    except SpecError:  # of a stored run, with a kind that is not known here: it is only looked at
        return 1.0
