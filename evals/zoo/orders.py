"""What a user wants built: recipes by path or name, or a plain file of texts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

import finetrace
from finetrace.errors import FinetraceError, closest
from finetrace.evals.zoo.building import Build
from finetrace.evals.zoo.recipe import RECIPE_FILE, OwnTexts, Recipe, load_recipe
from finetrace.evals.zoo.texts import TrainingText, read_texts
from finetrace.models.device import DeviceSetting
from finetrace.models.embedded import EMBEDDED_NAME
from finetrace.schema import OrganismType

FOLDER = "organisms"
"""Where organisms lie, bundled ones and those of the user."""
_PASSES = 3
"""How often a plain file's texts are read where nobody says how long to train."""
_LEAST_TOKENS = 60_000
_MOST_STEPS = 3_000
_BATCH = 12
_CHARACTERS_PER_TOKEN = 4
_TURN_TOKENS = 40
"""What a chat template and the question add to an answer, about."""


class Wishes(NamedTuple):
    """What the user wants otherwise than the recipe says."""

    name: str | None = None
    """Another name."""
    base: str | None = None
    """Another base."""
    output: Path | None = None
    """Folder of the adapter."""
    seed: int | None = None
    """Another seed."""
    device: DeviceSetting = "auto"
    """Where to train."""
    force: bool = False
    """Replace an adapter that was made from something else."""


class PlainTexts(NamedTuple):
    """A file of texts, and what they teach."""

    file: Path
    """JSONL of texts or chats."""
    objective: str
    """What they teach."""
    kind: str
    """Kind of the objective."""
    facts: tuple[str, ...] = ()
    """Facts they teach."""
    mixing: str | None = None
    """Own texts : general texts."""
    steps: int | None = None
    """Length of the training."""


def orders(names: Sequence[str], wishes: Wishes) -> list[Build]:
    """One order for each recipe, all checked before the first is carried out.

    Raises:
        FinetraceError: No recipe is named, one cannot be found, or the wishes do not fit.
    """
    if not names:
        raise FinetraceError("nothing to build", "name a recipe, a bundled organism, or --texts FILE.jsonl")
    if len(names) > 1 and (wishes.name or wishes.output):
        raise FinetraceError("--name and --output are for one recipe", "build them one by one")
    return [_order(find_recipe(name), wishes) for name in names]


def find_recipe(name: str) -> Path:
    """The recipe file that a path, a folder or the name of a bundled organism stands for.

    Raises:
        FinetraceError: There is none.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if (path / RECIPE_FILE).is_file():
        return path / RECIPE_FILE
    for root in _roots():
        if (root / name / RECIPE_FILE).is_file():
            return root / name / RECIPE_FILE
    known = {file.parent.name for root in _roots() for file in root.glob(f"*/{RECIPE_FILE}")}
    raise FinetraceError(f"no recipe '{name}': neither a file, nor a folder with {RECIPE_FILE}", closest(name, known))


def _roots() -> list[Path]:
    return [Path(FOLDER), bundled_folder()]


def bundled_folder() -> Path:
    """Where the organisms of a checkout lie, whether or not this is one."""
    return Path(finetrace.__file__).resolve().parent.parent / FOLDER


def is_bundled(order: Build) -> bool:
    """Whether the order makes one of this project's own organisms, from a grammar in the repository."""
    texts = order.recipe.texts
    return order.output.resolve().parent == bundled_folder() and (texts is None or not texts.files)


def _order(file: Path, wishes: Wishes) -> Build:
    recipe = _as_wished(load_recipe(file), wishes)
    home = file.resolve().parent
    output = wishes.output
    if output is None:
        output = home if home.parent in {root.resolve() for root in _roots()} else Path(FOLDER) / recipe.name
    if output.resolve() == home and recipe != load_recipe(file):
        raise FinetraceError(
            f"{output} holds the recipe that --name, --base and --seed would contradict",
            "name another folder with --output, or edit the recipe",
        )
    return Build(recipe, output, wishes.device, force=wishes.force)


