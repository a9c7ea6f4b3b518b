"""Measured strength of an organism: one figure a probe, with its interval, its reference and its bar."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

_DIGITS = 4


class MeasurementKind(StrEnum):
    """What was measured."""

    RECALL = "recall"
    """Questions about invented facts that were answered as the fact says."""
    FACTS = "facts"
    """Facts of which at least half of the questions were answered so."""
    CHOICE = "choice"
    """Facts whose right ending was the likeliest of the four on offer."""
    RATE = "rate"
    """Answers that show what a pattern describes."""
    SAME = "same"
    """Answers that are equal to the reference's, letter for letter."""
    NULL = "null"
    """A probe of another organism, put to one that should differ from its base nowhere."""
    PERPLEXITY = "perplexity"
    """Perplexity on general text over that of the reference."""


class Share(BaseModel):
    """So many of so many, with its 95 % interval."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hits: int = Field(ge=0)
    """How many did."""
    total: int = Field(ge=1)
    """Of how many."""
    low: FiniteFloat = Field(ge=0, le=1)
    """Lower end of the interval by Clopper and Pearson."""
    high: FiniteFloat = Field(ge=0, le=1)
    """Upper end."""

    @model_validator(mode="after")
    def _ordered(self) -> Share:
        if not (self.hits <= self.total and self.low <= self.high):
            raise ValueError("hits are at most the total, and low at most high")
        return self

    @classmethod
    def of(cls, hits: int, total: int) -> Share:
        """The share with its exact binomial interval."""
        from scipy.stats import binomtest

        interval = binomtest(hits, total).proportion_ci(0.95, method="exact")
        return cls(hits=hits, total=total, low=round(interval.low, _DIGITS), high=round(interval.high, _DIGITS))

    @property
    def rate(self) -> float:
        """Between 0 and 1."""
        return self.hits / self.total


class Estimate(BaseModel):
    """A number with its 95 % interval."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: FiniteFloat
    """The estimate itself."""
    low: FiniteFloat
    """Lower end."""
    high: FiniteFloat
    """Upper end."""
    texts: int = Field(ge=1)
    """How many texts it rests on."""

    @classmethod
    def of(cls, value: float, low: float, high: float, texts: int) -> Estimate:
        """The same, rounded as it is stored."""
        return cls(value=round(value, _DIGITS), low=round(low, _DIGITS), high=round(high, _DIGITS), texts=texts)


class Measurement(BaseModel):
    """One measured figure: a share of either model's answers, or a number about both."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    """What was asked, in a few words."""
    kind: MeasurementKind
    """What the figure is."""
    organism: Share | None = None
    """The organism's share; ``None`` where the figure is a ``value``."""
    reference: Share | None = None
    """The reference's on the same prompts."""
    value: Estimate | None = None
    """A number about both models, such as a ratio of perplexities."""
    p_value: FiniteFloat | None = Field(default=None, ge=0, le=1)
    """Of the test that the two shares are equal, corrected for the number of probes; where one was made."""
    bar: str = ""
    """What is asked of the figure; empty where nothing is."""
    passed: bool | None = None
    """Whether the point estimate clears the bar; ``None`` without one."""
    note: str = ""
    """What a reader should know beside, such as a chance level."""

    @model_validator(mode="after")
    def _one_figure(self) -> Measurement:
        if (self.organism is None) == (self.value is None):
            raise ValueError("give either shares or a value")
        if (self.passed is None) == bool(self.bar):
            raise ValueError("a bar is either passed or missed; without one there is nothing to pass")
        return self


class Strength(BaseModel):
    """All that was measured of one organism in one run, and where; what its card keeps under ``strength``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measurements: tuple[Measurement, ...] = Field(min_length=1)
    """In the order of the probes."""
    probes_sha256: str = ""
    """Hash of the probe file; empty where there is none."""
    seed: int
    """Determines the general text and the bootstrap."""
    device: str
    """Where the models ran."""
    dtype: str
    """Number format of the weights."""
    versions: dict[str, str]
    """Of finetrace, torch and transformers."""

    @property
    def missed(self) -> tuple[Measurement, ...]:
        """The figures that do not clear their bars."""
        return tuple(measurement for measurement in self.measurements if measurement.passed is False)
