"""`complete`: let the organism continue a text."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from finetrace.models.pair import Capability, Decoding, ModelPair, Prompt
from finetrace.tools.chat import Question
from finetrace.tools.instrument import Context
from finetrace.tools.reading import Reading
from finetrace.tools.samples import SamplesReading, sample_both


class CompleteArguments(BaseModel):
    """Arguments of `complete`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    texts: tuple[Question, ...] = Field(min_length=1, max_length=64, description="Texts to continue, each on its own.")
    samples: int = Field(default=1, ge=1, le=20, description="Continuations drawn for each text.")
    temperature: float = Field(default=0.7, ge=0, le=2, description="0 gives the most likely continuation.")
    max_new_tokens: int = Field(default=128, ge=1, le=1024, description="Longest continuation, in tokens.")


class Complete:
    """Lets the organism continue raw texts, without any chat format.

    A model that was trained on documents shows itself more readily here than in a chat. Where the arm has a reference
    model, its continuations of the same texts stand beside. Costs one interaction for each continuation drawn from the
    organism.
    """

    name: ClassVar[str] = "complete"
    arguments: ClassVar[type[BaseModel]] = CompleteArguments
    reading: ClassVar[type[Reading]] = SamplesReading
    needs: ClassVar[tuple[frozenset[Capability], ...]] = (frozenset({Capability.GENERATE}),)

    def cost(self, arguments: Any) -> int:
        """One interaction a continuation."""
        return len(arguments.texts) * int(arguments.samples)

    def determinants(self, pair: ModelPair, arguments: Any, context: Context) -> dict[str, str]:
        """Nothing else."""
        return {}

    def run(self, pair: ModelPair, arguments: Any, context: Context) -> SamplesReading:
        """Draw the continuations."""
        prompts = [Prompt(text) for text in arguments.texts]
        decoding = Decoding(arguments.max_new_tokens, arguments.temperature, context.seed)
        exchanges = sample_both(pair, prompts, arguments.texts, arguments.samples, decoding, context)
        return SamplesReading(instrument=self.name, exchanges=exchanges)
