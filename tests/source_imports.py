"""What each module of the package imports and names, read from its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"finetrace": "finetrace", "agent": "finetrace.agent", "tools": "finetrace.tools", "evals": "finetrace.evals"}

_MODULE_NAME = re.compile(r"finetrace(\.\w+)+")


@dataclass(frozen=True)
class Source:
    """One module: its full name and its syntax tree."""

    name: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """``models`` for ``finetrace.models.pair``; ``finetrace`` for the package itself."""
        return room_of(self.name)


def room_of(module: str) -> str:
    """The part of the house a module stands in."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def sources() -> list[Source]:
    """Every module of the package, each once, in a fixed order."""
    found = []
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            linked = folder == "finetrace" and parts[0] in FOLDERS
            if linked or "__pycache__" in parts:
                continue
            name = ".".join([package, *parts]).removesuffix(".__init__")
            found.append(Source(name, ast.parse(path.read_text(encoding="utf-8"))))
    return found


def imported(source: Source) -> Iterator[str]:
    """Full names of the modules it imports, at its top, within functions, for type checking or by name."""
    is_package = any(
        (ROOT / folder).joinpath(*_below(source.name, package), "__init__.py").is_file()
        for folder, package in FOLDERS.items()
        if source.name.startswith(package)
    )
    package_name = source.name if is_package else source.name.rpartition(".")[0]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package_name.split(".")
                base = ".".join([*above[: len(above) - node.level + 1], *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    if _MODULE_NAME.fullmatch(argument.value):
                        yield argument.value


def named(source: Source) -> Iterator[str]:
    """Every identifier it uses, and every string constant that is not a docstring."""
    docstrings = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstrings.add(id(node.value))
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name.rpartition(".")[2]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def _below(name: str, package: str) -> list[str]:
    """The folders of a module below its package."""
    rest = name.removeprefix(package).strip(".")
    return rest.split(".") if rest else []
