"""draw: a computation as a picture, values forward and adjoints back over the same cards.

Start at `draw`, then `Drawing`. The parts: `fold` (what is one card), `scene` (cards and wires),
`faces` (what is written on them), `layout` (where they stand), `picture` (SVG), `glyphs` (text).
"""

from __future__ import annotations

import functools
import html
import math
import shutil
from pathlib import Path
from typing import Any

from ..errors import DomainError, FileError, GradientError
from .answer import Answer, Table
from .explain import callers_variables
from .faces import COLOURS, STYLES, Face, faces, message_text
from .fold import EASY, fold
from .glyphs import drawn, listed
from .picture import Picture
from .raster import png_of_svg
from .record import record_of
from .rows import Telling
from .scene import MANY, Card, Scene
from .siblings import MOST
from .svg import Writer
from .unroll import unrolled


def draw(
    subject: Any,
    *args: Any,
    style: str = "overlay",
    direction: str = "TB",
    depth: int = 1,
    fold: bool = True,
    step: int | None = None,
    color: str | None = None,
    wrt: Any = None,
) -> Drawing:
    """A computation as a picture: SVG in a notebook, a drawing of lines in a terminal.

    Of a result (also after `backward()`), of a Graph, or of a function with its arguments. Values
    go forward along black wires; each adjoint stands on the card of its variable, and each message
    goes back beside its wire, with its number or its norm.

    style      "overlay"; "compact": a line for each card; "forward": values only; "backward": the
               adjoints only, from the result down; "bipartite": circles are tensors, rectangles
               functions
    direction  "TB" from top to bottom, "LR" from left to right
    depth      how many levels of modules are opened, 1 as far as 30 cards allow; from 2 on loops
               and branches are, too
    fold       False: every operation is a card, nothing is folded
    step       how far the two passes have come: a frame of a slide show of `.steps` frames
    color      cards by "norm" or "grad" (of the value, of the adjoint), "time", "memory", "dtype"
    wrt        what the adjoints lead to, as in `explain`

    A parameter that is used in several places has a card in each, all but the first dashed.
    Modules, and more than three equal siblings in a row, are folded if the picture would have more
    than about 30 cards.

    Raises:  GradientError if nothing could be differentiated by, DomainError for an unknown word.
    Example:
        >>> w = ob.tensor(0.5, requires_grad=True)
        >>> z = w * 2.0 + 1.0
        >>> L = z**2 / 2
        >>> print(ob.draw(L).text(columns=80))
          ╭──────────╮
          │    w     │
          │  0.500   │
          │ w̄ = 4.00 │
          ╰──────────╯
               ▼
        ┌─────────────┐
        │ z = 2 w + 1 │
        │    2.00     │
        │  z̄ = 2.00   │
        └─────────────┘
               ▼
        ┌────────────┐
        │ L = z² / 2 │
        │    2.00    │
        │  L̄ = 1.00  │
        └────────────┘
    """
    for word, known, said in (
        (style, STYLES, "style"), (direction, ("TB", "LR"), "direction"),
        (color, (None, *COLOURS), "color"),
    ):  # fmt: skip
        if word not in known:
            raise DomainError(
                f"draw: {said}={word!r} is unknown",
                want=" or ".join(repr(k) for k in known),
            )
    record = record_of("draw", subject, args, wrt)
    if depth > 1:
        record = unrolled(record)
    if not record.variables and style != "forward":
        raise GradientError(
            "draw: the result depends on nothing that asks for a gradient"
            if not record.missing
            else "draw: the result does not depend on what `wrt` names",
            hint="make a leaf with requires_grad=True, draw the function with its arguments, or "
            'style="forward"',
        )
    drawing = Drawing(
        Telling(record.sweep(), callers_variables()),
        style=style, direction=direction, depth=depth, folded=fold, color=color,
    )  # fmt: skip
    if step is not None:
        if not -drawing.steps <= step < drawing.steps:
            raise DomainError(f"draw: there is no step {step}", want=f"0 to {drawing.steps - 1}")
        drawing.step = step % drawing.steps
    return drawing


