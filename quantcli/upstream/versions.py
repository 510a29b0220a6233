"""Which versions of the libraries quantcli is tested with, and a warning for any other."""

from __future__ import annotations

PACKAGES = {
    "transformers": "transformers",
    "torch": "torch",
    "optimum": "optimum-quanto",
    "huggingface_hub": "huggingface_hub",
    "diffusers": "diffusers",
}
"""The name by which a library is imported -> the name of its package."""

TESTED = {
    "transformers": ("5.23",),
    "torch": ("2.13",),
    "optimum-quanto": ("0.2.7",),
    "huggingface_hub": ("2.4",),
    "diffusers": ("0.42",),
}
"""A package -> the versions it is tested in, oldest first.

"5.23" stands for every 5.23.x: private names move in minor releases. Quanto is named to the patch,
since its arithmetic decides the bytes that are written.
"""


def version_warnings() -> list[str]:
    """Return a warning for each installed library that is not of a tested version.

    Reads package metadata only; a package that is not installed is left out.
    """
    found = ((package, installed(package)) for package in TESTED)
    return [
        f"{package} {version} is not a version that quantcli is tested with "
        f"({', '.join(TESTED[package])}). If something fails: pip install '{pin(package)}'"
        for package, version in found
        if version and not _is_tested(version, TESTED[package])
    ]


def installed(package: str) -> str | None:
    """Return the installed version of a package, or None."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def pin(package: str) -> str:
    """Return the requirement of the newest tested version: "transformers==5.23.*"."""
    return f"{package}=={TESTED[package][-1]}.*"


def _is_tested(version: str, tested: tuple[str, ...]) -> bool:
    numbers = version.partition("+")[0].split(".")
    return any(numbers[: len(known)] == known for known in (name.split(".") for name in tested))
