"""The public surface is what `__all__` says, sorted, and nothing is public by accident."""

from __future__ import annotations

import importlib
import pkgutil
import types

import aurea_engine

EXPORTED: list[str] = getattr(aurea_engine, "__all__", [])
PUBLIC_MODULES = [
    module.name for module in pkgutil.walk_packages(aurea_engine.__path__, "aurea_engine.") if "._" not in module.name
]


def public_names(module: types.ModuleType) -> set[str]:
    """Every name without an underscore that can be reached, but for the submodules that importing leaves behind."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and name != "annotations" and not isinstance(value, types.ModuleType)
    }


def test_all_is_sorted_without_repetition() -> None:
    """All is a sorted list without repetition."""
    assert EXPORTED
    assert list(EXPORTED) == sorted(set(EXPORTED))


def test_public_names_are_exported() -> None:
    """What is public is exported and what is exported is there."""
    submodules = {name for name in EXPORTED if isinstance(getattr(aurea_engine, name), types.ModuleType)}
    assert public_names(aurea_engine) == set(EXPORTED) - {"__version__"} - submodules


def find_faults(name: str) -> list[str]:
    """What is wrong with the ``__all__`` of a module."""
    module = importlib.import_module(name)
    exported = list(getattr(module, "__all__", []))
    faults = [f"{name}.{missing} does not exist" for missing in exported if not hasattr(module, missing)]
    if exported != sorted(set(exported)):
        faults.append(f"{name}.__all__ is not sorted")
    if exported and hasattr(module, "__path__"):  # a package imports only in order to export
        faults += [f"{name}.{each} is not exported" for each in public_names(module) - set(exported)]
    return faults


def test_modules_export_sorted_existing_names() -> None:
    """A module that says what it exports says it sorted and rightly."""
    assert [fault for name in PUBLIC_MODULES for fault in find_faults(name)] == []


def test_each_exported_name_is_our_own() -> None:
    homes = {name: getattr(getattr(aurea_engine, name), "__module__", "aurea_engine") for name in EXPORTED}
    ours = {"aurea_engine", "typing", "types", "collections", "numpy", "builtins"}
    assert {n: home for n, home in homes.items() if (home or "aurea_engine").partition(".")[0] not in ours} == {}


def test_exported_names_have_docstrings() -> None:
    """Each exported class and function states its contract."""
    values = {name: getattr(aurea_engine, name) for name in EXPORTED}
    documented = {name: (v.__doc__ or "") for name, v in values.items() if isinstance(v, type | types.FunctionType)}
    assert len(documented) > 100
    assert [name for name, text in documented.items() if not text.strip()] == []
    # Dataclasses and named tuples write a docstring of their own, which is only the signature again.
    assert [name for name, text in documented.items() if text.startswith(f"{name}(")] == []
