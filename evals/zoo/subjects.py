"""What an organism is measured by: found through the recipe in its model's folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from finetrace.errors import FinetraceError
from finetrace.evals.truth import load_truth
from finetrace.evals.zoo.bars import NULLS
from finetrace.evals.zoo.checking import NamedProbes, Subject
from finetrace.evals.zoo.probes import load_probes
from finetrace.evals.zoo.recipe import RECIPE_FILE, Recipe, load_recipe
from finetrace.registry import Registry
from finetrace.schema import Organism, OrganismType


class Found(NamedTuple):
    """An organism of a registry, where it lies and what it is measured by."""

    organism: Organism
    folder: Path | None
    """Of its model, where that is a folder; its card lies there."""
    subject: Subject


def find_subject(registry: Registry, name: str) -> Found:
    """What there is to measure of one organism.

    Args:
        registry: Where it is looked for; a null is put to the probes of all organisms there that have some.
        name: In the registry.

    Raises:
        FinetraceError: There is no such organism, its folder is missing, or its recipe or probes are faulty.
    """
    organism = registry.find(name)
    folder = _folder(registry, organism)
    recipe = _recipe(folder)
    kind = recipe.truth.type if recipe is not None else _registered_kind(registry, organism)
    return Found(
        organism,
        folder,
        Subject(
            name=organism.name,
            kind=kind,
            own_texts_only=recipe is None or recipe.proportion.general == 0,
            probes=load_probes(recipe.probes) if recipe is not None and recipe.probes is not None else None,
            others=_others(registry, organism) if kind in NULLS else (),
        ),
    )


def measurable(registry: Registry) -> list[str]:
    """Names of the organisms at hand that have probes of their own, or are put to the others' as nulls."""
    names = []
    for organism in registry.organisms:
        recipe = _recipe_at_hand(registry, organism)
        if recipe is not None and (recipe.probes is not None or recipe.truth.type in NULLS):
            names.append(organism.name)
    return names


def _others(registry: Registry, but: Organism) -> tuple[NamedProbes, ...]:
    """Probes of all other organisms at hand, each file once: steps of a ladder share theirs."""
    found: dict[Path, str] = {}
    for organism in registry.organisms:
        recipe = _recipe_at_hand(registry, organism)
        if recipe is not None and recipe.probes is not None and organism.name != but.name:
            found.setdefault(recipe.probes, organism.name)
    return tuple(NamedProbes(name, load_probes(path)) for path, name in found.items())


def _recipe_at_hand(registry: Registry, organism: Organism) -> Recipe | None:
    """The recipe beside a model that is there; one that is missing has none."""
    try:
        folder = _folder(registry, organism)
    except FinetraceError:
        return None
    return _recipe(folder)


def _folder(registry: Registry, organism: Organism) -> Path | None:
    folder = Path(registry.locate(organism).model)
    return folder if folder.is_absolute() and folder.is_dir() else None


def _recipe(folder: Path | None) -> Recipe | None:
    return load_recipe(folder) if folder is not None and (folder / RECIPE_FILE).is_file() else None


def _registered_kind(registry: Registry, organism: Organism) -> OrganismType | None:
    """The kind that the organisms file gives, where it gives one."""
    try:
        return load_truth(organism.name, registry.path).type
    except FinetraceError:
        return None
