"""Samples of both models on the same prompts: what `chat` and `complete` hand back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from finetrace.models.pair import Capability, Decoding, ModelPair, Prompt, Side
from finetrace.tools.instrument import Context
from finetrace.tools.reading import Reading, bounded, one_line


class Exchange(BaseModel):
    """One prompt and what came back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    """As it was put."""
    organism: tuple[str, ...]
    """The organism's samples."""
    reference: tuple[str, ...] | None = None
    """The reference's, drawn with the same random numbers; ``None`` where the arm has none."""


class SamplesReading(Reading):
    """Samples, prompt by prompt."""

    exchanges: tuple[Exchange, ...]
    """In the order asked."""

    def render(self, limit: int = 6000) -> str:
        """Prompts with numbered samples."""
        lines: list[str] = []
        for exchange in self.exchanges:
            lines.append(f"prompt: {one_line(exchange.prompt)}")
            lines += [f"  organism {i}: {one_line(text, 600)}" for i, text in enumerate(exchange.organism, 1)]
            lines += [f"  reference {i}: {one_line(text, 600)}" for i, text in enumerate(exchange.reference or (), 1)]
        return bounded(lines, limit)

    def quotable(self) -> Iterator[str]:
        """All samples, whole; the organism's first."""
        for exchange in self.exchanges:
            yield from exchange.organism
        for exchange in self.exchanges:
            yield from exchange.reference or ()


def sample_both(
    pair: ModelPair,
    prompts: Sequence[Prompt],
    shown: Sequence[str],
    samples: int,
    decoding: Decoding,
    context: Context,
) -> tuple[Exchange, ...]:
    """Put each prompt ``samples`` times to the organism and, where there is one, to the reference.

    Args:
        pair: The models.
        prompts: What to put.
        shown: How each prompt is written in the reading.
        samples: Samples a prompt.
        decoding: How to decode.
        context: Seed, cache, progress.
    """
    repeated = [prompt for prompt in prompts for _ in range(samples)]
    own = pair.generate(Side.ORGANISM, repeated, decoding, context.watch("organism"))
    other = (
        pair.generate(Side.REFERENCE, repeated, decoding, context.watch("reference"))
        if Capability.REFERENCE in pair.capabilities
        else None
    )
    return tuple(
        Exchange(
            prompt=text,
            organism=tuple(c.text for c in own[i * samples : (i + 1) * samples]),
            reference=tuple(c.text for c in other[i * samples : (i + 1) * samples]) if other is not None else None,
        )
        for i, text in enumerate(shown)
    )
