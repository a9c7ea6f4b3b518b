"""`python -m agent` in a checkout is the command `finetrace`."""

from __future__ import annotations

from finetrace.cli import main

main()
