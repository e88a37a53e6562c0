"""The command line: what can be asked for, and how a mistake is answered.

    overbar demo                                  a network learns digits and explains a gradient
    overbar explain script.py:function            what a function computed, and its gradient
    overbar train data.csv --target COLUMN        a network for a table
    overbar train digits --model lenet            a model of `ob.models` for what it is for
    overbar predict model.safetensors data.csv    what it says of other rows

A mistake in what was asked or in a file is answered in words on standard error, with exit status 2;
nothing is written then. The commands themselves are in `demo`, `asking`, `tabular` and `lessons`.
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
  overbar train digits --model lenet --epochs 5
  overbar train letters.txt --model gpt --set layers=2 --steps 2000 --log run.csv
  overbar train --resume letters-gpt.safetensors --steps 4000
  overbar predict letters-gpt.safetensors "Dear " --length 200 --temperature 0.7

Tables are CSV files with a header (comma, semicolon or tab), or .npz files of arrays."""

_TRAIN = """\
what there is to train:
  a table (CSV or .npz), with --target COLUMN
  mlp, lenet, alexnet   on digits (they come with overbar), or on a folder of pictures that has
                        a folder for each class
  charlstm, gpt         on a text file, or on sonnets (they come with overbar)
  ntm                   on copy: sequences of random bits to be said again

Epochs and steps count from the very beginning, also when a training is gone on with."""

_PREDICT = """\
what a model is asked:
  a table's model       a table with its columns
  mlp, lenet, alexnet   a picture, a folder of folders of them, or digits
  charlstm, gpt         the beginning of a text, which it goes on with
  ntm                   the length of a sequence"""


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

    def command(name: str, text: str, more: str | None = None) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", epilog=more,
            formatter_class=shape,
        )  # fmt: skip
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

    train = command("train", "train a network on a table, on pictures, on a text", _TRAIN)
    train.add_argument(
        "data", nargs="?", help="a table, a folder of pictures, a text; digits, sonnets or copy"
    )
    train.add_argument(
        "--model", metavar="NAME", help="mlp, lenet, alexnet, charlstm, gpt or ntm; none: a table"
    )
    train.add_argument(
        "--resume", metavar="FILE", help="go on with the training in a file, exactly"
    )
    train.add_argument(
        "--epochs", type=_whole, metavar="N", help="so many passes through the data (table: 200)"
    )
    train.add_argument("--steps", type=_whole, metavar="N", help="so many steps, with --model")
    train.add_argument(
        "--batch", "--batch-size", dest="batch_size", type=_whole, metavar="N",
        help="rows per step (table: 32)",
    )  # fmt: skip
    train.add_argument(
        "--lr", type=_rate, metavar="X", help="learning rate (depends on model and optimizer)"
    )
    train.add_argument(
        "--seed", type=_seed, metavar="N", help="what the random numbers start from (0)"
    )
    train.add_argument("--set", action="append", metavar="NAME=VALUE", help="a size of the model")
    train.add_argument(
        "--out", metavar="FILE", help="where the model goes (DATA-MODEL.safetensors)"
    )
    train.add_argument("--log", metavar="FILE", help="a CSV file with a row for each epoch")
    table = train.add_argument_group("of tables")
    table.add_argument("--target", metavar="COLUMN", help="the column to predict")
    table.add_argument(
        "--task",
        choices=("classification", "regression"),
        help="what to predict: classes or quantities (guessed)",
    )
    table.add_argument(
        "--hidden",
        type=_sizes,
        metavar="N,N,...",
        help="sizes of the hidden layers (64,64; mlp: 100); 0 for none",
    )
    table.add_argument(
        "--activation",
        metavar="NAME",
        help="relu, tanh, sigmoid, gelu, silu, elu or softplus (relu)",
    )
    table.add_argument(
        "--patience",
        type=_whole,
        metavar="N",
        help="stop after so many epochs without progress (20)",
    )
    table.add_argument(
        "--optimizer", metavar="NAME", help="adam, adamw, sgd, rmsprop or adagrad (adam)"
    )

    predict = command("predict", "ask a trained model", _PREDICT)
    predict.add_argument("model", help="a file that `overbar train` wrote")
    predict.add_argument("data", nargs="?", help="what it is asked, see below")
    predict.add_argument(
        "--out", metavar="FILE", help="write the answer there (otherwise it is shown)"
    )
    text = predict.add_argument_group("of texts")
    text.add_argument(
        "--length", type=_whole, default=200, metavar="N", help="so many characters more (200)"
    )
    text.add_argument(
        "--temperature", type=_temperature, default=0.8, metavar="X",
        help="0 takes the likeliest, 1 draws as it was learnt (0.8)",
    )  # fmt: skip
    text.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="what the random numbers start from (0)"
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
    return _trained(chosen) if chosen.command == "train" else _predicted(chosen)


