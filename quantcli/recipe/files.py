"""Recipes in files: the user's own, and the shipped ones by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from quantcli.errors import UsageError, did_you_mean
from quantcli.files import reason
from quantcli.paths import expand
from quantcli.recipe.schema import Recipe

_PACKAGE = Path(__file__).parents[1]

_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")
"""Where the shipped recipes are: in an installed package, and in a source checkout."""


def load_recipe(name_or_path: str | os.PathLike[str]) -> Recipe:
    """Return the shipped recipe of this name, or the recipe in a file.

    Relative paths in it are relative to the file's folder. Raises `UsageError` if there is no such
    recipe, or if it does not validate.
    """
    name = expand(name_or_path)
    if _is_path(name):
        path = Path(name)
        return _load(path, origin=str(path))
    recipes = shipped()
    if name not in recipes:
        raise UsageError(f"unknown recipe: {name}", hint=did_you_mean(name, recipes))
    return _load(recipes[name], origin=name)


def shipped() -> dict[str, Path]:
    """Return the recipes that come with quantcli: name -> file, sorted by name."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.toml"))} if folder else {}


def _load(path: Path, *, origin: str) -> Recipe:
    recipe = Recipe.parse(_read(path), origin=origin)
    folder = path.parent
    tables = {
        "calibration": recipe.calibration.beside(folder),
        "compare": recipe.compare.beside(folder),
    }
    return recipe.model_copy(update=tables)


def _is_path(name: str) -> bool:
    return name.endswith(".toml") or len(Path(name).parts) > 1


def _read(path: Path) -> dict[str, Any]:
    import tomllib  # only commands with a recipe file need it

    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text)
    except FileNotFoundError:
        hint = did_you_mean(path.stem, shipped())
        raise UsageError(f"no such recipe: {path}", hint=f"shipped recipes: {hint}") from None
    except OSError as error:
        raise UsageError(f"cannot read recipe {path}: {reason(error)}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a recipe: it is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        last = f"at line {len(text.splitlines())}, the last"
        message = str(error).replace("at end of document", last)
        raise UsageError(f"{path}: not valid TOML: {message}") from None
