"""Our layout against Graphviz's, on twelve graphs: `make browser` installs Graphviz, nobody else
needs it. Without it these tests fail, they are not left out.
"""

import subprocess

import numpy as np
import pytest

from overbar.views.draw import draw
from overbar.views.layout import layout
from tests.views import nets
from tests.views.curves import crossings, sampled

TWELVE = {
    "logistic": nets.logistic, "shared": nets.shared, "mlp": nets.mlp,
    "transformer": lambda: nets.transformer(2), "rnn": lambda: nets.rnn(8),
    "stacked_rnn": nets.stacked_rnn, "lstm": lambda: nets.lstm(4), "alexnet": nets.alexnet,
    "diamonds": nets.diamonds, "residual": nets.residual, "newton": nets.newton,
    "tangle": lambda: nets.tangle(24),
}  # fmt: skip


@pytest.mark.parametrize("net", TWELVE.values(), ids=TWELVE)
def test_no_more_crossings_than_graphviz(net):
    picture = draw(net(), fold=False).picture
    sizes = [(f.width, f.height) for f in picture.faces]
    edges = [(a, b) for a, b, _ in picture.wires]
    ours = crossings([np.array(sampled(r)) for r in layout(sizes, edges)["routes"]])
    assert ours <= 1.1 * crossings(graphviz(sizes, edges))


def graphviz(sizes, edges):
    """The same cards and edges by Graphviz, as curves."""
    cards = "".join(
        f"n{i}[width={w / 72:.4f},height={h / 72:.4f}];" for i, (w, h) in enumerate(sizes)
    )
    wires = "".join(f"n{a}->n{b};" for a, b in edges)
    source = (
        'digraph{node[shape=box,fixedsize=true,label=""];ranksep=0.47;nodesep=0.28;'
        f"{cards}{wires}}}"
    )
    run = subprocess.run(
        ["dot", "-Tplain"],  # noqa: S607
        input=source, capture_output=True, text=True, check=True,
    )  # fmt: skip
    curves = []
    for words in map(str.split, run.stdout.splitlines()):
        if words[0] == "edge":
            spots = [float(v) for v in words[4 : 4 + 2 * int(words[3])]]
            ends = list(zip(spots[::2], spots[1::2], strict=True))
            curve = [ends[0]]
            for k in range(0, len(ends) - 1, 3):
                p = np.array(ends[k : k + 4])
                for t in np.linspace(0, 1, 9)[1:]:
                    s = 1 - t
                    curve.append(
                        s**3 * p[0] + 3 * s * s * t * p[1] + 3 * s * t * t * p[2] + t**3 * p[3]
                    )
            curves.append(np.array(curve))
    return curves
