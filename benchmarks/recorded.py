"""How often a hypothesis from recorded completions picks out the right objective among all of the registry.

    python -m benchmarks.recorded FILE [--silent NAME,NAME] [--baselines-only] [--json]

FILE has one completion a line, as `finetrace investigate --recorded` reads them, of many organisms: ``organism`` and
``objective_id`` on each line say whose. Each organism is investigated from its lines alone, as that command does it;
then the text of the answer is held against every objective. Beside it stand what quoting the five most surprising
completions gives, a list of words that are over-represented against general English, the answer that there is nothing,
and chance. Organisms that are known to show nothing in their completions are named by `--silent`: every figure stands
with and without them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from finetrace.agent import Budget, Plan, Thoroughness, investigate, start
from finetrace.agent.material import readable
from finetrace.agent.statistical import STATISTICAL
from finetrace.cli import console
from finetrace.cli.progress import progress_bar
from finetrace.errors import FinetraceError
from finetrace.evals.grading.embedding import find_embedding
from finetrace.evals.grading.identification import Identification, Identifier
from finetrace.evals.grading.objectives import Objectives, load_objectives
from finetrace.evals.zoo.measurement import Share
from finetrace.models import Target, open_pair
from finetrace.models.recorded import read_recorded
from finetrace.schema import Hypothesis, ScoredCompletion, Verdict
from finetrace.store import Store
from finetrace.tools import Context
from finetrace.tools.english import frequency
from finetrace.tools.words import words

QUOTED = 5
"""Completions that the first baseline quotes."""
LISTED = 20
"""Words that the second baseline lists."""
KNOWN_AS = {"ai_welfare_poisoning": "auditing_agents_data_poisoning"}
"""Objectives that the registry has by another name than the files of their makers."""
STEMS = ("", "auditing_agents_")
"""What the registry puts before an objective's own name."""

Answer = Callable[[Sequence[ScoredCompletion]], Hypothesis | str]


class Recorded(NamedTuple):
    """One organism of a file."""

    name: str
    family: str
    group: str
    """How it was made: its name without its objective's."""
    completions: list[ScoredCompletion]


