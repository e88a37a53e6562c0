"""A text, character by character, for `charlstm` and `gpt`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

import overbar as ob
from overbar.errors import DataError
from overbar.terminal import Row

from .plan import Lesson, Plan

SONNETS = "sonnets"
"""The name of the text that comes with the package."""

_STEPS = 100  # at most, of an epoch: a long text is not read from every place
_KEPT = 0.1  # of the text is for judging


def lesson(plan: Plan, rng: Any) -> Lesson:
    """Pieces of the text, each to be gone on with by one character at each place."""
    text, characters = _read(plan.data)
    long = plan.sizes["context"]
    learnt = text[: round((1 - _KEPT) * len(text))]
    kept = text[len(learnt) :]
    if len(learnt) <= long:
        raise DataError(
            f"{plan.data}: {len(text):,} characters are too few",
            hint=f"pieces are {long} long; --set context=N makes them shorter",
        )
    places = len(learnt) - long
    every = math.ceil(places / (_STEPS * plan.batch))
    starts = np.arange(0, places, every)

    def pieces(rng: Any, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at = np.minimum(start + rng.integers(0, every, start.shape), places - 1)
        rows = learnt[at[:, None] + np.arange(long + 1)]
        return rows[:, :-1], rows[:, 1:]

    loader = ob.data.DataLoader((starts,), plan.batch, shuffle=True, rng=rng, transform=pieces)
    rows = kept[: (len(kept) - 1) // long * long + 1]
    judged = (rows[:-1].reshape(-1, long), rows[1:].reshape(-1, long))
    enough = len(rows) > long
    return Lesson(
        network(plan, characters, rng),
        loss_of(plan.model),
        loader,
        ob.data.DataLoader(judged, plan.batch) if enough else None,
        {},
        f"{len(text):,} characters, {len(characters)} different ones"
        + (", the last tenth kept for the test" if enough else ""),
        {"characters": characters},
    )


def loss_of(model: str) -> Any:
    """The cross-entropy of every next character; an LSTM gives its state beside its logits."""

    def loss(y: Any, t: Any) -> Any:
        return ob.nn.functional.cross_entropy(y[0] if model == "charlstm" else y, t, axis=-1)

    return loss


def network(plan: Plan, characters: str, rng: Any) -> Any:
    """The model, for so many characters."""
    if plan.model == "gpt":
        return ob.models.GPT(len(characters), **plan.sizes, rng=rng)
    sizes = {name: n for name, n in plan.sizes.items() if name != "context"}
    return ob.models.CharLSTM(len(characters), **sizes, rng=rng)


def _read(data: str) -> tuple[np.ndarray, str]:
    """The text as numbers, and the characters that they stand for."""
    if data == SONNETS:
        return ob.data.sonnets()
    if not Path(data).is_file():
        raise DataError(f"{data}: there is no such text", want="a text file, or sonnets")
    try:
        text = Path(data).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{data} is not text in UTF-8: byte {error.start}") from None
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    known, numbers = np.unique(codes, return_inverse=True)
    return numbers.astype(np.int64), "".join(map(chr, known))


def scores(trainer: Any, found: Mapping[str, float], lesson: Lesson) -> list[Row]:
    """How good it is, for people to read; and what it writes."""
    characters = lesson.facts["characters"]
    guess = math.log2(len(characters))
    return [("bits", f"{found['loss'] / math.log(2):.3f}", f"per character; a guess: {guess:.3f}")]


def predicted(saved: Mapping[str, Any], data: str, out: TextIO, ask: Any) -> None:
    """The text `data`, gone on with."""
    characters, model = saved["facts"]["characters"], saved["model"]
    begin = data or ("\n" if "\n" in characters else characters[0])
    unknown = [c for c in begin if c not in characters]
    if unknown:
        raise DataError(f"the model has never seen {unknown[0]!r}", want="characters of its text")
    rng = ob.random.default_rng(ask.seed)
    text = np.array([[characters.index(c) for c in begin]])
    while text.shape[1] < len(begin) + ask.length:
        rest = len(begin) + ask.length - text.shape[1]
        known = text
        if isinstance(model, ob.models.GPT):  # it sees no further back than its context
            known = text[:, -max(1, model.context // 2) :]
            rest = min(rest, model.context + 1 - known.shape[1])
        more = model.generate(known, rest, temperature=ask.temperature, rng=rng)
        text = np.concatenate([text, more], 1)
    out.write("".join(characters[i] for i in text[0]) + "\n")
