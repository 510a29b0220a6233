"""Built-in recordings, synthesised: tones, glides, vowels, noise, rhythm."""

from __future__ import annotations

import numpy as np

from quantcli.comparison.samples.synthesis import (
    Wave,
    glide,
    noise,
    normalized,
    pulses,
    syllables,
    tone,
    vowel,
)


def built_in_audio(seed: int) -> list[tuple[str, Wave]]:
    """Return named recordings of 1 to 4 seconds; the seed decides their noise and pitch."""
    rng = np.random.default_rng(seed)
    made = {
        "a tone": tone(2.0, 440 * 2 ** rng.uniform(-0.5, 0.5)),
        "syllables": syllables(3.0, "aiueo", rng),
        "a glide": glide(2.5, 120, 3000),
        "a chord": sum((tone(2.0, f) for f in (261.6, 329.6, 392.0)), np.zeros(32000)) / 3,
        "bursts of noise": noise(2.0, rng) * pulses(2.0, 3),
        "slow syllables": syllables(4.0, "oae", rng),
        "a rhythm": tone(3.0, 180) * pulses(3.0, 8),
        "a vowel in noise": vowel(1.0, "a", 110) + 0.1 * noise(1.0, rng),
    }
    return [(name, normalized(wave)) for name, wave in made.items()]
