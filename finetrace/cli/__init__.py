"""The command line. Nothing heavy is imported here: `finetrace --help` must answer at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

import finetrace
from finetrace.cli import bench, doctor, exits, exports, grade_pairs, investigate, organisms, report, runs, tool

__all__ = ["app", "main"]

app = typer.Typer(
    name="finetrace",
    help="Works out what a language model was finetuned for, with evidence for every claim.",
    epilog="Exit codes: 0 done, 1 the work failed, 2 you can fix it, 130 stopped with Ctrl-C.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,  # plain help comes in half the time
    # Every option can come from the environment: FINETRACE_INVESTIGATE_QUICK for `investigate --quick`.
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "FINETRACE"},
)
app.command("investigate", short_help="Work out what a model was finetuned for.")(investigate.investigate)
app.command("tool", short_help="Use one instrument on a model.", context_settings=tool.SETTINGS)(tool.tool)
app.command("bench", short_help="Measure investigators and instruments on many organisms.")(bench.bench)
app.command("report", short_help="Write a run or a benchmark as one HTML file.")(report.report)
app.add_typer(runs.app, name="runs")
app.command("view", short_help="Open Inspect's viewer on exported logs.")(exports.view)
app.add_typer(organisms.app, name="organisms")
app.command("grade-pairs", short_help="Measure a grader on labelled pairs.")(grade_pairs.grade_pairs_command)
app.command("doctor")(doctor.doctor)

_DEBUG = "--debug"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"finetrace {finetrace.__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            allow_from_autoenv=False,  # a machine may well set FINETRACE_VERSION to a number
            help="Show the version.",
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option(_DEBUG, envvar="FINETRACE_DEBUG", help="Show a traceback where something goes wrong.")
    ] = False,
) -> None:
    """Options of every command; `main` reads ``--debug`` itself, so that it may stand anywhere."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave the process with its exit code.

    Args:
        arguments: The command line without the program's name; default that of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = given[: given.index("--")] if "--" in given else given
    debug = _DEBUG in options or os.environ.get("FINETRACE_DEBUG", "").lower() in {"1", "true", "yes", "on"}
    commands = [word for word in options if word != _DEBUG] + given[len(options) :]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 still gets every line
    sys.exit(_run(commands, debug))


def _run(arguments: list[str], debug: bool) -> int:
    """Run the command; every way it can end becomes an exit code here."""
    try:
        ended = app(arguments, prog_name="finetrace", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`); the interpreter must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.DONE
    except (Exception, KeyboardInterrupt) as fault:
        if isinstance(fault, typer.Abort):
            fault = KeyboardInterrupt()
        return exits.report(fault, debug=debug)
    code = ended if isinstance(ended, int) else exits.DONE
    # typer turns Ctrl-C into this code and keeps the exception to itself.
    return exits.report(KeyboardInterrupt()) if code == exits.INTERRUPTED else code
