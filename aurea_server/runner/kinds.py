"""Which kinds clients may name, and which of them are other people's code, which the server's own process never runs.

A specification may name kinds of installed packages. Importing such a package, making its strategies and asking them
anything may raise, take for ever, or end the process. So the server knows only their names, from the packages' metadata; a
document that names anything else than built-in kinds is judged in a process of its own (`runner.pool.RunnerPool.judge`),
and comes back as plain data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aurea_engine import Catalog, default_catalog
from aurea_engine.codec.catalog import find_kinds, list_offered_kinds


@dataclass(frozen=True)
class Kinds:
    """``others``: group → names of kinds that are not built in. ``built_in``: the only classes that the server calls."""

    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    built_in: Catalog = field(default_factory=default_catalog)

    @classmethod
    def installed(cls) -> Kinds:
        """The built-in kinds, and what installed packages offer; none of them is loaded."""
        return cls(list_offered_kinds())

    @classmethod
    def of(cls, catalog: Catalog) -> Kinds:
        """The kinds that ``catalog`` knows. Those that are not built in must be offered by installed packages, too."""
        built_in = default_catalog()
        others = {
            group: tuple(sorted(kind for kind, known in kinds.items() if built_in.find(group, kind) is not known))
            for group, kinds in catalog.kinds.items()
        }
        return cls(others, built_in)

    def is_foreign(self, document: object) -> bool:
        """Whether a decoded document names a third-party kind, or may do so.

        Where there are others at all, a name that nobody knows counts as theirs: so the answer to it lists theirs too.
        """
        # By name alone, whatever the group: which group a `kind` belongs to is known only after parsing all of it,
        # and that would call the classes. A name of ours that a package offers in another group counts as the package's.
        others = {name for names in self.others.values() for name in names}
        if not others:  # most servers: nothing is looked for, and what nobody knows is refused where it is parsed
            return False
        ours = {name for kinds in self.built_in.kinds.values() for name in kinds} - others
        return any(name not in ours for name in find_kinds(document))
