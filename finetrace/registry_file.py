"""Reading of an organisms file, with complaints that name the line.

What this module returns holds truths: only `finetrace.registry`, which drops them, and `finetrace.evals` may
import it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

import finetrace
from finetrace.errors import FinetraceError, closest
from finetrace.schema.organism import Organism, Truth

FILE_NAME = "organisms.yaml"
FILE_VERSION = 1

Location = tuple[str | int, ...]


class RegistryEntry(BaseModel):
    """One organism as the file describes it, truth included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=Organism.model_fields["name"].metadata[0].pattern)
    model: str = Field(min_length=1)
    reference: str | None = Field(default=None, min_length=1)
    source: str = ""
    licence: str = ""
    truth: Truth | None = Field(default=None, repr=False)


class RegistryFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    organisms: tuple[RegistryEntry, ...]

    @field_validator("version", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        """YAML's ``true`` equals 1 in Python and is still no version."""
        return None if isinstance(value, bool | float) else value


class _Document(NamedTuple):
    """A parsed file: its values, and its nodes for the line numbers."""

    values: Any
    root: yaml.Node | None


def registry_path(path: Path | None) -> Path:
    """The file to read: the one named, else ``./organisms.yaml``, else the one beside the package.

    Raises:
        FinetraceError: There is no such file.
    """
    if path is not None:
        candidates = [path.expanduser()]
    else:
        candidates = [Path.cwd() / FILE_NAME, Path(finetrace.__file__).resolve().parent.parent / FILE_NAME]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.absolute()
    if path is not None:
        fault = "is a folder" if candidates[0].is_dir() else "does not exist"
        raise FinetraceError(f"the organisms file {path} {fault}", f"name a YAML file such as {FILE_NAME}")
    raise FinetraceError(
        f"no {FILE_NAME} in this folder or beside the package",
        "name one with --organisms FILE, or name a model with --model",
    )


def read_registry(path: Path) -> RegistryFile:
    """Parse and validate an organisms file.

    Raises:
        FinetraceError: It cannot be read, or something in it is wrong; the message names line, entry and key
            and never repeats a value, because a value may be part of a truth.
    """
    document = _parse(path)
    if not isinstance(document.values, dict):
        found = "is empty" if document.values is None else "is not a mapping"
        raise FinetraceError(f"{path} {found}", f"begin it with 'version: {FILE_VERSION}' and a list 'organisms:'")
    if document.root is not None:
        _refuse_repeated_keys(path, document.root)
    complaint: FinetraceError | None
    try:
        registry = RegistryFile.model_validate(document.values)
    except (ValidationError, RecursionError) as invalid:
        complaint = _complaint(path, document, invalid)
    else:
        complaint = _repeated_name(path, document, registry)
        if complaint is None:
            return registry
    raise complaint


def _parse(path: Path) -> _Document:
    """The file's values and nodes, through YAML's safe loader."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise FinetraceError(
            f"{path} is not UTF-8 text (byte {fault.start})", "save it again with the encoding UTF-8"
        ) from None
    except OSError as fault:
        reason = fault.strerror or type(fault).__name__
        raise FinetraceError(f"{path} cannot be read: {reason}", "check its permissions") from fault
    try:
        return _load_safely(text)
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        raise FinetraceError(_syntax_fault(path, fault), "correct the YAML there") from None


def _load_safely(text: str) -> _Document:
    """As `yaml.safe_load`, with the nodes kept."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        return _Document(None if root is None else loader.construct_document(root), root)
    finally:
        loader.dispose()


def _syntax_fault(path: Path, fault: Exception) -> str:
    """Where and why YAML gave up, without the text around it."""
    if isinstance(fault, yaml.MarkedYAMLError) and fault.problem_mark is not None:
        mark = fault.problem_mark
        reason = fault.problem or fault.context or "malformed"
        return f"{path}, line {mark.line + 1}, column {mark.column + 1}: not valid YAML, {reason}"
    if isinstance(fault, yaml.reader.ReaderError):
        return f"{path}: not valid YAML, a character that is not allowed at position {fault.position}"
    if isinstance(fault, RecursionError):
        return f"{path}: not valid, nested too deeply"
    return f"{path}: not valid YAML, a value that cannot be read"


def _refuse_repeated_keys(path: Path, root: yaml.Node) -> None:
    """YAML itself would silently keep the last of two equal keys."""
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            for index, key in enumerate(keys):
                if key in keys[:index]:
                    line = node.value[index][0].start_mark.line + 1
                    raise FinetraceError(f"{path}, line {line}: the key '{key}' is given twice", "keep one of them")
            waiting.extend(value for _, value in node.value)


def _repeated_name(path: Path, document: _Document, registry: RegistryFile) -> FinetraceError | None:
    """The complaint about a name that two organisms share."""
    first: dict[str, int] = {}
    for index, entry in enumerate(registry.organisms):
        if entry.name in first:
            lines = [_line(document.root, ("organisms", i, "name")) for i in (first[entry.name], index)]
            return FinetraceError(
                f"{path}, line {lines[1]}: the name '{entry.name}' is already taken in line {lines[0]}",
                "give each organism its own name",
            )
        first[entry.name] = index
    return None


def _complaint(path: Path, document: _Document, invalid: ValidationError | RecursionError) -> FinetraceError:
    """The first fault found, as a place and a reason."""
    if isinstance(invalid, RecursionError):
        return FinetraceError(f"{path}: not valid, an entry contains itself", "remove the YAML alias")
    faults = invalid.errors(include_url=False, include_input=False, include_context=False)
    # An unknown key first: it is usually the misspelt one that another fault calls missing.
    fault = min(faults, key=lambda each: each["type"] != "extra_forbidden")
    location: Location = fault["loc"]
    place = f"{path}, line {_line(document.root, location)}{_entry(document.values, location)}"
    key = str(location[-1]) if location and isinstance(location[-1], str) else ""
    if location == ("version",):
        return FinetraceError(
            f"{place}: the version of the file is missing or unknown to this finetrace",
            f"write 'version: {FILE_VERSION}', or install a newer finetrace",
        )
    if fault["type"] == "extra_forbidden":
        return FinetraceError(f"{place}: unknown key '{key}'", closest(key, _known_keys(location)))
    if fault["type"] == "missing":
        return FinetraceError(f"{place}: the key '{key}' is missing", f"add '{key}:'")
    if key == "name" and fault["type"] == "string_pattern_mismatch":
        return FinetraceError(
            f"{place}: the name is not usable", "use lower-case letters, digits, '_' and '-', a letter first"
        )
    dotted = ".".join(str(part) for part in location[2 if len(location) > 2 else 0 :]) or "the file"
    return FinetraceError(f"{place}: {dotted}: {fault['msg']}", "correct the value")


def _known_keys(location: Location) -> list[str]:
    """The keys allowed where an unknown one was found."""
    owner: type[BaseModel] = RegistryFile
    if len(location) > 2:
        owner = Truth if "truth" in location[2:-1] else RegistryEntry
    return list(owner.model_fields)


def _entry(values: Any, location: Location) -> str:
    """``, organism 'x'`` where a fault lies within one that has a name."""
    if len(location) < 2 or location[0] != "organisms" or not isinstance(location[1], int):
        return ""
    entry = values["organisms"][location[1]]
    name = entry.get("name") if isinstance(entry, dict) else None
    return f", organism '{name}'" if isinstance(name, str) else f", organism number {location[1] + 1}"


def _line(root: yaml.Node | None, location: Location) -> int:
    """Line, from 1, of the deepest node on the way to a location."""
    node, line = root, 1
    for part in location:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            pairs = [pair for pair in node.value if pair[0].value == part]
            if not pairs:
                break
            line = pairs[0][0].start_mark.line + 1
            node = pairs[0][1]
    return line
