"""The entry of a built organism in an organisms file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from finetrace.errors import FinetraceError
from finetrace.evals.zoo.building import Build
from finetrace.evals.zoo.registry_entry import write_entry
from finetrace.registry_file import FILE_NAME, RegistryEntry, read_registry, registry_path

SOURCE = "finetrace"
"""Who makes the bundled organisms."""
_LICENCE = "Apache-2.0"


class Place(NamedTuple):
    """An entry and where it goes."""

    file: Path
    """The organisms file."""
    entry: RegistryEntry
    """What it will say."""


def find_place(order: Build, file: Path | None, *, bundled: bool = False) -> Place:
    """Where the entry of an order goes; asked before the work, so that a fault shows at once.

    Args:
        order: What is built.
        file: The organisms file, made if it is missing; default the one that is found, else ``./organisms.yaml``.
        bundled: The organism is one of this project's own; an entry that is there keeps its source and licence.

    Raises:
        FinetraceError: The file is faulty, or the name in it belongs to another model.
    """
    path = _file(file)
    recipe = order.recipe
    folder = path.resolve().parent
    output = order.output.resolve()
    known = read_registry(path).organisms if path.is_file() else ()
    held = next((one for one in known if one.name == recipe.name), None)
    entry = RegistryEntry(
        name=recipe.name,
        model=output.relative_to(folder).as_posix() if output.is_relative_to(folder) else str(output),
        reference=recipe.base,
        source=held.source if held is not None else SOURCE if bundled else "",
        licence=held.licence if held is not None else _LICENCE if bundled else "",
        family=recipe.family,
        mixing=recipe.mixing if recipe.texts is not None or recipe.general is not None else None,
        truth=recipe.truth,
    )
    if held is not None and not (isinstance(held, RegistryEntry) and _same_model(held, entry, folder)):
        raise FinetraceError(
            f"the name '{recipe.name}' in {path} belongs to another model",
            "choose another with --name, another file with --organisms, or leave the entry out with --no-entry",
        )
    return Place(path, entry)


def _file(file: Path | None) -> Path:
    if file is not None and not file.expanduser().is_dir():
        return file.expanduser().absolute()
    try:
        return registry_path(file)
    except FinetraceError:
        if file is not None:
            raise
        return Path(FILE_NAME).absolute()


def _same_model(held: RegistryEntry, entry: RegistryEntry, folder: Path) -> bool:
    return os.path.realpath(folder / held.model) == os.path.realpath(folder / entry.model)


def enter(place: Place) -> None:
    """Write the entry, unless the file says so already.

    Raises:
        FinetraceError: The file cannot be written.
    """
    write_entry(place.file, place.entry)
