"""Reading of the YAML files that organisms are made from, with complaints that name the place."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from finetrace.errors import FinetraceError

Form = TypeVar("Form", bound=BaseModel)


def read_yaml(path: Path, form: type[Form]) -> Form:
    """A file in the form that a class describes.

    Raises:
        FinetraceError: The file is missing, is no YAML, or has missing or unknown keys.
    """
    what = form.__name__.lower()
    try:
        return form.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FinetraceError(
            f"{path}: {where}: {first['msg']}", f"evals/{what}.py gives the form of a {what}"
        ) from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FinetraceError(f"cannot read the {what} {path}: {reason}", "check path and YAML") from error