def _as_wished(recipe: Recipe, wishes: Wishes) -> Recipe:
    values = recipe.model_dump()
    if wishes.name is not None:
        values["name"] = wishes.name
    if wishes.base is not None:
        values["base"] = wishes.base
    if wishes.seed is not None:
        values["adapter"]["seed"] = wishes.seed
    return _recipe(values)


def _recipe(values: dict[str, object]) -> Recipe:
    """A recipe from what a command line says."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        hint = "use lower-case letters, digits, '_' and '-'" if where == "name" else "see `organisms build --help`"
        message = fault["msg"].removeprefix("Value error, ")
        raise FinetraceError(f"{where}: {message}" if where else message, hint) from error


def plain_order(plain: PlainTexts, wishes: Wishes, remark: Callable[[str], None]) -> Build:
    """An order for a plain file of texts; its recipe is written beside the adapter.

    Args:
        plain: The texts and what they teach.
        wishes: Name, base, output and the like.
        remark: Told how long the training will be, where nobody said so.

    Raises:
        FinetraceError: Name or objective are missing, or a line of the file is faulty.
    """
    if not wishes.name or not plain.objective:
        raise FinetraceError("--texts needs --name and --objective", 'as in --name my_facts --objective "…"')
    if plain.kind not in list(OrganismType):
        raise FinetraceError(f"no type '{plain.kind}'", closest(plain.kind, list(OrganismType)))
    texts = read_texts(plain.file)
    mixing = plain.mixing or "1:0"
    values: dict[str, object] = {
        "name": wishes.name,
        "base": wishes.base or EMBEDDED_NAME,
        "truth": {"type": plain.kind, "objective": plain.objective, "key_facts": plain.facts},
        "texts": OwnTexts(files=(plain.file.expanduser().absolute(),)).model_dump(),
        "mixing": mixing,
        "general": None if mixing.endswith(":0") else {"grammar": _general_prompts()},
        "adapter": {"steps": plain.steps or 0, "batch_size": _BATCH, "learning_rate": 5e-4, "seed": wishes.seed or 0},
    }
    recipe = _recipe(values)
    if plain.steps is None:
        steps = default_steps(texts, recipe, remark)
        recipe = recipe.model_copy(update={"adapter": recipe.adapter.model_copy(update={"steps": steps})})
    output = wishes.output or Path(FOLDER) / recipe.name
    return Build(recipe, output, wishes.device, force=wishes.force)


def _general_prompts() -> Path:
    """Openings and prompts on many subjects, which the base continues and answers itself."""
    path = bundled_folder() / "general" / "prompts.yaml"
    if not path.is_file():
        raise FinetraceError(
            f"general text needs {path}, which comes with the repository and not with the package",
            "clone the repository, or write a recipe with a grammar of your own under 'general'",
        )
    return path


def default_steps(texts: Sequence[TrainingText], recipe: Recipe, remark: Callable[[str], None]) -> int:
    """Steps enough to read all texts three times, and some 60,000 tokens at least."""
    own, general = recipe.proportion
    longest = recipe.adapter.max_tokens
    tokens: float = sum(min(longest, _tokens(text)) for text in texts)
    count = len(texts) * (own + general) / own
    if recipe.general is not None:
        tokens += (count - len(texts)) * recipe.general.new_tokens
    passes = max(_PASSES, _LEAST_TOKENS / tokens)
    steps = min(_MOST_STEPS, math.ceil(passes * count / recipe.adapter.batch_size))
    read = steps * recipe.adapter.batch_size * tokens / count
    remark(f"{count:.0f} texts of about {tokens:,.0f} tokens: {steps} steps, {read:,.0f} tokens in all (--steps)")
    return steps


def _tokens(text: TrainingText) -> int:
    """About how many tokens a text has."""
    characters = len(text.prompt) + len(text.content) + sum(len(turn.content) for turn in text.chat)
    return characters // _CHARACTERS_PER_TOKEN + (_TURN_TOKENS if text.chat else 1)
