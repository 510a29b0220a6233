"""Recordings to calibrate with, synthesised: none of them is one to measure with."""

from __future__ import annotations

import numpy as np

from quantcli.comparison.samples.synthesis import (
    Array,
    Wave,
    glide,
    noise,
    normalized,
    pulses,
    syllables,
    times,
    tone,
    vowel,
)

_HIGH = (170, 260)
"""Pitches of a high voice, in Hz."""


def calibration_audio(seed: int) -> list[tuple[str, Wave]]:
    """Return named recordings of 1 to 4 seconds; the seed decides their noise and pitch."""
    rng = np.random.default_rng(seed)
    made = {
        "a high voice": syllables(3.0, "ieaouie", rng, _HIGH),
        "a falling glide": glide(2.0, 2400, 90),
        "a melody": _melody((523.3, 587.3, 659.3, 784.0, 659.3, 523.3)),
        "quick syllables": syllables(3.5, "uaieoaiuoe", rng),
        "hum and hiss": tone(2.0, 50) + 0.3 * noise(2.0, rng),
        "a warble": _warble(2.5, 700 * 2 ** rng.uniform(-0.3, 0.3)),
        "two voices": syllables(3.0, "aoe", rng) + 0.7 * syllables(3.0, "iua", rng, _HIGH),
        "a knock": noise(1.5, rng) * np.exp(-40 * (times(1.5) % 0.5)),
        "a high voice in noise": syllables(4.0, "eaiou", rng, _HIGH) + 0.2 * noise(4.0, rng),
        "a minor chord": sum((tone(2.0, f) for f in (220.0, 261.6, 329.6)), np.zeros(32000)),
        "wind": _smooth(noise(3.0, rng)) * (0.4 + pulses(3.0, 0.7)),
        "a long vowel": vowel(2.0, "o", rng.uniform(*_HIGH)),
        "beats": tone(2.0, 300) + tone(2.0, 304),
        "whispered syllables": noise(2.5, rng) * np.abs(syllables(2.5, "aiou", rng)),
        "rising and falling": np.concatenate([glide(1.5, 200, 1800), glide(1.5, 1800, 200)]),
        "a vowel and a beep": vowel(1.5, "i", rng.uniform(*_HIGH)) + tone(1.5, 1000),
    }
    return [(name, normalized(wave)) for name, wave in made.items()]


def _melody(hertz: tuple[float, ...]) -> Array:
    return np.concatenate([tone(0.5, pitch) for pitch in hertz])


def _warble(seconds: float, hertz: float) -> Array:
    """Return a sine whose frequency swings."""
    time = times(seconds)
    return np.asarray(np.sin(2 * np.pi * hertz * time + 12 * np.sin(2 * np.pi * 5 * time)))


def _smooth(wave: Array) -> Array:
    return np.convolve(wave, np.hanning(33), mode="same")
