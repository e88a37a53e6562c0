"""The SVG of a picture.

Values run along black wires, the adjoints back beside them in a second colour, each message with
its number or norm. The picture has its own colours for dark pages (`prefers-color-scheme`), and
plain attributes for whatever reads no style sheets.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from .answer import number
from .faces import BEHIND, LEADING, MARGIN, SIZE, WIDEST, Face, Line, message_text
from .formula import written
from .measure import FACES, text_width
from .names import MACRON, bar
from .picture import SMALL, Picture
from .room import Point
from .scene import Card
from .slide import Slide

BORDER = 18
TIPPED, FEW = 80, 12
"""In a drawing of so many cards, those of so few inputs say their messages as formulas."""

LIGHT = {
    "paper": "#ffffff", "ink": "#1d2129", "quiet": "#5b6470", "wire": "#67707c", "back": "#c2281d",
    "frame": "#c3c9d2", "active": "#e8a200",
}  # fmt: skip
DARK = {
    "paper": "#14171c", "ink": "#eceef1", "quiet": "#a9b2be", "wire": "#8f99a7", "back": "#ff8273",
    "frame": "#3e4652", "active": "#ffc233",
}  # fmt: skip
TONES = {
    "op": ("#f1f4f9", "#8d98a8", "#232934", "#6d7889"),
    "box": ("#fbf3df", "#b39754", "#342c19", "#b99c56"),
    "parameter": ("#e2f1df", "#679a60", "#1e3422", "#6aa962"),
    "input": ("#e0ebfb", "#6b8dc3", "#1c2c45", "#7b9fda"),
    "given": ("#f4f4f4", "#a2a2a2", "#262626", "#7d7d7d"),
    "tensor": ("#ffffff", "#67707c", "#14171c", "#8f99a7"),
}
"""Of a card: its fill and its line, on a light page and on a dark one."""
TINTS = {"norm": "#2f6fd0", "grad": "#d0342c", "time": "#d97b00", "memory": "#7a4fc0"}
KINDS = ("#2f6fd0", "#2e9960", "#d97b00", "#7a4fc0", "#c23b78", "#6b7280")
WORDS = {
    "norm": "‖value‖", "grad": "‖adjoint‖", "time": "seconds", "memory": "bytes", "dtype": "dtype",
}  # fmt: skip


class Writer:
    """Writes a picture as it is at a step."""

    def __init__(self, picture: Picture, step: int | None = None) -> None:
        self.picture, self.slide = picture, Slide(picture, step)
        self.scene, self.style, self.colour = picture.scene, picture.style, picture.colour
        self.places, self.turned = picture.places, picture.turned
        self.cards, self.faces, self.wires = picture.cards, picture.faces, picture.wires

    def svg(self) -> str:
        """The picture as an SVG document."""
        places, legend = self.places, self._legend()
        tall = 46 if legend else 0
        width = max(places["width"], 300 if legend else 0) + 2 * BORDER
        height = places["height"] + 2 * BORDER + tall
        title = html.escape(
            f"{self.style} drawing: {len(self.cards)} cards, {len(self.wires)} wires"
        )
        corner, size = f'"{-BORDER}" y="{-BORDER}"', f'width="{_n(width)}" height="{_n(height)}"'
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="ob-draw" role="img" {size}',
            f' aria-label="{title}" viewBox="{-BORDER} {-BORDER} {_n(width)} {_n(height)}"',
            f' font-family="{FACES}" font-size="{SIZE}" text-anchor="middle">',
            f"<title>{title}</title>",
            STYLE,
            f'<rect class="paper" x={corner} {size} fill="{LIGHT["paper"]}"/>',
            *self._frames(),
            *self._wires(),
            *self._cards(),
            *self._labels(),
        ]
        if legend:
            at = f'transform="translate(0 {_n(places["height"] + 18)})"'
            out.append(f'<g class="legend" {at}>{legend}</g>')
        return "\n".join([*out, "</svg>"])

    def _frames(self) -> Iterable[str]:
        yield f'<g class="frames" fill="#8d98a8" fill-opacity="0.08" stroke="{LIGHT["frame"]}">'
        for k, box in enumerate(self.places["boxes"]):
            if box is None:
                continue
            title = html.escape(self.scene.folding.boxes[self.scene.frames[k]["box"]].heading)
            x, y, w, h = box
            yield (
                f'<g class="frame" id="frame-{k}"><rect x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" '
                f'height="{_n(h)}" rx="9"/><text class="quiet" x="{_n(x + 12)}" y="{_n(y + 18)}" '
                f'text-anchor="start" font-size="11" stroke="none" fill-opacity="1" '
                f'fill="{LIGHT["quiet"]}">{title}</text></g>'
            )
        yield "</g>"

    def _wires(self) -> Iterable[str]:
        tips = self._tips() if len(self.cards) <= TIPPED else {}
        back: list[str] = []
        apart = self.style == "backward"
        yield f'<g class="wires" fill="none" stroke="{LIGHT["wire"]}" stroke-width="1.3">'
        for k, (_, _, w) in enumerate(self.wires):
            returns = w.message is not None and self.style != "forward"
            if not apart:
                faint = "" if self.slide.carried(k) else " ghost"
                line = self._drawn(self.picture.route(k, -3.5 if returns else 0.0), ahead=True)
                yield f'<path class="wire{faint}" id="wire-{k}" d="{line[0]}"/>{line[1]}'
            if returns and self.slide.returned(k):
                line = self._drawn(self.picture.route(k, 0.0 if apart else 3.5), ahead=apart)
                tip = f"<title>{html.escape(tips[k])}</title>" if k in tips else ""
                now = " now" if self.slide.now(k) else ""
                back.append(
                    f'<g class="return{now}" id="back-{k}">{tip}<path d="{line[0]}"/>{line[1]}</g>'
                )
        yield "</g>"
        yield f'<g class="backs" fill="none" stroke="{LIGHT["back"]}" stroke-width="1.3">'
        yield from back
        yield "</g>"

    def _drawn(self, points: list[Point], *, ahead: bool) -> tuple[str, str]:
        """The path of a wire, and its arrowhead at the end, or at the start."""
        tip, length = (points[-1] if ahead else points[0]), 7.5
        sign = -1 if ahead else 1
        points = list(points)
        end = -1 if ahead else 0
        x, y = tip
        if self.turned:
            points[end] = (x + sign * length * 0.7, y)
            wings = [(x + sign * length, y - 3.2), (x + sign * length, y + 3.2)]
        else:
            points[end] = (x, y + sign * length * 0.7)
            wings = [(x - 3.2, y + sign * length), (x + 3.2, y + sign * length)]
        head = f"M{_p(tip)}L{_p(wings[0])}L{_p(wings[1])}Z"
        colour = LIGHT["wire" if ahead and self.style != "backward" else "back"]
        return self._path(points), f'<path class="head" d="{head}" fill="{colour}" stroke="none"/>'

    def _path(self, points: Sequence[Point]) -> str:
        d = f"M{_p(points[0])}"
        for k in range(1, len(points)):
            (x, y), (u, v) = points[k - 1], points[k]
            if k % 2 or (x, y) == (u, v):
                d += f"L{_p((u, v))}" if (x, y) != (u, v) else ""
            elif self.turned:
                m = (x + u) / 2
                d += f"C{_p((m, y))} {_p((m, v))} {_p((u, v))}"
            else:
                m = (y + v) / 2
                d += f"C{_p((x, m))} {_p((u, m))} {_p((u, v))}"
        return d

    def _tips(self) -> dict[int, str]:
        """What each message is, as a formula."""
        found, telling = {}, self.scene.telling
        for k, (_, _, w) in enumerate(self.wires):
            card = self.scene.cards[w.target]
            if w.message is None or card.box >= 0 or card.kind == "tensor":
                continue
            row = next(r for r in card.rows if r.node is card.node)
            if len(row.inputs) > FEW:
                continue
            sent = telling.backward(row)
            if w.node in sent:
                name = bar(telling.name(w.node))
                found[k] = f"{name} += {written(sent[w.node])} = {message_text(w.message)}"
        return found

    def _cards(self) -> Iterable[str]:
        for k, (card, face) in enumerate(zip(self.cards, self.faces, strict=True)):
            x, y = self.places["x"][k], self.places["y"][k]
            classes = ["card", card.kind, face.tone, *self.slide.classes(k)]
            if face.shape == "stack":
                x, y = x - BEHIND / 2, y + BEHIND / 2
            yield (
                f'<g class="{" ".join(dict.fromkeys(classes))}" id="card-{k}" '
                f'transform="translate({_n(x)} {_n(y)})"><title>{html.escape(face.tip)}</title>'
            )
            yield from self._body(card, face, active="active" in classes)
            yield from self._text(face, k)
            yield "</g>"

    def _body(self, card: Card, face: Face, *, active: bool) -> Iterable[str]:
        fill, line, _, _ = TONES[face.tone]
        w, h = face.width, face.height
        if face.shape == "stack":
            w, h = w - BEHIND, h - BEHIND
        dashed = ' stroke-dasharray="4 3"' if card.kind == "alias" else ""
        edge = (
            f'stroke="{LIGHT["active"] if active else line}" stroke-width="{3 if active else 1.2}"'
        )
        if face.shape == "circle":
            shape = f'<ellipse class="{{}}" rx="{_n(w / 2)}" ry="{_n(h / 2)}" {{}}/>'
        else:
            rx = h / 2 if face.shape == "pill" and h < 40 else 14 if face.shape == "pill" else 6
            shape = (
                f'<rect class="{{}}" x="{_n(-w / 2)}" y="{_n(-h / 2)}" width="{_n(w)}" '
                f'height="{_n(h)}" rx="{_n(rx)}" {{}}/>'
            )
        if face.shape == "stack":
            behind = shape.format("body", f'fill="{fill}" {edge}')
            yield f'<g transform="translate({BEHIND} {-BEHIND})">{behind}</g>'
        if self.colour is None:
            yield shape.format("body", f'fill="{fill}" {edge}{dashed}')
            return
        yield shape.format("body plain", f'fill="{LIGHT["paper"]}" {edge}{dashed}')
        tint, strength = self._tint(face.amount)
        if strength:
            yield shape.format("tint", f'fill="{tint}" fill-opacity="{strength:.3f}"')

    def _text(self, face: Face, k: int) -> Iterable[str]:
        lines = face.lines
        strip = 18 if face.turns else 0
        top = -(len(lines) * LEADING + strip) / 2 + 12
        for j, line in enumerate(lines):
            if self.slide.hides(k, line):
                continue
            yield self._line(line, top + j * LEADING)
        if face.turns:
            yield from _strip(face)

    def _line(self, line: Line, y: float) -> str:
        tone = {"bar": "back", "note": "quiet"}.get(line.tone, "ink")
        if tone == "back" and self.colour is not None:
            tone = "ink"
        bold = ' font-weight="bold"' if line.tone == "name" else ""
        return (
            f'<text class="{line.tone} {tone}" y="{_n(y)}" fill="{LIGHT[tone]}"{bold}>'
            f"{_overlined(line.text)}</text>"
        )

    # -- labels -----------------------------------------------------------------------------------

    def _labels(self) -> Iterable[str]:
        paper, ink = LIGHT["paper"], LIGHT["back"]
        yield (
            f'<g class="messages" font-size="{SMALL}" fill="{ink}" stroke="{paper}" '
            'stroke-width="3" stroke-linejoin="round" paint-order="stroke">'
        )
        for k, (x, y, anchor) in self.picture.label_places().items():
            if self.slide.returned(k):
                yield (
                    f'<text class="message" id="message-{k}" x="{_n(x)}" y="{_n(y)}" '
                    f'text-anchor="{anchor}">{html.escape(self.picture.labels[k])}</text>'
                )
        yield "</g>"

    # -- colour -----------------------------------------------------------------------------------

    def _range(self) -> tuple[float, float]:
        known = [f.amount for f in self.faces if isinstance(f.amount, int | float)]
        known = [a for a in known if math.isfinite(a) and a > 0]
        return (min(known), max(known)) if known else (0.0, 0.0)

    def _tint(self, amount: Any) -> tuple[str, float]:
        if self.colour == "dtype":
            kinds = self._kinds()
            return (KINDS[kinds.index(amount) % len(KINDS)], 0.35) if amount in kinds else ("", 0.0)
        if not isinstance(amount, int | float) or not math.isfinite(amount) or amount <= 0:
            return "", 0.0
        low, high = self._range()
        share = math.log(amount / low) / math.log(high / low) if high > low else 1.0
        return TINTS[str(self.colour)], 0.06 + 0.56 * share

    def _kinds(self) -> list[str]:
        return sorted({str(f.amount) for f in self.faces if f.amount is not None})

    def _legend(self) -> str:
        if self.colour is None:
            return ""
        said = [_legend_text(0, 0, WORDS[self.colour], "ink", "start", ' font-weight="bold"')]
        if self.colour == "dtype":
            x = 60.0
            for i, kind in enumerate(self._kinds()):
                said.append(_swatch(x, 14, KINDS[i % len(KINDS)], 0.35))
                said.append(_legend_text(x + 20, 0, kind, "ink", "start"))
                x += 34 + text_width(kind, SIZE)
            return "".join(said)
        low, high = self._range()
        tint = TINTS[self.colour]
        said += [_swatch(90 + 5 * i, 5, tint, 0.06 + 0.56 * i / 23) for i in range(24)]
        said.append(_legend_text(90, 15, number(low), "quiet", "start"))
        said.append(_legend_text(210, 15, number(high), "quiet", "end"))
        said.append(_legend_text(218, 0, "log scale", "quiet", "start"))
        return "".join(said)


def _swatch(x: float, wide: float, colour: str, strength: float) -> str:
    return (
        f'<rect x="{_n(x)}" y="-10" width="{_n(wide)}" height="12" fill="{colour}" '
        f'fill-opacity="{strength:.3f}"/>'
    )


def _legend_text(x: float, y: float, text: str, tone: str, anchor: str, more: str = "") -> str:
    size = "" if tone == "ink" else f' font-size="{SMALL}"'
    return (
        f'<text class="{tone}" x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}" '
        f'fill="{LIGHT[tone]}"{size}{more}>{html.escape(text)}</text>'
    )


def _strip(face: Face) -> Iterable[str]:
    """A bar for each turn of a run: the norm of its adjoint, on a logarithmic scale."""
    known = [t for t in face.turns if t is not None and t > 0 and math.isfinite(t)]
    low, high = (min(known), max(known)) if known else (1.0, 1.0)
    wide = min(WIDEST, face.width - BEHIND - 2 * MARGIN)
    step = wide / len(face.turns)
    bottom = (face.height - BEHIND) / 2 - 5
    yield f'<g class="strip" fill="{LIGHT["back"]}">'
    for i, t in enumerate(face.turns):
        if t is None or t <= 0 or not math.isfinite(t):
            continue
        share = math.log(t / low) / math.log(high / low) if high > 1.02 * low else 0.5
        h = 2 + 11 * share
        yield (
            f'<rect class="back" x="{_n(-wide / 2 + i * step)}" y="{_n(bottom - h)}" '
            f'width="{_n(max(0.6, step - 0.8))}" height="{_n(h)}"/>'
        )
    yield "</g>"


def _overlined(text: str) -> str:
    """Text for SVG: the bar over a word is one line, not one stroke for each letter, and the bar
    over a tall letter is above it, where many fonts strike it through.
    """
    escaped = html.escape(text)
    return re.sub(
        rf"(?:\w{MACRON}){{2,}}|[bdfhkl]{MACRON}",
        lambda m: f'<tspan text-decoration="overline">{m[0].replace(MACRON, "")}</tspan>',
        escaped,
    )


def _n(v: float) -> str:
    text = f"{v:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _p(point: Point) -> str:
    return f"{_n(point[0])} {_n(point[1])}"


def _style() -> str:
    """The colours of a dark page, and what a step leaves out."""
    rules = [f".{c}{{fill:{DARK[c]}}}" for c in ("paper", "ink", "quiet", "back")]
    rules += [
        f".wires{{stroke:{DARK['wire']}}}", f".wires .head{{fill:{DARK['wire']}}}",
        f".backs{{stroke:{DARK['back']}}}", f".backs .head{{fill:{DARK['back']}}}",
        f".messages{{fill:{DARK['back']};stroke:{DARK['paper']}}}",
        f".frames{{stroke:{DARK['frame']}}}", f".plain{{fill:{DARK['paper']}!important}}",
    ]  # fmt: skip
    for tone, (_, _, fill, line) in TONES.items():
        rules.append(f".{tone}>.body,.{tone} g>.body{{fill:{fill};stroke:{line}}}")
    rules.append(f".active>.body{{stroke:{DARK['active']}}}")
    dark = "".join(f".ob-draw {r}" if "," not in r.split("{")[0] else _both(r) for r in rules)
    always = ".ob-draw .ghost{opacity:.25}.ob-draw .now path{stroke-width:2.4}"
    return f"<style>{always}@media(prefers-color-scheme:dark){{{dark}}}</style>"


def _both(rule: str) -> str:
    heads, body = rule.split("{", 1)
    return ",".join(f".ob-draw {h}" for h in heads.split(",")) + "{" + body


STYLE = _style()