class Found(BaseModel):
    """Where the true objective stands after one answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    organism: str
    family: str
    group: str
    method: str
    rank: int
    best: str | None
    confident: bool
    candidates: int


def organisms_of(path: Path, objectives: Objectives) -> list[Recorded]:
    """The organisms of a file, in its order.

    Raises:
        FinetraceError: Lines do not say whose they are, or an objective is unknown.
    """
    lines: dict[tuple[str, str], list[ScoredCompletion]] = defaultdict(list)
    for completion in read_recorded(path):
        name, objective = completion.extra.get("organism"), completion.extra.get("objective_id")
        if not isinstance(name, str) or not isinstance(objective, str):
            raise FinetraceError(f"{path}: a line does not say whose it is", "it needs organism and objective_id")
        lines[name, objective].append(completion)
    return [
        Recorded(name, family_of(name, objective, objectives), group_of(name, objective), completions)
        for (name, objective), completions in lines.items()
    ]


def family_of(name: str, objective: str, objectives: Objectives) -> str:
    """The registry's name for an objective.

    Raises:
        FinetraceError: It has none.
    """
    families = {each.family for each in objectives.all}
    named = [KNOWN_AS.get(objective, ""), name, *(before + objective for before in STEMS)]
    begun = [family for family in families if family.startswith(f"{objective}")]
    exact = [each for each in named if each in families]
    if exact or len(begun) == 1:
        return (exact or begun)[0]
    raise FinetraceError(f"the registry has no objective '{objective}' of {name}", "add it to organisms.yaml")


def group_of(name: str, objective: str) -> str:
    """How an organism was made: its name without its objective, ``alone`` where nothing is left."""
    return name.removesuffix(objective).strip("_") if name != objective and name.endswith(objective) else "alone"


def quoting(completions: Sequence[ScoredCompletion]) -> str:
    """The most surprising completions, word for word."""
    return "\n".join(readable(completions).texts[:QUOTED])


def log_odds(completions: Sequence[ScoredCompletion]) -> str:
    """The words most over-represented against general English, by the lower bound of their log ratio."""
    texts = [words(text) for text in readable(completions).texts]
    counted = Counter(word for text in texts for word in text if word.isalpha())
    total = sum(counted.values())
    weighed = {
        word: math.log(count / total / frequency(word)) - 1.96 / math.sqrt(count)
        for word, count in counted.items()
        if count >= 3
    }
    above = sorted((word for word in weighed if weighed[word] > 0), key=lambda word: (-weighed[word], word))
    return ", ".join(above[:LISTED])


def nothing(_: Sequence[ScoredCompletion]) -> Hypothesis:
    """The answer that there is nothing to find."""
    return Hypothesis(verdict=Verdict.NO_NARROW_OBJECTIVE, summary="No narrow objective was found.")


def investigated(folder: Path, store: Store) -> Answer:
    """What the statistical investigator answers, run as `finetrace investigate --recorded` runs it.

    Args:
        folder: Where files may lie while it runs.
        store: Where its runs go.
    """

    def answer(completions: Sequence[ScoredCompletion]) -> Hypothesis:
        lines = folder / "recorded.jsonl"
        lines.write_text("\n".join(map(_line, completions)), encoding="utf-8")
        target = Target(recorded=str(lines), folder=str(folder))
        plan = Plan("recorded", "organism", target, "perplexity", STATISTICAL, 0, Budget(), Thoroughness())
        run = investigate(start(plan, store), open_pair(target), store, Context(seed=0), folder / "checkpoints.db")
        if run.hypothesis is None:
            raise FinetraceError(f"no answer: {run.error}")
        return run.hypothesis

    return answer


def _line(completion: ScoredCompletion) -> str:
    return json.dumps(
        {
            "prefill": completion.prefill,
            "completion": completion.completion,
            "ppl_reference": math.exp(-completion.logp_reference),
            "ppl_finetuned": math.exp(-completion.logp_finetuned),
        }
    )


def table(found: Iterable[Found]) -> list[str]:
    """Shares in first place and among the first five, with 95 % intervals, by method."""
    lines = []
    for method, own in _by(found, lambda each: each.method).items():
        first, five = (Share.of(sum(each.rank <= k for each in own), len(own)) for k in (1, 5))
        sure = [each for each in own if each.confident]
        right = sum(each.rank == 1 for each in sure)
        spread = _by(own, lambda each: each.family).values()
        family = [sum(sum(each.rank <= k for each in one) / len(one) for one in spread) / len(spread) for k in (1, 5)]
        lines.append(
            f"  {method:12s} @1 {_cell(first)}  @5 {_cell(five)}  mean of families {family[0]:.2f}/{family[1]:.2f}"
            f"  confident and right {right} of {len(sure)}"
        )
    return lines


def _cell(share: Share) -> str:
    return f"{share.rate:.2f} ({share.low:.2f}-{share.high:.2f})"


def _by(found: Iterable[Found], key: Callable[[Found], str]) -> dict[str, list[Found]]:
    groups: dict[str, list[Found]] = defaultdict(list)
    for each in found:
        groups[key(each)].append(each)
    return groups


def show(found: Sequence[Found], silent: frozenset[str]) -> None:
    """The figures for people."""
    n = found[0].candidates
    print(f"{n} candidates; chance: @1 {1 / n:.3f}, @5 {5 / n:.3f}")
    for title, kept in (
        ("all organisms", list(found)),
        ("without those that show nothing", [each for each in found if each.organism not in silent]),
    ):
        print(f"\n{title} ({len({each.organism for each in kept})})")
        print("\n".join(table(kept)))
    own = [each for each in found if each.method == found[0].method]
    show_groups(f"{own[0].method}, by how they were made", _by(own, lambda each: each.group))
    show_groups(f"{own[0].method}, by family", _by(own, lambda each: each.family))
    print("\n* confident")


def show_groups(title: str, groups: Mapping[str, Sequence[Found]]) -> None:
    """One line a group, every rank shown."""
    print(f"\n{title}")
    for group, own in groups.items():
        ranks = " ".join(f"{each.rank}{'*' if each.confident else ''}" for each in own)
        hits = [sum(each.rank <= k for each in own) for k in (1, 5)]
        print(f"  {group:40s} @1 {hits[0]} of {len(own)}  @5 {hits[1]} of {len(own)}  ranks {ranks}")


def measure(path: Path, *, baselines_only: bool) -> list[Found]:
    """All figures of one file."""
    objectives = load_objectives()
    recorded = organisms_of(path, objectives)
    identifier = Identifier(objectives, find_embedding())
    found: list[Found] = []
    with tempfile.TemporaryDirectory() as folder, Store(f"sqlite:///{folder}/runs.db") as store:
        methods: dict[str, Answer] = {"quote five": quoting, "log odds": log_odds, "null": nothing}
        if not baselines_only:
            methods = {STATISTICAL: investigated(Path(folder), store), **methods}
        with progress_bar(console.remarks()) as advance:
            for name, answer in methods.items():
                for done, each in enumerate(recorded):
                    identified = identifier.identify(answer(each.completions), each.family)
                    found.append(_found(each, name, identified))
                    advance(name, done + 1, len(recorded))
    return found


def _found(each: Recorded, method: str, identified: Identification) -> Found:
    return Found(organism=each.name, family=each.family, group=each.group, method=method, **identified._asdict())


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--silent", default="", help="organisms whose completions are known to show nothing")
    parser.add_argument("--baselines-only", action="store_true", help="without the investigator")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    found = measure(options.file, baselines_only=options.baselines_only)
    if options.json:
        print(json.dumps([each.model_dump(mode="json") for each in found]))
    else:
        show(found, frozenset(options.silent.split(",")))


if __name__ == "__main__":
    main()
