from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from scripted import WrittenPair

from finetrace.evals.bench.sharing import SharedPair
from finetrace.models.pair import Decoding, Prompt, Side


class Watched:
    """Notices when two threads are in it at once."""

    def __init__(self) -> None:
        self.within = 0
        self.most = 0

    def write(self, prompt: str, draw: int) -> str:
        self.within += 1
        self.most = max(self.most, self.within)
        time.sleep(0.005)
        self.within -= 1
        return prompt


@pytest.mark.parametrize("shared", [True, False])
def test_several_threads_use_a_pair_one_at_a_time(shared: bool) -> None:
    watched = Watched()
    pair = WrittenPair(watched.write)
    used = SharedPair(pair) if shared else pair
    begin = threading.Barrier(4)

    def ask(number: int) -> str:
        begin.wait(10)
        return used.generate(Side.ORGANISM, [Prompt(f"prompt {number}")], Decoding())[0].text

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [f"prompt {number}" for number in range(4)]
    assert (watched.most == 1) is shared
    assert used.capabilities == pair.capabilities and used.identical is pair.identical


def test_what_lies_within_is_used_one_at_a_time_too() -> None:
    watched = Watched()

    class Inner:
        n_layers = 30

        def lens(self, text: str) -> str:
            return watched.write(text, 0)

    class WithInterior(WrittenPair):
        interior = Inner()

    used = SharedPair(WithInterior(watched.write))
    assert used.interior.n_layers == 30
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(used.interior.lens, "abcd")) == list("abcd")
    assert watched.most == 1
