"""Adding an organism to an organisms file, or replacing it, with every other byte left as it is."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from finetrace.errors import FinetraceError
from finetrace.registry_file import FILE_VERSION, FamilyEntry, RegistryEntry, RegistryFile, validate_registry

_COMMENT = re.compile(r"#[^\r\n]*")
_NEW_FILE = f"version: {FILE_VERSION}\norganisms:\n"


class _Span(NamedTuple):
    """Part of a text, as character offsets; the end is that of its last line, line break left out."""

    start: int
    end: int


def write_entry(path: Path, entry: RegistryEntry) -> None:
    """Put an entry into an organisms file: over the one of the same name, else behind the last single one.

    All other text stays byte for byte. Comments inside a replaced entry are kept above the new one. The file is
    replaced at once, after the new text was read back; a file that is missing is made.

    Args:
        path: The organisms file; a link is followed.
        entry: The organism with its truth.

    Raises:
        FinetraceError: The file is at fault already, a family has that name, or the list is written in a way
            that cannot be added to.
    """
    place = path.expanduser().resolve()
    old = _read(place)
    before = validate_registry(old, path) if old.strip() else RegistryFile(version=1, organisms=())
    for known in before.organisms:
        if known.name != entry.name:
            continue
        if isinstance(known, FamilyEntry):
            raise FinetraceError(
                f"{path} has a family named '{entry.name}'", "give the organism a name of its own, or add a checkpoint"
            )
        if known == entry:
            return
    new = _with_entry(old if old.strip() else _NEW_FILE, entry, path)
    _check(before, validate_registry(new, path), entry, path)
    _replace(place, new)


def _read(place: Path) -> str:
    """The file's text with its line breaks and byte-order mark; empty where there is none yet."""
    if not place.exists():
        return ""
    try:
        return place.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise FinetraceError(f"{place} cannot be read as UTF-8 text", "check the file") from fault


def _with_entry(text: str, entry: RegistryEntry, path: Path) -> str:
    """The text with the entry in it."""
    newline = "\r\n" if "\r\n" in text else "\n"
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix(mark)
    items = _items(body, path)
    same = [item for item in items if item.name == entry.name]
    if same:
        start, end = same[0].span.start - same[0].indent, same[0].span.end
        block = _block(entry, same[0].indent, list(_comments(body[start:end])))
        return mark + body[:start] + block.replace("\n", newline) + body[end:]
    single = [item for item in items if not item.family]
    if single:
        at, indent, lead = single[-1].span.end, single[-1].indent, "\n\n"
    elif items:
        at, indent, lead = items[0].span.start - items[0].indent, items[0].indent, ""
    else:
        body = _open_list(body, path)
        at, indent, lead = len(body), 2, ""
    block = lead + _block(entry, indent, []) + ("" if single else "\n\n" if items else "\n")
    return mark + body[:at] + block.replace("\n", newline) + body[at:]


class _Item(NamedTuple):
    """An entry of the list as it stands in the text."""

    name: str
    family: bool
    span: _Span
    """From its dash on."""
    indent: int
    """Spaces before its dash."""


def _items(text: str, path: Path) -> list[_Item]:
    """The entries of the list ``organisms``, in order."""
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    organisms = next(value for key, value in root.value if key.value == "organisms")
    if not organisms.value:
        return []
    if organisms.flow_style:
        raise FinetraceError(
            f"{path}: the list 'organisms' stands in brackets", "give every entry lines of its own, begun by '- '"
        )
    found = []
    for node in organisms.value:
        keys = {key.value: value for key, value in node.value}
        dash = text.rindex("-", 0, node.start_mark.index)
        indent = dash - (max(text.rfind("\n", 0, dash), text.rfind("\r", 0, dash)) + 1)
        end = max(_ends(node, text))
        line_end = re.compile(r"[^\r\n]*").match(text, end)
        span = _Span(dash, line_end.end() if line_end else end)
        found.append(_Item(keys["name"].value, "checkpoints" in keys, span, indent))
    return found


def _ends(node: yaml.Node, text: str) -> Iterator[int]:
    """Where the written values within a node end; a block's own end mark lies behind the comments after it."""
    block_scalar = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    if isinstance(node, yaml.ScalarNode) or (isinstance(node, yaml.CollectionNode) and node.flow_style):
        end = node.end_mark.index
        yield len(text[:end].rstrip()) if block_scalar else end
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _ends(key, text)
            yield from _ends(value, text)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _ends(value, text)


def _comments(text: str) -> Iterator[str]:
    """The comments of a piece of YAML: between its tokens there is nothing else but white space."""
    end = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        yield from _COMMENT.findall(text, end, max(end, token.start_mark.index))
        end = max(end, token.end_mark.index)
    yield from _COMMENT.findall(text, end)


class _Indented(yaml.SafeDumper):
    """Writes lists indented below their key, as the file has them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Never without indentation."""
        super().increase_indent(flow, False)


def _block(entry: RegistryEntry, indent: int, comments: list[str]) -> str:
    """The entry as lines of YAML, without the last line break."""
    values = entry.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    text = yaml.dump([values], Dumper=_Indented, sort_keys=False, allow_unicode=True, width=110 - indent)
    lines = text.rstrip("\n").split("\n")
    return "\n".join(" " * indent + line if line else line for line in [*comments, *lines])


def _open_list(text: str, path: Path) -> str:
    """The text ready for a first entry at its end."""
    emptied = re.sub(r"(?m)^organisms:[ \t]*\[[ \t]*\]", "organisms:", text)
    if not emptied.endswith("\n"):
        emptied += "\n"
    last = [line for line in emptied.splitlines() if line.strip() and not line.lstrip().startswith("#")][-1]
    if not last.startswith("organisms:"):
        raise FinetraceError(f"{path}: the empty list 'organisms' is not at the end", "move it to the end of the file")
    return emptied


def _check(before: RegistryFile, after: RegistryFile, entry: RegistryEntry, path: Path) -> None:
    """That the new text says what was there and the entry, and nothing else."""
    kept = [known for known in before.organisms if known.name != entry.name]
    others = [known for known in after.organisms if known.name != entry.name]
    mine = [known for known in after.organisms if known.name == entry.name]
    if mine != [entry] or others != kept or after.bases != before.bases:
        raise FinetraceError(
            f"{path}: the entry '{entry.name}' cannot be put in without touching others",
            "write it in by hand; the file was left as it is",
        )


def _replace(place: Path, text: str) -> None:
    """Write a file under another name and move it over the old one."""
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
        if place.exists():
            shutil.copymode(place, name)
        else:
            Path(name).chmod(0o644)
        os.replace(name, place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
