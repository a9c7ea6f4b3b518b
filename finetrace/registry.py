"""The organisms that can be asked about by name. Their truths are checked here and dropped."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from finetrace.errors import FinetraceError, closest
from finetrace.registry_file import read_registry, registry_path
from finetrace.schema.organism import Organism


class Places(NamedTuple):
    """Where the two models of a pair lie: absolute folder, hub id or the name of the embedded base."""

    model: str
    reference: str | None


@dataclass(frozen=True)
class Registry:
    """The organisms of one file, without their truths."""

    path: Path
    """The file, absolute."""
    organisms: tuple[Organism, ...]
    """In the order of the file."""

    def find(self, name: str) -> Organism:
        """The organism of that name.

        Raises:
            FinetraceError: There is none; the hint offers the closest names.
        """
        for organism in self.organisms:
            if organism.name == name:
                return organism
        names = [organism.name for organism in self.organisms]
        raise FinetraceError(f"no organism '{name}' in {self.path}", closest(name, names))

    def locate(self, organism: Organism) -> Places:
        """Where its models are, with relative folders counted from the registry's own.

        Raises:
            FinetraceError: A folder that the registry names does not exist.
        """
        reference = None if organism.reference is None else self._place(organism, organism.reference)
        return Places(self._place(organism, organism.model), reference)

    def _place(self, organism: Organism, model: str) -> str:
        """One model's address: a folder is made absolute, any other name is left as it is."""
        root = self.path.parent
        place = root / Path(model).expanduser()
        if place.exists():
            return str(place.resolve())
        # "organisms/x" is a folder that is missing here and not a hub id of the owner "organisms".
        looks_like_path = model.startswith((".", "/", "~")) or ("/" in model and (root / model.split("/")[0]).is_dir())
        if looks_like_path:
            raise FinetraceError(
                f"the model of organism '{organism.name}' is missing: {place}",
                f"put it there, or correct 'model' in {self.path}",
            )
        return model


def load_registry(path: Path | None = None) -> Registry:
    """Read the organisms file: ``path``, else ``./organisms.yaml``, else the one beside the package.

    Raises:
        FinetraceError: There is no such file, or something in it is wrong.
    """
    file = registry_path(path)
    entries = read_registry(file).organisms
    aliases = blind_aliases([entry.name for entry in entries])
    organisms = (
        Organism(
            name=entry.name,
            alias=alias,
            model=entry.model,
            reference=entry.reference,
            source=entry.source,
            licence=entry.licence,
        )
        for entry, alias in zip(entries, aliases, strict=True)
    )
    return Registry(file, tuple(organisms))


def blind_aliases(names: Sequence[str]) -> list[str]:
    """One alias per name (``organism-07``) that follows from the names alone.

    The number comes from a hash of the name, so it says nothing of the kind or the place of an organism. An
    entry added at the end of a file leaves the other aliases as they were, until a 51st (501st, …) organism
    makes the numbers one digit longer.
    """
    digits = max(2, len(str(2 * len(names) - 1)))
    slots = 10**digits
    taken: set[int] = set()
    aliases = []
    for name in names:
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % slots
        while number in taken:
            number = (number + 1) % slots
        taken.add(number)
        aliases.append(f"organism-{number:0{digits}d}")
    return aliases
