"""General text for the prefills, as the pair at hand can give it: what the reference writes serves as a corpus, too."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from finetrace.errors import FinetraceError, ToolError
from finetrace.models.pair import Decoding, ModelPair, Prompt, Side
from finetrace.tools.corpora import Corpus, load_corpus, own_openings
from finetrace.tools.instrument import Context, code_digest
from finetrace.tools.reading import one_line

PASSAGE_TOKENS = 120
"""Length of a passage sampled from the reference, in tokens."""


def corpus_for(pair: ModelPair, spec: str, context: Context) -> Corpus:
    """The corpus that ``spec`` names; ``self`` is sampled from the pair's reference, once for all its organisms.

    Raises:
        ToolError: There is no such corpus, or it cannot be read.
    """
    try:
        return load_corpus(
            spec,
            seed=context.seed,
            sample=lambda n, seed: _passages(pair, n, seed, context),
            cache_dir=Path(context.cache.folder).parent,
        )
    except FinetraceError as error:
        raise ToolError(error.message, error.hint) from error
    except (OSError, RuntimeError) as error:  # a name that is too long for a path, an unknown ~user
        raise ToolError(f"no corpus '{one_line(spec, 100)}'", "give `own`, `self`, `python` or a file") from error


class _Passages(BaseModel):
    """Cached samples of the reference."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    texts: tuple[str, ...]


def _passages(pair: ModelPair, n: int, seed: int, context: Context) -> list[str]:
    """General text as the reference knows it: its own samples, begun by openings of all kinds."""
    parts = {"passages": n, "seed": seed, "reference": pair.reference_fingerprint, "code": code_digest(_Passages)}
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    if (known := context.cache.read(key, _Passages)) is not None:
        return list(known.texts)
    openings = own_openings()
    prompts = [Prompt(" ".join(openings[i % len(openings)].split()[:3])) for i in range(n)]
    decoding = Decoding(PASSAGE_TOKENS, temperature=1.0, seed=seed)
    written = pair.generate(Side.REFERENCE, prompts, decoding, context.watch("reference writes general text (once)"))
    passages = _Passages(texts=tuple(f"{p.text}{c.text}" for p, c in zip(prompts, written, strict=True)))
    context.cache.write(key, passages)
    return list(passages.texts)
