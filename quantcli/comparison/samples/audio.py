"""Built-in recordings, synthesised: tones, glides, vowels, noise, rhythm."""

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


def built_in_audio(seed: int) -> list[tuple[str, Wave]]:
    """Return named recordings of 1 to 4 seconds; the seed decides their noise and pitch."""
    rng = np.random.default_rng(seed)
    made = {
        "a tone": _tone(2.0, 440 * 2 ** rng.uniform(-0.5, 0.5)),
        "syllables": _syllables(3.0, "aiueo", rng),
        "a glide": _glide(2.5, 120, 3000),
        "a chord": sum((_tone(2.0, f) for f in (261.6, 329.6, 392.0)), np.zeros(32000)) / 3,
        "bursts of noise": _noise(2.0, rng) * _pulses(2.0, 3),
        "slow syllables": _syllables(4.0, "oae", rng),
        "a rhythm": _tone(3.0, 180) * _pulses(3.0, 8),
        "a vowel in noise": _vowel(1.0, "a", 110) + 0.1 * _noise(1.0, rng),
    }
    return [(name, _normalized(wave)) for name, wave in made.items()]


def _time(seconds: float) -> Array:
    return np.arange(round(seconds * SAMPLING_RATE)) / SAMPLING_RATE


def _tone(seconds: float, hertz: float) -> Array:
    time = _time(seconds)
    return np.asarray(np.sin(2 * np.pi * hertz * time) * np.exp(-time))


def _glide(seconds: float, low: float, high: float) -> Array:
    hertz = low * (high / low) ** (_time(seconds) / seconds)
    return np.asarray(np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLING_RATE))


def _noise(seconds: float, rng: np.random.Generator) -> Array:
    return rng.normal(size=round(seconds * SAMPLING_RATE))


def _pulses(seconds: float, rate: float) -> Array:
    return np.asarray(np.maximum(0, np.sin(2 * np.pi * rate * _time(seconds))) ** 4)


def _vowel(seconds: float, name: str, pitch: float) -> Array:
    """Sum the harmonics of a pitch; those near a formant are louder."""
    time = _time(seconds)
    wave = np.zeros(len(time))
    for number in range(1, int(4000 / pitch)):
        hertz = number * pitch
        gain = sum(1 / (1 + ((hertz - formant) / 90) ** 2) for formant in VOWELS[name])
        wave += gain / number**0.5 * np.sin(2 * np.pi * hertz * time)
    return wave


def _syllables(seconds: float, vowels: Sequence[str], rng: np.random.Generator) -> Array:
    parts = []
    each = seconds / len(vowels)
    for name in vowels:
        count = round(each * SAMPLING_RATE)
        wave = _vowel(each, name, rng.uniform(95, 150))[:count]
        wave *= np.sin(np.pi * np.arange(len(wave)) / len(wave)) ** 0.5
        hiss = count // 8
        wave[:hiss] = 0.3 * rng.normal(size=hiss)
        parts.append(wave)
    return np.concatenate(parts)


def _normalized(wave: Array) -> Wave:
    return np.asarray(0.5 * wave / np.abs(wave).max(), dtype=np.float32)
