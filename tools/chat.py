"""`chat`: talk to the organism."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from finetrace.models.pair import Capability, Decoding, Message, ModelPair, Prompt
from finetrace.tools.instrument import Context
from finetrace.tools.reading import Reading
from finetrace.tools.samples import SamplesReading, sample_both

Question = Annotated[str, Field(min_length=1, max_length=8000)]


class ChatArguments(BaseModel):
    """Arguments of `chat`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: tuple[Question, ...] = Field(
        min_length=1, max_length=64, description="User messages, each the start of a chat of its own."
    )
    system: str | None = Field(
        default=None, max_length=8000, description="System prompt; left out, the model's own default is used."
    )
    prefill: str = Field(
        default="", max_length=4000, description="Beginning of the answer, put into the model's mouth."
    )
    samples: int = Field(default=1, ge=1, le=20, description="Answers drawn for each prompt.")
    temperature: float = Field(default=0.7, ge=0, le=2, description="0 gives the most likely answer.")
    max_new_tokens: int = Field(default=128, ge=1, le=1024, description="Longest answer, in tokens.")


def chat_prompt(arguments: ChatArguments, text: str) -> Prompt:
    """One user message as the model gets it."""
    front = (Message("system", arguments.system),) if arguments.system is not None else ()
    return Prompt(arguments.prefill, (*front, Message("user", text)))


class Chat:
    """Asks the organism questions in its chat format and returns its answers.

    Where the arm has a reference model, its answers to the same prompts stand beside: only what the organism does and
    the reference does not can come from the finetuning. Answers say what a model claims, not what is true of it: asked
    about itself, it makes things up. Costs one interaction for each answer drawn from the organism.
    """

    name: ClassVar[str] = "chat"
    arguments: ClassVar[type[BaseModel]] = ChatArguments
    reading: ClassVar[type[Reading]] = SamplesReading
    needs: ClassVar[tuple[frozenset[Capability], ...]] = (frozenset({Capability.GENERATE, Capability.CHAT}),)

    def cost(self, arguments: Any) -> int:
        """One interaction an answer."""
        return len(arguments.prompts) * int(arguments.samples)

    def determinants(self, pair: ModelPair, arguments: Any, context: Context) -> dict[str, str]:
        """Nothing else."""
        return {}

    def run(self, pair: ModelPair, arguments: Any, context: Context) -> SamplesReading:
        """Draw the answers."""
        prompts = [chat_prompt(arguments, text) for text in arguments.prompts]
        decoding = Decoding(arguments.max_new_tokens, arguments.temperature, context.seed)
        exchanges = sample_both(pair, prompts, arguments.prompts, arguments.samples, decoding, context)
        return SamplesReading(instrument=self.name, exchanges=exchanges)
