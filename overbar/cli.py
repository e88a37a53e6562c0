"""The command line: what can be asked for, and how a mistake is answered.

    overbar demo                                  a network learns digits and explains a gradient
    overbar explain script.py:function            what a function computed, and its gradient
    overbar train data.csv --target COLUMN        a network for a table
    overbar predict model.safetensors data.csv    what it says of other rows

A mistake in what was asked or in a file is answered in words on standard error, with exit status 2;
nothing is written then. The commands themselves are in `demo`, `asking` and `tabular`.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from overbar.errors import NonFiniteError, OverbarError

_EPILOG = """\
examples:
  overbar demo
  overbar explain lesson.py:loss --view table
  overbar train houses.csv --target price
  overbar train plants.npz --target species --hidden 32 --activation tanh
  overbar predict houses-model.safetensors new.csv --out prices.csv

Tables are CSV files with a header (comma, semicolon or tab), or .npz files of arrays."""


class _Parser(argparse.ArgumentParser):
    """argparse, with titles and options in colour on a terminal."""

    def format_help(self) -> str:
        return (
            super().format_help().replace("\n  COMMAND\n", "\n")
        )  # a line of its own, and nothing in it

    def print_help(self, file: Any = None) -> None:
        file = file or sys.stdout
        if not file.isatty():
            super().print_help(file)
            return
        from overbar.terminal import Screen

        to = Screen(file)
        to.styled(
            self.format_help(), {r"^(\w[\w ]*:)": "bold", r"(?<![\w-])(--?[a-z][a-z-]*)": "cyan"}
        )

    def error(self, message: str) -> Any:
        from overbar.terminal import complain

        complain(f"{message}\nhint: {self.prog} --help says what there is")
        sys.exit(2)


def parser() -> argparse.ArgumentParser:
    """Everything that can be asked for."""
    shape = partial(argparse.RawDescriptionHelpFormatter, max_help_position=30, width=96)
    top = _Parser(
        prog="overbar",
        description="overbar: automatic differentiation and deep learning.",
        epilog=_EPILOG,
        formatter_class=shape,
    )
    top.add_argument("--version", action="store_true", help="the version, and what it runs on")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", formatter_class=shape
        )
        made._positionals.title = "arguments"  # noqa: SLF001  (argparse offers no other way)
        return made

    demo = command(
        "demo", "train a small network on handwritten digits and let one gradient explain itself"
    )
    demo.add_argument(
        "--epochs", type=_whole, default=30, metavar="N", help="passes through the data (30)"
    )
    demo.add_argument(
        "--seed", type=int, default=0, metavar="N", help="what the random numbers start from (0)"
    )
    demo.add_argument(
        "--out",
        default="overbar-demo",
        metavar="FOLDER",
        help="where the files go (./overbar-demo)",
    )

    explain = command("explain", "run a function of a script and show how its gradient comes about")
    explain.add_argument("what", metavar="SCRIPT:NAME", help="a function in it, or a result")
    explain.add_argument(
        "--view",
        default="story",
        metavar="VIEW",
        help="story, table, derive, draw, html, health, memory, cost, nan or compiled (story)",
    )
    explain.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the function, as x=2.5 or W=[[1,2],[3,4]]; otherwise it is the "
        "script's variable of that name, or the default",
    )
    explain.add_argument("--wrt", metavar="NAME", help="the variable to differentiate by (all)")
    explain.add_argument(
        "-o", "--out", metavar="FILE", help="write it there (html: NAME.html); else it is shown"
    )

    train = command("train", "train a network to predict one column of a table from the others")
    train.add_argument("data", help="a CSV file with a header, or an .npz file of arrays")
    train.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict")
    train.add_argument(
        "--task",
        choices=("classification", "regression"),
        help="what to predict: classes or quantities (guessed)",
    )
    train.add_argument(
        "--hidden",
        type=_sizes,
        default=(64, 64),
        metavar="N,N,...",
        help="sizes of the hidden layers (64,64); 0 for none",
    )
    train.add_argument(
        "--activation",
        default="relu",
        metavar="NAME",
        help="relu, tanh, sigmoid, gelu, silu, elu or softplus (relu)",
    )
    train.add_argument(
        "--epochs",
        type=_whole,
        default=200,
        metavar="N",
        help="at most so many passes through the data (200)",
    )
    train.add_argument(
        "--patience",
        type=_whole,
        default=20,
        metavar="N",
        help="stop after so many epochs without progress (20)",
    )
    train.add_argument(
        "--batch-size", type=_whole, default=32, metavar="N", help="rows per step (32)"
    )
    train.add_argument(
        "--optimizer",
        default="adam",
        metavar="NAME",
        help="adam, adamw, sgd, rmsprop or adagrad (adam)",
    )
    train.add_argument(
        "--lr", type=_rate, metavar="X", help="learning rate (depends on the optimizer)"
    )
    train.add_argument(
        "--seed", type=int, default=0, metavar="N", help="what the random numbers start from (0)"
    )
    train.add_argument(
        "--out", metavar="FILE", help="where the model goes (DATA-model.safetensors)"
    )

    predict = command("predict", "apply a trained model to a table")
    predict.add_argument("model", help="a file that `overbar train` wrote")
    predict.add_argument("data", help="a table with the columns it was trained on")
    predict.add_argument(
        "--out",
        metavar="FILE",
        help="write the predictions there, as CSV (otherwise they are shown)",
    )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    from overbar.terminal import complain

    asked = parser()
    chosen = asked.parse_args(arguments)
    if chosen.version:
        print(_version())
        return 0
    if chosen.command is None:
        asked.print_help()
        return 0
    try:
        return _run(chosen) or 0
    except NonFiniteError as error:
        complain(_said(error))
        return 1
    except OverbarError as error:
        complain(_said(error))
        return 2
    except BrokenPipeError:  # the reader of a pipe has seen enough
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        complain(f"{name}{error.strerror or error}")
        return 2
    except KeyboardInterrupt:
        complain("stopped; nothing was written")
        return 130


def _run(chosen: argparse.Namespace) -> int | None:
    if chosen.command == "demo":
        from overbar import demo

        return demo.main(epochs=chosen.epochs, seed=chosen.seed, out=chosen.out)
    if chosen.command == "explain":
        from overbar import asking

        _one_of("--view", chosen.view, asking.VIEWS)
        return asking.main(chosen.what, chosen.view, chosen.set, chosen.wrt, chosen.out)
    from overbar import tabular

    if chosen.command == "predict":
        return tabular.predicted(chosen.model, chosen.data, chosen.out)
    _one_of("--activation", chosen.activation, tabular.ACTIVATIONS)
    _one_of("--optimizer", chosen.optimizer, tabular.OPTIMIZERS)
    names = (field.name for field in dataclasses.fields(tabular.Plan))
    plan = tabular.Plan(**{name: getattr(chosen, name) for name in names})
    return tabular.train(chosen.data, chosen.target, chosen.out, plan)


def _one_of(option: str, name: str, known: Any) -> None:
    if name not in known:
        parser().error(f"{option} {name}: not known; there are {', '.join(known)}")


def _said(error: OverbarError) -> str:
    """The message without the line of Python: who typed a command did not write it."""
    text = str(error)
    return text.removesuffix(f"\n    in {error.where}") if error.where else text


def _version() -> str:
    import platform

    import numpy as np

    import overbar

    runs_on = f"Python {platform.python_version()}, NumPy {np.__version__}"
    return f"overbar {overbar.__version__} ({runs_on})"


# -- kinds of arguments -----------------------------------------------------------------------


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return rate


def _sizes(text: str) -> tuple[int, ...]:
    """`64,32` as (64, 32); `0` as no layer."""
    if text.strip() in ("0", ""):
        return ()
    return tuple(_whole(size.strip()) for size in text.split(","))
