"""The steps of the jobs of a run: the group of the result that each step is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aurea_engine.errors import Problem, SpecError, StrategyError
from aurea_engine.fields.checked import convert
from aurea_engine.records.measures import GroupName

Steps = tuple[str, ...]


def name_step_groups(leaves: Sequence[Any], groups: Sequence[str]) -> tuple[Steps, ...]:
    """For each of ``leaves`` (jobs, of which ``groups`` are the groups) the groups of its steps, in the steps' order.

    A step is called as the job calls it, and within the group of the job ``GROUP/STEP``. Raises `StrategyError` where the
    job cannot record steps, `SpecError` where names are not different.
    """
    steps = tuple(_read_steps(leaf) for leaf in leaves)
    if not any(steps):
        return steps
    _check_jobs_without_steps(steps, groups)
    named = tuple(tuple(f"{groups[i]}/{step}" if groups else step for step in each) for i, each in enumerate(steps))
    # Objectives name a group, whichever kind it is of: one name must be one thing.
    if both := sorted({*groups} & {name for each in named for name in each}):
        raise SpecError([Problem("", "a group of jobs and a step have one name: rename one of them", ascii(both[0]))])
    return named


def _read_steps(leaf: Any) -> Steps:
    """What one job says of its steps, checked."""
    name, steps = type(leaf).__name__, leaf.step_names()
    if not isinstance(steps, tuple):
        raise StrategyError(f"{name}.steps must give a tuple of names, not {type(steps).__name__}")
    if steps and leaf.executor != "callbacks":
        raise StrategyError(f'{name} has steps, which only a CallbackPool can record: set its executor to "callbacks"')
    problems: list[Problem] = []
    for i, step in enumerate(steps):
        convert(step, GroupName, f"steps[{i}].name", problems)
        # GROUP/STEP is taken apart at its last slash.
        if isinstance(step, str) and "/" in step:
            problems.append(Problem(f"steps[{i}].name", "must be without a slash", ascii(step)))
    if len({*steps}) < len(steps):
        problems.append(Problem("steps", "must have different names", ", ".join(map(ascii, steps))))
    if problems:
        raise SpecError(problems)
    return steps


def _check_jobs_without_steps(steps: Sequence[Steps], groups: Sequence[str]) -> None:
    # What is billed by step bills a job without steps as one step, and tells the two apart by their groups.
    with_steps = {group for group, each in zip(groups or [""] * len(steps), steps, strict=True) if each}
    without = {group for group, each in zip(groups or [""] * len(steps), steps, strict=True) if not each}
    if with_steps & without:
        raise StrategyError("jobs with steps and jobs without must be of different groups: name them in groups()")
