"""Images and recordings in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.errors import MachineError, UsageError
from quantcli.samples.data import SAMPLING_RATE

if TYPE_CHECKING:
    from PIL.Image import Image


def read_image(path: str) -> Image:
    """Return an image file in RGB, turned as its camera says. Raises `UsageError`."""
    from PIL import Image, ImageOps

    _check_file(path)
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except Image.DecompressionBombError as error:
        raise UsageError(f"{path} is too large an image: {error}") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as an image: {_reason(error, path)}") from error


def read_audio(path: str) -> Any:
    """Return a recording as mono float32 at `SAMPLING_RATE`, (values,). Raises `UsageError`."""
    try:
        import soundfile
        import soxr
    except ImportError as error:
        raise UsageError(
            f"reading {path} needs the packages soundfile and soxr",
            hint="pip install 'quantcli[audio]'",
        ) from error
    import numpy as np

    _check_file(path)
    try:
        wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as audio: {_reason(error, path)}") from error
    mono = wave.mean(axis=1)
    if not len(mono) or not np.isfinite(mono).all():
        raise UsageError(f"{path}: the recording is empty or holds values that are not finite")
    return np.ascontiguousarray(soxr.resample(mono, rate, SAMPLING_RATE), dtype=np.float32)


def _check_file(path: str) -> None:
    try:
        Path(path).stat()
        if not Path(path).is_file():
            raise UsageError(f"{path} is not a file")
        with Path(path).open("rb"):
            pass
    except PermissionError as error:
        raise MachineError(f"no permission to read {path}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"no such file: {path}") from error


def _reason(error: Exception, path: str) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    # Pillow and libsndfile name the file, which the message does already
    return text.replace(f"Error opening {path!r}: ", "").replace(f" {path!r}", "")
