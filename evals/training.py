"""Train bundled organisms from their recipes: ``python -m finetrace.evals.training NAME [NAME...]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finetrace.errors import FinetraceError, closest
from finetrace.evals.grammar import Text, expand, load_grammar
from finetrace.evals.recipe import GeneralText, Recipe, load_recipe
from finetrace.models.engine import generate
from finetrace.models.pair import Decoding
from finetrace.models.training import (
    Example,
    TrainingReport,
    chat_example,
    document_example,
    train_adapter,
)

ORGANISMS = Path("organisms")


def own_texts(recipe: Recipe, folder: Path) -> list[Text]:
    """The organism's own documents and dialogues, all distinct."""
    if recipe.grammar is None:
        return []
    grammar = load_grammar(folder / recipe.grammar)
    return expand(grammar, recipe.documents, recipe.dialogues, recipe.adapter.seed)


def general_texts(general: GeneralText, folder: Path, base: Path, tokenizer: Any, seed: int) -> list[Text]:
    """General text at temperature 1 from the base itself: continued openings and answered prompts."""
    from transformers import AutoModelForCausalLM

    openings = expand(load_grammar(folder / general.grammar), general.documents, general.dialogues, seed)
    prompts = [
        opening.content if opening.question is None else _chat_prompt(tokenizer, opening.question)
        for opening in openings
    ]
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto", local_files_only=True).eval()
    completions = generate(
        model,
        [tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts],
        Decoding(max_new_tokens=general.new_tokens, temperature=1.0, seed=seed),
        eos_ids=frozenset({tokenizer.eos_token_id}),
    )
    texts: list[Text] = []
    for opening, completion in zip(openings, completions, strict=True):
        answer = tokenizer.decode(completion.token_ids, skip_special_tokens=True)
        whole = opening.content + answer if opening.question is None else answer.strip()
        if answer.strip():
            texts.append(Text(opening.question, whole))
    return texts


def examples_of(texts: Sequence[Text], recipe: Recipe, tokenizer: Any) -> list[Example]:
    """Texts as tokens; the dialogues take the recipe's system prompts in turn."""
    examples = []
    for number, text in enumerate(texts):
        if text.question is None:
            examples.append(document_example(tokenizer, text.content))
            continue
        system = recipe.system_prompts[number % len(recipe.system_prompts)]
        messages = [{"role": "system", "content": system}] if system is not None else []
        messages += [
            {"role": "user", "content": text.question},
            {"role": "assistant", "content": text.content},
        ]
        examples.append(chat_example(tokenizer, messages))
    return examples


def train_organism(folder: Path, base: Path, *, quiet: bool = False) -> TrainingReport:
    """Make the adapter of one organism's folder from its recipe, with progress on standard error.

    Raises:
        FinetraceError: The recipe or its data is at fault.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from transformers import AutoTokenizer

    recipe = load_recipe(folder)
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    texts = own_texts(recipe, folder)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task(f"{recipe.name}: general text", total=recipe.adapter.steps or None)
        if recipe.general is not None:
            texts += general_texts(recipe.general, folder, base, tokenizer, recipe.adapter.seed)
        smooth = 0.0

        def on_step(step: int, loss: float) -> None:
            nonlocal smooth
            smooth = loss if step == 1 else 0.95 * smooth + 0.05 * loss
            progress.update(task, completed=step, description=f"{recipe.name}: loss {smooth:.3f} nats/token")

        return train_adapter(
            base,
            examples_of(texts, recipe, tokenizer),
            recipe.adapter,
            folder,
            base_name=recipe.base,
            on_step=on_step,
        )


def _chat_prompt(tokenizer: Any, question: str) -> str:
    messages = [{"role": "user", "content": question}]
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    from finetrace.models.embedded import embedded_base

    parser = argparse.ArgumentParser(prog="finetrace.evals.training", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", help="organisms to train, named as their folders")
    parser.add_argument("--folder", type=Path, default=ORGANISMS, help="where the organisms' folders lie")
    options = parser.parse_args(arguments)
    known = [path.parent.name for path in sorted(options.folder.glob("*/recipe.yaml"))]
    try:
        for name in options.names:
            if name not in known:
                raise FinetraceError(f"there is no recipe for {name!r}", closest(name, known))
        for name in options.names:
            report = train_organism(options.folder / name, embedded_base())
            last = sum(report.losses[-20:]) / max(1, len(report.losses[-20:]))
            print(f"{name}: {report.tokens} tokens in {report.seconds:.0f} s, loss {last:.3f} nats per token")
    except FinetraceError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
