"""How far the two passes have come: what of a picture is to be seen at a step."""

from __future__ import annotations

from .faces import Line
from .picture import Picture

LEAVES = frozenset({"leaf", "alias", "bundle"})


class Slide:
    """What is to be seen at a step: all of it if `step` is None."""

    def __init__(self, picture: Picture, step: int | None) -> None:
        self.picture, self.all = picture, step is None
        self.forward: set[int] = set()
        self.sent: set[int] = set()
        self.active = -1
        self.backward = False
        if step is None:
            return
        steps = picture.steps()
        for way, k in steps[: step + 1]:
            (self.forward if way == "forward" else self.sent).add(k)
        way, self.active = steps[step]
        self.backward = way == "backward"

    def _sender(self, k: int) -> int:
        a, b, _ = self.picture.wires[k]
        return a if self.picture.style == "backward" else b

    def carried(self, k: int) -> bool:
        """Whether the value has gone along a wire."""
        b = self.picture.wires[k][1]
        return self.all or self.backward or b in self.forward or self._made(b)

    def returned(self, k: int) -> bool:
        """Whether the message has come back."""
        return self.all or self._sender(k) in self.sent or self._sent_by_tensor(k)

    def now(self, k: int) -> bool:
        """Whether it comes at this step."""
        return self.backward and self._sender(k) == self.active

    def _made(self, k: int) -> bool:
        """Of a tensor of a bipartite drawing: whether its function has run."""
        card = self.picture.cards[k]
        return card.kind == "tensor" and any(
            b == k and a in self.forward for a, b, _ in self.picture.wires
        )

    def _sent_by_tensor(self, k: int) -> bool:
        a, b, _ = self.picture.wires[k]
        return self.picture.cards[b].kind == "tensor" and a in self.sent

    def classes(self, k: int) -> list[str]:
        """The classes of a card."""
        if self.all:
            return []
        if k == self.active:
            return ["active"]
        made = self.backward or k in self.forward or self._made(k)
        return [] if made or self.picture.cards[k].kind in LEAVES else ["ghost"]

    def hides(self, k: int, line: Line) -> bool:
        """Whether a line of a card is not known yet: a value before it is made, an adjoint before
        all of its messages have come.
        """
        if self.all:
            return False
        card = self.picture.cards[k]
        if line.tone == "value":
            made = self.backward or k in self.forward or self._made(k)
            return card.kind not in LEAVES and not made
        if line.tone != "bar":
            return False
        if not self.backward:
            return True
        if card.box >= 0:
            return k not in self.sent
        return any(
            w.node is card.node and w.message is not None and not self.returned(j)
            for j, (_, _, w) in enumerate(self.picture.wires)
        )
