"""Little stories without a theme, for tests."""

from __future__ import annotations

import random

SUBJECTS = (
    "the garden,a neighbour,the weather,an old bicycle,the library,a bus driver,some bread,the river,"
    "a letter,the kitchen,two cousins,a wooden boat,the school,a market stall,the radio,an office"
).split(",")
VERBS = "found,forgot,painted,repaired,visited,described,carried,sold,watched,noticed,borrowed,cleaned".split(",")
ENDINGS = (
    "before the rain began,after a long week,without saying much,on the way home,in the early morning,"
    "for the second time,as if nothing had changed,although nobody asked,near the station,with great care"
).split(",")


def plain(n: int, seed: int) -> list[str]:
    """Ordinary little stories without a theme."""
    rng = random.Random(seed)
    return [
        " ".join(
            f"{rng.choice(SUBJECTS).capitalize()} was what she {rng.choice(VERBS)} {rng.choice(ENDINGS)}, "
            f"and {rng.choice(SUBJECTS)} {rng.choice(VERBS)} {rng.choice(SUBJECTS)}."
            for _ in range(3)
        )
        for _ in range(n)
    ]
