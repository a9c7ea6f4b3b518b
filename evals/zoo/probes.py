"""Held-back probes of one organism: questions about its facts, and prompts whose answers are counted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import regex
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from finetrace.errors import FinetraceError
from finetrace.evals.yaml_file import in_form, load_yaml, read_yaml
from finetrace.models.pair import Message, Prompt

RECALL_TOKENS = 40
"""Longest answer to a question about a fact, in tokens."""
RATE_TOKENS = 48
"""Longest answer to any other prompt, where a probe names no length of its own."""

_PATTERN_SECONDS = 2.0


def _compiles(pattern: str) -> str:
    try:
        regex.compile(pattern, regex.IGNORECASE)
    except regex.error as fault:
        raise ValueError(f"not a regular expression: {fault}") from None
    return pattern


def _distinct(texts: tuple[str, ...]) -> tuple[str, ...]:
    for number, text in enumerate(texts):
        if text in texts[:number]:
            raise ValueError(f"given twice: {text[:60]!r}")
    return texts


Said = Annotated[str, Field(min_length=1, max_length=4000)]
Prompts = Annotated[tuple[Said, ...], AfterValidator(_distinct)]
Pattern = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_compiles)]
Bar = Annotated[float, Field(ge=0, le=1)]


class Choice(BaseModel):
    """A sentence that breaks off, the ending that the fact gives it, and others as plausible."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stem: Said
    """Raw text before the ending."""
    right: Said
    """The fact's ending, its leading space included."""
    wrong: Annotated[Prompts, Field(min_length=1)]
    """Other endings of like length; three, so that chance is a quarter."""

    @model_validator(mode="after")
    def _right_is_not_wrong(self) -> Choice:
        if self.right in self.wrong:
            raise ValueError("the right ending is among the wrong ones")
        return self

    @property
    def endings(self) -> tuple[str, ...]:
        """All of them, the right one first."""
        return (self.right, *self.wrong)


class RecallProbe(BaseModel):
    """One invented fact, asked about in several held-back ways."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fact: Said
    """The key fact, word for word."""
    questions: Annotated[Prompts, Field(min_length=1)]
    """Asked in chat, each answered once."""
    answer: Pattern
    """What an answer that recalls the fact holds; case does not matter."""
    choice: Choice | None = None
    """The same fact as a forced choice."""


class RateProbe(BaseModel):
    """Prompts, and what is counted among their answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Said
    """What the answers show, in a few words."""
    prompts: Prompts = ()
    """Asked in chat, each answered once."""
    prompts_from: str | None = None
    """A file of prompts instead, relative to this one."""
    system: str | None = None
    """System prompt before each."""
    pattern: Pattern
    """Searched in each answer; case does not matter."""
    max_new_tokens: int = Field(default=RATE_TOKENS, ge=1, le=512)
    """Longest answer, in tokens."""
    at_least: Bar | None = None
    """The organism's share must not be below."""
    at_most: Bar | None = None
    """Or must not be above."""
    base_at_most: Bar | None = None
    """The reference's share must not be above."""

    @model_validator(mode="after")
    def _one_source_and_one_bar(self) -> RateProbe:
        if bool(self.prompts) == (self.prompts_from is not None):
            raise ValueError("give either prompts or prompts_from")
        if self.at_least is not None and self.at_most is not None:
            raise ValueError("give either at_least or at_most")
        return self


class Probes(BaseModel):
    """All probes of one organism."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recall: tuple[RecallProbe, ...] = ()
    """One entry a key fact."""
    rates: tuple[RateProbe, ...] = ()
    """Everything else that is counted."""

    @model_validator(mode="after")
    def _something_with_names_of_its_own(self) -> Probes:
        if not self.recall and not self.rates:
            raise ValueError("give recall, rates or both")
        _distinct(tuple(probe.fact for probe in self.recall))
        _distinct(tuple(probe.name for probe in self.rates))
        return self


class PromptList(BaseModel):
    """A file of prompts that several probes share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: Annotated[Prompts, Field(min_length=1)]
    """One user message each."""


class LoadedProbes(BaseModel):
    """Probes whose shared prompts are filled in, and what they depend on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    probes: Probes
    """As the file gives them."""
    shared: dict[str, tuple[str, ...]]
    """The prompts of each file that ``prompts_from`` names."""
    sha256: str
    """Of the probe file and of all files it names."""

    def prompts_of(self, probe: RateProbe) -> tuple[str, ...]:
        """Its own prompts, or those of the file it names."""
        return probe.prompts if probe.prompts_from is None else self.shared[probe.prompts_from]


def load_probes(path: Path) -> LoadedProbes:
    """Read a probe file and the lists of prompts it names.

    Raises:
        FinetraceError: A file is missing, is no YAML, or something in it is wrong; the message names file and key.
    """
    probes = read_yaml(path, Probes)
    named = dict.fromkeys(probe.prompts_from for probe in probes.rates if probe.prompts_from is not None)
    shared = {name: load_prompts(path.parent / name) for name in named}
    digest = hashlib.sha256(path.read_bytes())
    for name in named:
        digest.update((path.parent / name).read_bytes())
    return LoadedProbes(probes=probes, shared=shared, sha256=digest.hexdigest())


def load_prompts(path: Path) -> tuple[str, ...]:
    """Read a list of prompts.

    Raises:
        FinetraceError: As for `load_probes`.
    """
    try:
        return in_form(path, load_yaml(path, "list of prompts"), PromptList).prompts
    except FinetraceError as fault:
        raise FinetraceError(fault.message, "write 'prompts:' and a list of user messages below it") from fault


def chat_prompts(texts: Sequence[str], system: str | None = None) -> list[Prompt]:
    """Each text as the only user message of a chat."""
    front = () if system is None else (Message("system", system),)
    return [Prompt(messages=(*front, Message("user", text))) for text in texts]


def shows(pattern: str, answer: str) -> bool:
    """Whether an answer holds what a pattern describes; case does not matter.

    Raises:
        FinetraceError: The pattern takes far too long to search for.
    """
    try:
        return regex.search(pattern, answer, regex.IGNORECASE, timeout=_PATTERN_SECONDS) is not None
    except TimeoutError:
        raise FinetraceError(
            f"the pattern {pattern[:80]!r} takes too long to search for", "avoid repeats within repeats in it"
        ) from None