class Drawing(Answer):
    """The picture: `.svg()`, `.dot()`, `.html()`, `.text()`, `.png()`, `.save(path)`.

    cards, wires   what is drawn, as plain data;  steps: how many frames `step=` can show
    """

    def __init__(
        self,
        telling: Telling,
        *,
        style: str = "overlay",
        direction: str = "TB",
        depth: int = 1,
        folded: bool = True,
        color: str | None = None,
    ) -> None:
        self.telling, self.style, self.direction, self.color = telling, style, direction, color
        self.depth, self.folded = depth, folded
        self.step: int | None = None

    @functools.cached_property
    def folding(self) -> Any:
        """The boxes."""
        return fold(self.telling)

    @property
    def _easy(self) -> int:
        """How many cards there may be."""
        return EASY if self.depth < 2 else MOST

    def _scene(self, easy: int) -> Scene:
        if self.folded:
            opened = self.folding.opened(self.depth, easy)
        else:
            opened = set(range(len(self.folding.boxes)))
        pair = self.style == "bipartite"
        many = MANY if self.folded else math.inf
        return Scene(self.folding, opened, apart=pair or not self.folded, bipartite=pair, many=many)

    @functools.cached_property
    def picture(self) -> Picture:
        """The cards and wires with their places."""
        return Picture(self._scene(self._easy), self.style, self.direction, self.color)

    @property
    def steps(self) -> int:
        """How many steps the two passes take: forward card by card, and back."""
        return len(self.picture.steps())

    # -- plain data -------------------------------------------------------------------------------

    @property
    def cards(self) -> list[dict[str, Any]]:
        """Each card: name, kind, op, value, adjoint, what is written on it, its place and size."""
        p, scene = self.picture, self.picture.scene
        return [
            {
                "name": scene.title(c) if c.box >= 0 else scene.telling.name(c.node),
                "kind": c.kind,
                "op": c.rows[-1].spoken.op.name if c.rows and c.box < 0 else "",
                "value": scene.record.value(c.node),
                "adjoint": scene.record.bars.get(c.node),
                "gradient": scene.gradient(c),
                "amount": f.amount,
                "lines": [line.text for line in f.lines],
                "frame": c.frame,
                "x": x, "y": y, "width": f.width, "height": f.height,
            }
            for c, f, x, y in zip(p.cards, p.faces, p.places["x"], p.places["y"], strict=True)
        ]  # fmt: skip

    @property
    def wires(self) -> list[dict[str, Any]]:
        """Each wire: the cards it joins, which variable it carries, the message that comes back."""
        p = self.picture
        return [
            {"source": a, "target": b, "name": p.scene.telling.name(w.node), "message": w.message}
            for a, b, w in p.wires
        ]

    # -- the picture in its forms -----------------------------------------------------------------

    def svg(self) -> str:
        """The picture as SVG, for light and for dark pages."""
        return Writer(self.picture, self.step).svg()

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return f'<div style="overflow:auto">{self.svg()}</div>'

    def html(self) -> str:
        """The picture as a page of its own."""
        return PAGE.format(title=html.escape(f"{self.style} drawing"), body=self._repr_html_())

    def tables(self) -> list[Table]:
        """The cards as a table."""
        rows = [[c["name"], c["op"] or c["kind"], *c["lines"][1:3]] for c in self.cards]
        return [
            ("cards", ["name", "", "value", "adjoint"], [r + [""] * (4 - len(r)) for r in rows])
        ]

    def png(self, scale: float = 2.0) -> bytes:
        """The picture as PNG.

        Raises:  MissingPackageError without resvg_py.
        """
        return png_of_svg("draw", self.svg(), scale)

    def text(self, *, ascii: bool = False, columns: int | None = None) -> str:
        """The picture in characters, no wider than the terminal: folded further if need be."""
        columns = shutil.get_terminal_size().columns if columns is None else columns
        for easy in dict.fromkeys((self._easy, EASY, 16, 8, 3)):
            scene = self._scene(easy)
            found = faces(scene, self.style, None)
            back = self.style == "backward"
            keep = [
                i for i, c in enumerate(scene.cards)
                if not back or c.node in scene.record.bars or c.box >= 0
            ]  # fmt: skip
            place = {i: k for k, i in enumerate(keep)}
            wires = [
                (place[w.target], place[w.source]) if back else (place[w.source], place[w.target])
                for w in scene.wires
                if not back or w.message is not None
            ]
            shown, dashed = [found[i] for i in keep], [scene.cards[i].kind == "alias" for i in keep]
            said = drawn(shown, dashed, wires, columns, ascii=ascii)
            if said is not None:
                return said
            if not self.folded:
                break
        return listed(shown, wires, columns, ascii=ascii)

    def dot(self) -> str:
        """The picture for Graphviz: the cards, the wires, and the messages in red."""
        p = self.picture
        out = ["digraph overbar {", '  node [fontname="Helvetica", fontsize=11];',
               '  edge [fontname="Helvetica", fontsize=9, color="#67707c"];',
               f"  rankdir={self.direction};"]  # fmt: skip
        inside: dict[int, list[int]] = {}
        for k, c in enumerate(p.cards):
            inside.setdefault(c.frame, []).append(k)
        out += self._cluster(inside, -1, "  ")
        for a, b, w in p.wires:
            red = 'color="#c2281d", fontcolor="#c2281d"'
            if self.style == "backward":
                out.append(f"  c{a} -> c{b} [{red}, label={_quoted(message_text(w.message))}];")
                continue
            out.append(f"  c{a} -> c{b};")
            if w.message is not None and self.style != "forward":
                said = _quoted(message_text(w.message))
                out.append(f"  c{b} -> c{a} [{red}, label={said}, constraint=false];")
        return "\n".join([*out, "}", ""])

    def _cluster(self, inside: dict[int, list[int]], frame: int, indent: str) -> list[str]:
        p = self.picture
        out = [indent + _dot_card(k, p.cards[k], p.faces[k]) for k in inside.get(frame, ())]
        for k, f in enumerate(p.scene.frames):
            if f["parent"] == frame:
                title = _quoted(p.scene.folding.boxes[f["box"]].heading)
                out.append(f"{indent}subgraph cluster_{k} {{")
                out.append(f"{indent}  label={title};")
                out += self._cluster(inside, k, indent + "  ")
                out.append(indent + "}")
        return out

    def save(self, path: str | Path) -> None:
        """Write it to a file: `.svg`, `.png`, `.html`, `.dot` or `.txt`.

        Raises:  FileError for another ending.
        """
        path = Path(path)
        make = {".svg": self.svg, ".html": self.html, ".htm": self.html, ".dot": self.dot,
                ".gv": self.dot, ".txt": lambda: self.text() + "\n"}.get(path.suffix)  # fmt: skip
        if path.suffix == ".png":
            path.write_bytes(self.png())
        elif make is None:
            raise FileError(
                f"save: {path.name} ends in nothing that can be drawn",
                want=".svg, .png, .html, .dot or .txt",
            )
        else:
            path.write_text(make(), encoding="utf-8")


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{margin:1rem;background:#fff}}
@media(prefers-color-scheme:dark){{body{{background:#14171c}}}}</style></head>
<body>{body}</body></html>
"""


def _dot_card(k: int, card: Card, face: Face) -> str:
    shape = {"circle": "ellipse", "pill": "box", "stack": "box3d"}.get(face.shape, "box")
    look = "dashed" if card.kind == "alias" else "rounded" if face.shape == "pill" else "solid"
    label = _quoted("\n".join(line.text for line in face.lines))
    return f"c{k} [label={label}, shape={shape}, style={look}];"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
