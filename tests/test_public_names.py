"""The public surface is what `__all__` says, sorted, and nothing is public by accident."""

from __future__ import annotations

import importlib
import pkgutil
import types

import pytest

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


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_modules_export_sorted_existing_names(name: str) -> None:
    """A module that says what it exports says it sorted and rightly."""
    module = importlib.import_module(name)
    exported = list(getattr(module, "__all__", []))
    assert exported == sorted(set(exported))
    assert [missing for missing in exported if not hasattr(module, missing)] == []
    if exported and hasattr(module, "__path__"):  # a package imports only in order to export
        assert public_names(module) <= set(exported)


@pytest.mark.parametrize("name", EXPORTED)
def test_each_exported_name_is_our_own(name: str) -> None:
    home = getattr(getattr(aurea_engine, name), "__module__", "aurea_engine") or "aurea_engine"
    assert home.partition(".")[0] in {"aurea_engine", "typing", "types", "collections", "numpy", "builtins"}


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_names_have_docstrings(name: str) -> None:
    """Each exported class and function states its contract."""
    value = getattr(aurea_engine, name)
    if isinstance(value, type | types.FunctionType):
        assert (value.__doc__ or "").strip(), f"{name} says nothing"
        # Dataclasses and named tuples write a docstring of their own, which is only the signature again.
        assert not (value.__doc__ or "").startswith(f"{name}("), f"{name} says only its signature"