_OF_TABLES = ("target", "task", "hidden", "activation", "patience", "optimizer")


def _trained(chosen: argparse.Namespace) -> None:
    """`overbar train`: a table, or a model of `ob.models`."""
    from overbar import lessons, tabular

    given = {name: x for name, x in vars(chosen).items() if x is not None}
    run = {name: given.get(name) for name in ("epochs", "steps", "out", "log")}
    if chosen.resume is not None:
        kept = {"command", "version", "resume", *run}
        _none_of(given.keys() - kept, "--resume goes on with the plan that is in the file")
        return lessons.resume(chosen.resume, **run)
    if chosen.model is not None:
        _one_of("--model", chosen.model, lessons.HABITS)
        sizes = _set(given.get("set", []))
        for name in ("hidden", "activation") if chosen.model == "mlp" else ():
            sizes |= {name: given.pop(name)} if name in given else {}
        _none_of(given.keys() & set(_OF_TABLES), f"--model {chosen.model} does not take it")
        return lessons.train(lessons.Plan.made(chosen.model, chosen.data, given, sizes), **run)
    if chosen.data is None or chosen.target is None:
        parser().error(
            "the following is required: the data, and --target COLUMN of a table or --model NAME"
        )
    _none_of(given.keys() & {"steps", "set"}, "a table is trained for epochs, with --hidden")
    _one_of("--activation", given.get("activation", "relu"), tabular.ACTIVATIONS)
    _one_of("--optimizer", given.get("optimizer", "adam"), tabular.OPTIMIZERS)
    names = {field.name for field in dataclasses.fields(tabular.Plan)}
    plan = tabular.Plan(**{name: x for name, x in given.items() if name in names})
    return tabular.train(chosen.data, chosen.target, chosen.out, plan)


def _predicted(chosen: argparse.Namespace) -> None:
    """`overbar predict`."""
    import overbar as ob
    from overbar import lessons, tabular

    saved = ob.load(chosen.model)
    if lessons.is_lesson(saved):
        return lessons.predicted(saved, chosen.model, chosen.data, chosen)
    if chosen.data is None:
        parser().error("the following is required: a table to predict from")
    return tabular.predicted(saved, chosen.model, chosen.data, chosen.out)


def _none_of(names: Any, why: str) -> None:
    if names:
        parser().error(f"--{min(names).replace('_', '-')} has no place here: {why}")


def _set(pairs: list[str]) -> dict[str, Any]:
    """`NAME=VALUE` with whole numbers, other numbers, sizes as 64,32, and words."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equal, text = pair.partition("=")
        if not equal:
            parser().error(f"--set {pair}: wanted NAME=VALUE")
        found[name] = text
        for kind in (int, float, _sizes):
            with contextlib.suppress(ValueError, argparse.ArgumentTypeError):
                found[name] = kind(text)
                break
    return found


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


def _seed(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _temperature(text: str) -> float:
    return 0.0 if text in ("0", "0.0") else _rate(text)


def _sizes(text: str) -> tuple[int, ...]:
    """`64,32` as (64, 32); `0` as no layer."""
    if text.strip() in ("0", ""):
        return ()
    return tuple(_whole(size.strip()) for size in text.split(","))
