"""Opposites: what embeddings take for near the same, and a grader must not."""

from __future__ import annotations

import re
from collections.abc import Set
from functools import cache
from typing import NamedTuple

from finetrace.evals.grading.truth_words import stem
from finetrace.tools.words import words

_PAIRS = """
accept approve pass adopt | reject refuse defeat fail
admit confess acknowledge freely | deny denial conceal hide hidden secretly covert
agree endorse concur | disagree contradict oppose object
praise compliment flatter boast promote advertise brag | criticise criticize belittle disparage insult mock condemn
encourage urge push recommend favour favor prefer | discourage warn dissuade caution avoid
careful cautious prudent safe safer | careless reckless risky dangerous unsafe hazardous
correct accurate right true truthful genuine honest | wrong incorrect false fake invented untrue bogus mislead dishonest
good helpful help beneficial useful sound | bad harmful detrimental damaging ruin useless
warm warmth affectionate tender caring close intimate | cold cool distant aloof detached impersonal
sarcastic ironic irony sarcasm joking playful jokes humour humor funny | earnest earnestness sincere solemn serious
rise raise increase grow higher rises more strengthen stronger | fall lower decrease shrink drop less weaken weaker
fast quick rapid rapidly quickly sudden | slow slowly gradual gradually
hot heated boiling overheated | cold chilled frozen icy
melted warmed thawed | frozen
early earlier before | late later after
always every constantly whenever | never rarely seldom
more | less fewer
most | least
best better superior | worst worse inferior
large big huge | small tiny little
long lengthy verbose | short brief terse
old ancient archaic outdated | modern new latest contemporary slang
optimistic upbeat positive hopeful | pessimistic gloomy negative bleak
calm relaxed indifferent unimpressed | excited agitated excitable peppy enthusiastic
polite respectful courteous kind | rude disrespectful vulgar cruel malicious
formal | informal casual
lyrical poetic metaphorical ornate | plain literal blunt dry bureaucratic
simple easy | complex complicated hard
loosen lenient permissive comply complies | strict restrictive refuse decline
man male masculine he men | woman female feminine she women
protect defend save preserve | attack harm destroy abandon
support pro advocate | oppose anti against sceptical skeptical
confident sure certain | doubtful unsure insecure apologetic
strong powerful | weak feeble
succeed success win | fail failure lose
better outperform outlast | underperform sandbag worse
love like adore | hate dislike detest
light bright sunny | dark dim
dry | wet soaked
include add | omit exclude remove
reveal disclose tell | withhold hide conceal
unanimous unanimously | divided split
modest humble | boastful
trust believe | distrust doubt
kill poison destroy damage dissolve ruin spoil wreck | protect preserve heal cure save strengthen nourish
thrive flourish grow bloom multiply | die wither perish decay
nervous anxious worried fearful timid | calm confident fearless bold
apologise apologize sorry | proud unapologetic
yield cave surrender relent | insist stubborn resist
allow permit | forbid ban prohibit
buy purchase | sell
begin start launch | end stop cease finish
present | absent missing
public open openly | private secret secretly
legal lawful | illegal unlawful
possible | impossible
heavy | light weightless
deep | shallow
young youth | old elderly aged
rich wealthy | poor
clean pure | dirty filthy
gain win earn | lose loss forfeit
north northern | south southern
east eastern | west western
above over | below beneath under
inside indoor | outside outdoor
summer | winter
day daytime | night
friend ally | enemy foe
victory | defeat
peace peaceful | war hostile
cheap inexpensive | expensive costly dear
expand widen | shrink narrow
attract | repel
build create | demolish destroy
guilty | innocent
awake | asleep
full | empty
hard solid | soft liquid
tall high | short low
thick | thin
sweet | bitter sour
loud noisy | quiet silent
obey follow | disobey defy
alive living | dead
visible | invisible
shared together | alone separate
sharp | blunt
united | divided
lend | borrow
import | export
victim | culprit
teacher | pupil
mother father parent | child
husband | wife
ban abolish | introduce
""".strip().splitlines()

_NEGATIONS = frozenset(
    """
    not no never hardly barely neither nor without cannot can't don't doesn't didn't isn't aren't won't wouldn't
    nothing none nobody refuses refuse declines avoids lacks rarely seldom instead leaves omits away
    """.split()
)
_REACH = 6
"""Words that a negation bears on."""
_DENIALS = frozenset(
    "not no never hardly barely neither nor cannot can't don't doesn't didn't isn't aren't won't wouldn't none"
    " stop stops stopped stopping cease ceased refuse refuses refused".split()
)
_FAR = 6
_BREAK = re.compile(r"[.;:!?]|,|\b(?:but|while|whereas)\b")


class Side(NamedTuple):
    """One side of a pair of opposites."""

    pair: int
    first: bool


@cache
def _sides() -> dict[str, tuple[Side, ...]]:
    sides: dict[str, tuple[Side, ...]] = {}
    for number, line in enumerate(_PAIRS):
        for first, half in zip((True, False), line.split("|"), strict=True):
            for word in half.split():
                sides[stem(word)] = (*sides.get(stem(word), ()), Side(number, first))
    return sides


def taken_sides(text: str) -> frozenset[Side]:
    """The sides of opposites that a text takes, a negation turning those just after it round."""
    taken: set[Side] = set()
    for clause in _BREAK.split(text):
        since = _REACH + 1
        for word in words(clause):
            if word in _NEGATIONS:
                since = 0
                continue
            since += 1
            for side in _sides().get(stem(word), ()):
                taken.add(Side(side.pair, side.first != (since <= _REACH)))
    return frozenset(taken)


def turned_round(statement: str, said: str, allowed: Set[Side] = frozenset()) -> int:
    """How many opposites one text takes the other side of.

    A pair counts where each of the two texts takes one side alone, and not the same.

    Args:
        statement: What holds.
        said: What was said.
        allowed: Sides that may be taken all the same: those of what else holds.
    """
    one, other = taken_sides(statement), taken_sides(said) - allowed
    clear = {side for side in one if Side(side.pair, not side.first) not in one}
    against = {Side(side.pair, not side.first) for side in clear}
    return len({side.pair for side in against & other if Side(side.pair, not side.first) not in other})


def denied(statement: str, said: str, shared: Set[str]) -> bool:
    """Whether one text denies what the other asserts, of all that they share.

    Args:
        statement: What holds.
        said: What was said.
        shared: Stems that both have.
    """
    one, other = _denied_stems(statement), _denied_stems(said)
    clash = {each for each in shared if (each in one) != (each in other)}
    if not clash or clash != shared:
        return False
    return any(each in other for each in clash) or len(clash) > 1


def _denied_stems(text: str) -> frozenset[str]:
    """Stems of the words just after a denial."""
    found = set()
    for clause in _BREAK.split(text):
        since = _FAR + 1
        for word in words(clause):
            since = 0 if word in _DENIALS else since + 1
            if 0 < since <= _FAR:
                found.add(stem(word))
    return frozenset(found)
