"""Sounds of which recordings are made, (samples,) each at `SAMPLING_RATE`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from quantcli.comparison.samples.sample import SAMPLING_RATE

Wave = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

VOWELS = {
    "a": (730, 1090, 2440),
    "e": (530, 1840, 2480),
    "i": (270, 2290, 3010),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
}
"""Formants of English vowels in Hz, as Peterson and Barney measured them (1952, men)."""


def times(seconds: float) -> Array:
    """Return the time of each sample, in seconds."""
    return np.arange(round(seconds * SAMPLING_RATE)) / SAMPLING_RATE


def tone(seconds: float, hertz: float) -> Array:
    """Return a sine that fades."""
    time = times(seconds)
    return np.asarray(np.sin(2 * np.pi * hertz * time) * np.exp(-time))


def glide(seconds: float, low: float, high: float) -> Array:
    """Return a sine whose frequency goes from `low` to `high` Hz."""
    hertz = low * (high / low) ** (times(seconds) / seconds)
    return np.asarray(np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLING_RATE))


def noise(seconds: float, rng: np.random.Generator) -> Array:
    """Return white noise."""
    return rng.normal(size=round(seconds * SAMPLING_RATE))


def pulses(seconds: float, rate: float) -> Array:
    """Return a loudness from 0 to 1 that rises `rate` times a second."""
    return np.asarray(np.maximum(0, np.sin(2 * np.pi * rate * times(seconds))) ** 4)


def vowel(seconds: float, name: str, pitch: float) -> Array:
    """Sum the harmonics of a pitch; those near a formant are louder."""
    time = times(seconds)
    wave = np.zeros(len(time))
    for number in range(1, int(4000 / pitch)):
        hertz = number * pitch
        gain = sum(1 / (1 + ((hertz - formant) / 90) ** 2) for formant in VOWELS[name])
        wave += gain / number**0.5 * np.sin(2 * np.pi * hertz * time)
    return wave


def syllables(
    seconds: float,
    vowels: Sequence[str],
    rng: np.random.Generator,
    pitches: tuple[float, float] = (95, 150),
) -> Array:
    """Return vowels that each begin with a hiss, at random pitches."""
    parts = []
    each = seconds / len(vowels)
    for name in vowels:
        count = round(each * SAMPLING_RATE)
        wave = vowel(each, name, rng.uniform(*pitches))[:count]
        wave *= np.sin(np.pi * np.arange(len(wave)) / len(wave)) ** 0.5
        hiss = count // 8
        wave[:hiss] = 0.3 * rng.normal(size=hiss)
        parts.append(wave)
    return np.concatenate(parts)


def normalized(wave: Array) -> Wave:
    """Return a sound with its peak at 0.5."""
    return np.asarray(0.5 * wave / np.abs(wave).max(), dtype=np.float32)
