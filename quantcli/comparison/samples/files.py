"""Images and recordings read from files."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.comparison.samples.sample import SAMPLING_RATE
from quantcli.errors import MachineError, UsageError
from quantcli.files import read_error

if TYPE_CHECKING:
    from PIL.Image import Image

_DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What Pillow's readers may raise for a damaged file."""

_STREAMED = 0x7F000000
"""Lengths in a header from here on mean "unknown": the file was streamed while written."""


def read_image(path: str) -> Image:
    """Return an image file in RGB, rotated as its EXIF data says. Raises `UsageError`."""
    from PIL import Image, ImageOps

    _check_file(path)
    try:
        with Image.open(path) as image:
            return _to_rgb(ImageOps.exif_transpose(image))
    except Image.DecompressionBombError as error:
        raise UsageError(f"{path} is too large an image: {error}") from error
    except MemoryError as error:
        raise MachineError(f"not enough memory to read {path}") from error
    except _DAMAGED as error:
        raise UsageError(f"{path} cannot be read as an image: {_reason(error, path)}") from error


def read_audio(path: str) -> Any:
    """Return a recording as mono float32 at `SAMPLING_RATE`, (samples,). Raises `UsageError`."""
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
    except MemoryError as error:
        raise MachineError(f"not enough memory to read {path}") from error
    except (soundfile.LibsndfileError, OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as audio: {_reason(error, path)}") from error
    _check_whole(path)
    _check_sound(wave, path)
    mono = wave.mean(axis=1, dtype=np.float64).astype(np.float32)
    found = np.ascontiguousarray(soxr.resample(mono, rate, SAMPLING_RATE), dtype=np.float32)
    _check_sound(found, path)
    return found


def _to_rgb(image: Image) -> Image:
    if image.mode.startswith("I;16"):  # Pillow clips at 255, which gives a white image
        import numpy as np
        from PIL.Image import fromarray

        image = fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def _check_file(path: str) -> None:
    try:
        Path(path).stat()
        if not Path(path).is_file():
            raise UsageError(f"{path} is not a file")
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise read_error(error, path, UsageError) from error
    except ValueError as error:  # a null character is in no file's name
        raise UsageError(f"no such file: {path}") from error


def _check_whole(path: str) -> None:
    """Raise `UsageError` for a truncated WAV or AIFF file: libsndfile reads it without error."""
    with Path(path).open("rb") as file:
        head = file.read(8)
    order = {b"RIFF": "<", b"FORM": ">"}.get(head[:4])
    if order is None:
        return
    (stated,) = struct.unpack(f"{order}I", head[4:])
    # some writers include the eight bytes of the header in the length
    if Path(path).stat().st_size < stated < _STREAMED:
        raise UsageError(f"{path} cannot be read as audio: its end is missing")


def _check_sound(wave: Any, path: str) -> None:
    import numpy as np

    if not len(wave) or not np.isfinite(wave).all():
        raise UsageError(f"{path}: the recording is empty or contains NaN or infinite values")


def _reason(error: Exception, path: str) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    # Pillow and libsndfile name the file, and so does our message
    return text.replace(f"Error opening {path!r}: ", "").replace(f" {path!r}", "")
