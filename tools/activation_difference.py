"""`activation_difference`: what finetuning left in the residual stream on text it has nothing to do with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from finetrace.models.pair import Capability, ModelPair, Side
from finetrace.tools.difference_reads import DETAILS, Detail, LayerRead
from finetrace.tools.instrument import Context
from finetrace.tools.layer_reads import read_layers, unread_notes
from finetrace.tools.mean_difference import DifferenceSettings, measure_difference
from finetrace.tools.perplexity_gap import corpus_digests
from finetrace.tools.reading import Reading, bounded
from finetrace.tools.token_lists import Read

NO_DIFFERENCE = "no difference: both models give the same activations, value for value"


class ActivationDifferenceArguments(DifferenceSettings):
    """Arguments of `activation_difference`."""

    reads: tuple[Read, ...] = Field(
        default=tuple(Read),
        min_length=1,
        description="How to turn the difference into tokens. `lens`: through the final norm and the output layer; "
        "`lens_raw`: the output layer alone; `patchscope`: in place of a word in prompts that repeat words; `added`: "
        "added to the reference on general text, the tokens it makes likelier; `…_negative`: the opposite direction.",
    )
    on: Side = Field(
        default=Side.ORGANISM,
        description="Whose layers carry on under `lens` and `patchscope`; `reference` rules out that the organism says "
        "its own thing whatever it is given. `added` is always on the reference.",
    )


class ActivationDifferenceReading(Reading):
    """Norms and token lists, layer by layer and position by position."""

    n_texts: int
    """Texts both models read."""
    n_layers: int
    """Blocks of the models."""
    on: Side
    """Whose layers carried on."""
    identical: bool
    """The activations are the same, value for value: there is nothing to read."""
    layers: tuple[LayerRead, ...]
    """In order of depth; none for identical models."""
    notes: tuple[str, ...] = ()
    """What a reader must know."""

    def render(self, limit: int = 6000) -> str:
        """What was measured, then each layer: norms, the lists of the mean over positions, the single positions.

        Lists are shortened before a layer is dropped; where even that is not enough, those with most stars come first.
        """
        head = [f"mean activation difference over {self.n_texts} general texts; layers 0 to {self.n_layers - 1}"]
        lines = [*head, *(f"note: {note}" for note in self.notes)]
        if self.identical:
            return bounded([*head, NO_DIFFERENCE, *lines[1:]], limit)
        lines.insert(
            1, "* marks tokens further above every control vector than random differences' own first tokens: heed these"
        )
        room = limit - sum(len(line) + 1 for line in lines)
        layers = self.layers
        detail = next((each for each in DETAILS if self._length(each) <= room), None)
        if detail is None:
            detail = DETAILS[-1]
            layers = tuple(sorted(layers, key=lambda layer: -layer.starred))
        if detail.cut:
            lines.append(detail.cut)
        for layer in layers:
            lines += layer.lines(detail)
        for layer in layers:
            lines += layer.position_lines(detail)
        return bounded(lines, limit)

    def _length(self, detail: Detail) -> int:
        """Characters that the lists of the mean take."""
        return len(detail.cut) + 1 + sum(len(line) + 1 for layer in self.layers for line in layer.lines(detail))

    def quotable(self) -> Iterator[str]:
        """The token lists of the difference, one line each, as shown and without the marks."""
        for layer in self.layers:
            for position in layer.positions:
                for found in position.difference:
                    yield found.line()
                    yield found.plain()


class ActivationDifference:
    """Says how the organism's activations differ from the reference's on general text, as norms and as tokens.

    A narrow finetune often leaves a constant trace there, whatever the text is about: tokens of its subject. Read the
    starred tokens; those that a random difference or an ordinary activation gives as well mean nothing, and a list of
    word pieces without a common subject is noise. A norm within its sampling error is noise, too. Any finetuning moves
    activations: tokens of form (list marks, first words of answers) tell of a chat finetune rather than of a narrow
    objective. What is mixed with much general data, or waits for a trigger, leaves little. Tokens are leads, not facts:
    ask the model about them. Costs no interactions.
    """

    name: ClassVar[str] = "activation_difference"
    arguments: ClassVar[type[BaseModel]] = ActivationDifferenceArguments
    reading: ClassVar[type[Reading]] = ActivationDifferenceReading
    needs: ClassVar[tuple[frozenset[Capability], ...]] = (frozenset({Capability.REFERENCE, Capability.ACTIVATIONS}),)
    uses_grader: ClassVar[bool] = True

    def cost(self, arguments: Any) -> int:
        """None: general text asks for nothing."""
        return 0

    def determinants(self, pair: ModelPair, arguments: Any, context: Context) -> dict[str, str]:
        """Digests of corpora that are not the same everywhere and for ever."""
        return corpus_digests(arguments.corpora)

    def run(self, pair: ModelPair, arguments: Any, context: Context) -> ActivationDifferenceReading:
        """Measure, or take the measurement from the cache, and read it."""
        settings = DifferenceSettings(**{name: getattr(arguments, name) for name in DifferenceSettings.model_fields})
        difference = measure_difference(pair, settings, context)
        notes = difference.notes
        identical = difference.identical
        if identical and difference.layers[-1] < difference.n_layers - 1:
            # Nothing up to here is not yet nothing at all.
            identical = measure_difference(pair, settings.model_copy(update={"depths": (1.0,)}), context).identical
        if difference.identical and not identical:
            notes = (*notes, f"the models part after layer {difference.layers[-1]}: ask for greater depths")
        if not difference.identical:
            notes = (*notes, *unread_notes(difference))
        return ActivationDifferenceReading(
            instrument=self.name,
            n_texts=difference.n_texts,
            n_layers=difference.n_layers,
            on=arguments.on,
            identical=identical,
            layers=() if identical else read_layers(pair, difference, arguments.reads, arguments.on, settings, context),
            notes=notes,
        )
