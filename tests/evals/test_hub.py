from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_hub import Repository, SmallHub, running_hub

from finetrace.errors import FinetraceError
from finetrace.evals.zoo.hub import HubState, check_hub
from finetrace.registry import load_registry

FILE = """\
version: 1
bases:
  big: owner/big
  gone: owner/gone-base
organisms:
  - name: bundled
    model: organisms/bundled
    reference: smollm2-135m
  - name: zoo
    truth: {type: persona, objective: sings}
    checkpoints:
      big:
        right: zoo/right
        mirror: zoo/mirror
        other: zoo/other
        full: zoo/full
        pickled: zoo/pickled
        gated: zoo/gated
        missing: zoo/missing
        happy: {model: zoo/moods, subfolder: moods/happy}
        sad: {model: zoo/moods, subfolder: moods/sad}
        odd: {model: zoo/moods}
      gone:
        lost: zoo/lost
"""


def _adapter(base: str | None) -> dict[str, bytes]:
    config = json.dumps({"peft_type": "LORA", "base_model_name_or_path": base}).encode()
    return {"adapter_config.json": config, "adapter_model.safetensors": b"x"}


REPOSITORIES = {
    "owner/big": Repository({"config.json": b"{}", "model.safetensors": b"x"}, gated=True),
    "zoo/right": Repository(_adapter("Owner/Big")),
    "zoo/mirror": Repository(_adapter("mirror/big")),
    "zoo/other": Repository(_adapter("owner/small")),
    "zoo/full": Repository({"config.json": b"{}", "model-00001-of-00002.safetensors": b"x"}),
    "zoo/pickled": Repository({"adapter_config.json": b"{}", "adapter_model.bin": b"x"}),
    "zoo/gated": Repository(_adapter("owner/big"), gated=True),
    "zoo/moods": Repository({f"moods/happy/{name}": content for name, content in _adapter("owner/big").items()}),
    "zoo/lost": Repository(_adapter(None)),
}


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / "organisms.yaml"
    path.write_text(FILE)
    (tmp_path / "organisms").mkdir()
    return path


@pytest.fixture
def hub() -> Iterator[SmallHub]:
    with running_hub(REPOSITORIES) as running:
        yield running


def test_every_model_is_judged_by_what_the_hub_says(registry: Path, hub: SmallHub) -> None:
    loaded = load_registry(registry)
    steps: list[tuple[int, int]] = []
    found = check_hub(
        loaded.organisms, lambda done, total: steps.append((done, total)), registry.parent, address=hub.address
    )
    assert {each.name.removeprefix("zoo/big/"): each.state for each in found} == {
        "right": HubState.FOUND,
        "mirror": HubState.FOUND,
        "other": HubState.OTHER_BASE,
        "full": HubState.FOUND,
        "pickled": HubState.INCOMPLETE,
        "gated": HubState.GATED,
        "missing": HubState.MISSING,
        "happy": HubState.FOUND,
        "sad": HubState.INCOMPLETE,
        "odd": HubState.INCOMPLETE,
        "zoo/gone/lost": HubState.FOUND,
        "owner/big": HubState.GATED,
        "owner/gone-base": HubState.MISSING,
    }
    remarks = {each.name: each.remark for each in found}
    assert "owner/small" in remarks["zoo/big/other"] and "mirror/big" in remarks["zoo/big/mirror"]
    assert "moods/sad" in remarks["zoo/big/sad"]
    assert steps[-1] == (len(found), len(found))
    assert not any("bundled" in path or path.endswith(".safetensors") for path in hub.asked)


def test_without_a_hub_one_error_says_so(registry: Path) -> None:
    with pytest.raises(FinetraceError, match="the hub cannot be asked"):
        check_hub(load_registry(registry).organisms, folder=registry.parent, address="http://127.0.0.1:9")


def test_the_command_asks_the_hub_that_the_environment_names(registry: Path, hub: SmallHub) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom finetrace.cli.hub import show_hub\n"
        "from finetrace.errors import WorkError\n"
        "try:\n    show_hub(['zoo/right', 'zoo/*/o*'], Path(sys.argv[1]), True)\n"
        "except WorkError as failed:\n    sys.exit(str(failed))\n"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(registry)], capture_output=True, text=True, env=environment, check=False
    )
    said = {each["name"]: each["state"] for each in json.loads(done.stdout)}
    assert said == {
        "zoo/big/right": "found",
        "zoo/big/other": "other_base",
        "zoo/big/odd": "incomplete",
        "owner/big": "gated",
    }
    assert "2 of 4 models are not on the hub" in done.stderr and "asking the hub" in done.stderr
