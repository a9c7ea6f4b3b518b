"""The page of a report: templates that escape everything, one style and one script inside, nothing from outside."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from finetrace.escaping import shown, visible

_FOLDER = Path(__file__).parent / "templates"
_LONGEST_ARGUMENT = 2000


def render(template: str, **values: Any) -> str:
    """A whole page.

    Args:
        template: Its file in the folder of templates.
        values: What it shows. Strings are made inert as they come in; only `Markup` is taken as it is.
    """
    style, script = _asset("report.css"), _asset("report.js")
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; " + (
        "base-uri 'none'; form-action 'none'"
    )
    return _environment().get_template(template).render(style=style, script=script, policy=policy, **values)


def model_text(text: str) -> Markup:
    """Text of a model for the body of a page: inert, with what stands for an unseen character marked as ours."""
    stretches = list(shown(text))
    if len(stretches) == 1 and not stretches[0].replaced:
        return escape(text)
    esc = Markup('<span class="esc">{}</span>')
    return Markup("").join(esc.format(each.text) if each.replaced else escape(each.text) for each in stretches)


def clock(moment: datetime) -> str:
    """``2026-11-21 14:23:05``."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def duration(seconds: float) -> str:
    """``8.1 s``, ``3 min 20 s``, ``2 h 5 min``, ``10 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def dollars(cost: float | None) -> str:
    """``$0.0123``; an unknown price is not nothing."""
    if cost is None:
        return "unknown"
    digits = 4 if 0 < cost < 0.01 else 3 if 0 < cost < 1 else 2
    return f"${cost:,.{digits}f}"


def count(number: float | None) -> str:
    """``4,210``."""
    return "–" if number is None else f"{number:,.0f}"


def signed(number: float | None, digits: int = 2) -> str:
    """``+0.31`` or ``−0.31``, with a real minus sign."""
    return "–" if number is None else f"{number:+.{digits}f}".replace("-", "−")


def percent(share: float | None) -> str:
    """``67 %``."""
    return "–" if share is None else f"{100 * share:.0f} %"


def _argument(value: Any) -> str:
    """An argument of a call, as it was given."""
    import json

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_ARGUMENT else f"{text[:_LONGEST_ARGUMENT]}… (+{len(text) - _LONGEST_ARGUMENT})"


def _finalize(value: Any) -> Any:
    """What every expression of a template passes through: the last gate, which no template can forget."""
    if type(value) is Markup or not isinstance(value, str):
        return "–" if value is None else value
    return escape(visible(value))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "argument": _argument,
        "clock": clock,
        "count": count,
        "dollars": dollars,
        "duration": duration,
        "model_text": model_text,
        "percent": percent,
        "signed": signed,
    }
    return environment


@cache
def _asset(name: str) -> Markup:
    """A file of ours that goes into the page as it is."""
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))


def _digest(content: str) -> str:
    """How a content security policy names the one style or script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")
