"""The rows of one box of a drawing: in which order, and where in it.

See `layout`, which says what for; `layers.js` has the same statements in the same order.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from .ranks import Link

FLAT_LIMIT = 2000
"""With more lanes than this, and 4 for each item, the links of one item share a lane."""
SWEEPS, PATIENCE = 24, 8
"""So many sweeps from each beginning, and so many without a better order."""
MANY = 4000
"""With more knots than this, half of the beginnings do."""
SHAKEN = 6000
"""Knots times attempts to leave a dead end."""
ROUNDS = 6
WINDOW = 12
"""Rows above and below a row that say which way a deep drawing leans."""


class Net:
    """Items and lanes in rows: a link from one row to another passes a lane in each row between.

    wide        the width of each knot (an item or a lane);  n: how many are items
    up, down    the neighbours of each knot: (knot, how far from its own middle, from the other's)
    chains      the knots of each link, from above
    """

    def __init__(
        self,
        sizes: Sequence[Sequence[float]],
        links: Sequence[Link],
        row: Sequence[int],
        flipped: Sequence[bool],
        lane: float,
    ) -> None:
        self.sizes, self.links, self.flipped, self.n = sizes, links, flipped, len(sizes)
        self.wide = [s[0] for s in sizes]
        self.rows: list[list[int]] = [[] for _ in range(max(row) + 1)]
        for i, r in enumerate(row):
            self.rows[r].append(i)
        self.row = list(row)
        self.up: list[list[tuple[int, float, float]]] = [[] for _ in sizes]
        self.down: list[list[tuple[int, float, float]]] = [[] for _ in sizes]
        self.chains: list[list[int]] = []
        spans = [abs(row[v] - row[u]) - 1 for u, v, _, _ in links]
        bundled = sum(spans) > FLAT_LIMIT + 4 * self.n
        comes, goes = [0] * self.n, [0] * self.n
        for u, v, _, _ in links:
            goes[u] += 1
            comes[v] += 1
        shared: dict[Any, int] = {}
        for k, (u, v, du, dv) in enumerate(links):
            a, b, da, db = (v, u, dv, du) if flipped[k] else (u, v, du, dv)
            key = (1, b, db) if comes[v] >= goes[u] else (0, a, da)
            if not bundled:
                key = (2, k, 0.0)
            chain = [a]
            for r in range(row[a] + 1, row[b]):
                knot = shared.get((*key, r))
                if knot is None:
                    knot = shared[(*key, r)] = len(self.wide)
                    self.wide.append(lane)
                    self.row.append(r)
                    self.up.append([])
                    self.down.append([])
                    self.rows[r].append(knot)
                chain.append(knot)
            chain.append(b)
            for j in range(len(chain) - 1):
                p, q = chain[j], chain[j + 1]
                dp, dq = da if not j else 0.0, db if j == len(chain) - 2 else 0.0
                if bundled and (q, dp, dq) in self.down[p] and max(p, q) >= self.n:
                    continue
                self.down[p].append((q, dp, dq))
                self.up[q].append((p, dq, dp))
            self.chains.append(chain)

    # -- order ----------------------------------------------------------------------------------

    def order(self, ends: Sequence[int]) -> None:
        """The order of each row: the best of two beginnings and their sweeps."""
        self.at = [0] * len(self.wide)
        self.crossings, best = -1, self.rows
        for way in range(4 if len(self.wide) > MANY else 8):
            upwards = way % 2 == 0
            self._begin(upwards, few=way % 4 < 2)
            worse = 0
            for s in range(SWEEPS + 1):
                if s:
                    self._sweep(s % 2 == (1 if upwards else 0), turned=s % 4 > 1, median=way > 3)
                self._exchange(s % 2 == 1)
                found = self._count()
                if self.crossings < 0 or found < self.crossings:
                    self.crossings, best, worse = found, [list(r) for r in self.rows], 0
                else:
                    worse += 1
                if not self.crossings or worse > PATIENCE:
                    break
            if not self.crossings:
                break
        self.rows = best
        self._shake()
        self._number()
        self._flank()

    def _shake(self) -> None:
        """Out of a dead end: a few rows of the best order are mixed, and swept again."""
        best, chance = self.rows, 1  # Park & Miller's generator: both twins draw the same numbers

        def draw(n: int) -> int:
            nonlocal chance
            chance = chance * 16807 % 2147483647
            return chance % n

        for turn in range(min(24, SHAKEN // len(self.wide))):
            if not self.crossings:
                break
            self.rows = [list(r) for r in best]
            first = draw(len(self.rows))
            for knots in self.rows[first : first + 1 + draw(12)]:
                if draw(2):
                    knots.reverse()
                else:
                    for i in range(len(knots) - 1, 0, -1):
                        j = draw(i + 1)
                        knots[i], knots[j] = knots[j], knots[i]
            self._number()
            for s in range(1, 9):
                self._sweep(s % 2 == turn % 2, turned=s % 4 > 1, median=turn % 4 > 1)
                self._exchange(s % 2 == 1)
                found = self._count()
                if found <= self.crossings:
                    self.crossings, best = found, [list(r) for r in self.rows]
        self.rows = best

    def _flank(self) -> None:
        """Leaves of one card stand on both sides of what else it uses, if nothing crosses more."""
        for k in range(self.n):
            users = self.up[k]
            knots = sorted({j for j, _, _ in users}, key=lambda j: self.at[j])
            tips = [j for j in knots if j < self.n and not self.up[j] and len(self.down[j]) == 1]
            rest = [j for j in knots if j not in tips]
            if len(tips) < 2 or not rest or self.at[knots[-1]] - self.at[knots[0]] >= len(knots):
                continue
            half = len(tips) // 2
            turned = [*tips[:half], *rest, *tips[half:]]
            if self._within(turned) <= self._within(knots):
                first = self.at[knots[0]]
                self.rows[self.row[knots[0]]][first : first + len(knots)] = turned
                for i, j in enumerate(turned):
                    self.at[j] = first + i

    def _within(self, knots: list[int]) -> int:
        """How often the links below these knots cross, in this order."""
        spots = [sorted(self._spot(j, off) for j, _, off in self.down[k]) for k in knots]
        count = 0
        for i, a in enumerate(spots):
            for b in spots[i + 1 :]:
                count += _pairs(a, b)
        return count

    def _number(self) -> None:
        for knots in self.rows:
            for i, k in enumerate(knots):
                self.at[k] = i

    def _begin(self, upwards: bool, few: bool) -> None:
        """An order found by going along the links, from the sinks upwards or from the sources."""
        near, far = (self.up, self.down) if upwards else (self.down, self.up)
        items = range(self.n - 1, -1, -1) if upwards else range(self.n)
        seen = [-1] * len(self.wide)
        count = 0
        for item in items:
            stack = [] if far[item] else [item]
            while stack:
                k = stack.pop()
                if seen[k] >= 0:
                    continue
                seen[k] = count
                count += 1
                there = [j for j, _, _ in reversed(near[k])]
                stack += sorted(there, key=lambda j: -len(near[j]) if few else len(near[j]))
        for knots in self.rows:
            knots.sort(key=lambda k: seen[k])
        self._number()

    def _spot(self, k: int, off: float) -> float:
        """The place of a knot's port in its row, as a number."""
        return self.at[k] + off / self.wide[k] if off else float(self.at[k])

    def _sweep(self, downwards: bool, turned: bool, median: bool) -> None:
        """Each row in the order of the means of its neighbours in the row before."""
        near = self.up if downwards else self.down
        rows = self.rows if downwards else self.rows[::-1]
        for knots in rows[1:]:
            mean = {}
            for k in knots:
                spots = sorted(self._spot(j, off) for j, _, off in near[k])
                m = len(spots)
                if not m:
                    mean[k] = float(self.at[k])
                elif median:
                    mean[k] = (spots[(m - 1) // 2] + spots[m // 2]) / 2
                else:
                    mean[k] = _total(spots) / m
            if turned:  # equals change places, which leads out of dead ends
                knots.reverse()
            knots.sort(key=lambda k: mean[k])
            for i, k in enumerate(knots):
                self.at[k] = i

    def _exchange(self, level: bool) -> None:
        """Neighbours change places while that takes crossings away."""
        for knots in self.rows:
            if len(knots) < 2:
                continue
            above = {k: sorted(self._spot(j, off) for j, _, off in self.up[k]) for k in knots}
            below = {k: sorted(self._spot(j, off) for j, _, off in self.down[k]) for k in knots}
            for t in range(4):
                changed = False
                for i in range(len(knots) - 1):
                    a, b = knots[i], knots[i + 1]
                    gain = _pairs(above[a], above[b]) - _pairs(above[b], above[a])
                    gain += _pairs(below[a], below[b]) - _pairs(below[b], below[a])
                    if gain > 0 or (level and not t and not gain):
                        knots[i], knots[i + 1] = b, a
                        changed = True
                if not changed:
                    break
            for i, k in enumerate(knots):
                self.at[k] = i

    def _count(self) -> int:
        """How many links cross."""
        count = 0
        for knots in self.rows:
            ends = sorted(
                (self._spot(k, dk), self._spot(j, dj)) for k in knots for j, dk, dj in self.down[k]
            )
            before: list[float] = []
            for _, spot in ends:
                i = bisect.bisect_right(before, spot)
                count += len(before) - i
                before.insert(i, spot)
        return count

    # -- place ----------------------------------------------------------------------------------

    def place(self, o: dict[str, float]) -> None:
        """Each knot's x: the mean of a sweep downwards and one upwards, several times."""
        self.gaps = []
        for knots in self.rows:
            offsets = [0.0]
            for a, b in itertools.pairwise(knots):
                between = o["across"] if a < self.n or b < self.n else 0.0
                offsets.append(offsets[-1] + (self.wide[a] + self.wide[b]) / 2 + between)
            self.gaps.append(offsets)
        x = [0.0] * len(self.wide)
        for knots, offsets in zip(self.rows, self.gaps, strict=True):
            for k, off in zip(knots, offsets, strict=True):
                x[k] = off - offsets[-1] / 2
        for _ in range(ROUNDS):
            first, second = self._pull(x, downwards=True), self._pull(x, downwards=False)
            x = self._blend(first, second)
        self.x = self._leaves(self._upright(x))
        left, _ = self._extent(self.x)
        self.x = [v - left for v in self.x]
        _, self.width = self._extent(self.x)

    def _pull(self, old: list[float], downwards: bool) -> list[float]:
        """Row after row, each knot as near as it can be to its neighbours in the row before."""
        near, far = (self.up, self.down) if downwards else (self.down, self.up)
        x, weak = list(old), [False] * len(old)
        order = range(len(self.rows)) if downwards else range(len(self.rows) - 1, -1, -1)
        for r in order:
            knots, want, weight = self.rows[r], [], []
            for k in knots:
                weak[k] = len(far[k]) == 1 and not near[k]  # a leaf moves nothing, nor its lane
                if near[k]:
                    weak[k] = k >= self.n and all(weak[j] for j, _, _ in near[k])
                    pulls = []
                    for j, mine, its in near[k]:
                        strong = 8.0 if k >= self.n and j >= self.n else 1.0
                        pulls.append((x[j] + its - mine, 1e-4 if weak[j] else strong))
                    want.append(_middle(pulls))
                    weight.append(max(w for _, w in pulls))
                else:
                    want.append(x[k])
                    weight.append(1e-4)
            _put(x, knots, self.gaps[r], want, weight)
        return x

    def _blend(self, first: list[float], second: list[float]) -> list[float]:
        """The mean of both, weighted so that links are as short as they can be."""
        above = below = 0.0
        for k, links in enumerate(self.down):
            for j, mine, its in links:
                if self.up[k] or k >= self.n:
                    a = first[k] + mine - first[j] - its
                    b = second[k] + mine - second[j] - its
                    above += b * (b - a)
                    below += (b - a) * (b - a)
        part = min(1.0, max(0.0, above / below)) if below else 0.5
        shift = (_total(first) - _total(second)) / len(first)
        return [part * a + (1 - part) * (b + shift) for a, b in zip(first, second, strict=True)]

    def _upright(self, x: list[float]) -> list[float]:
        """Rows shifted as a whole, if the drawing leans: its trend, a line fitted to the middles
        of the rows around each row, is taken away.
        """
        n, middles = len(self.rows), []
        if n <= 2 * WINDOW:
            return x
        for knots in self.rows:
            inner = [k for k in knots if k >= self.n or self.up[k]] or knots
            middles.append((x[inner[(len(inner) - 1) // 2]] + x[inner[len(inner) // 2]]) / 2)
        better = list(x)
        for r, knots in enumerate(self.rows):
            a, b = max(0, r - WINDOW), min(n, r + WINDOW + 1)
            middle, mean = (a + b - 1) / 2, _total(middles[a:b]) / (b - a)
            lean = _total((i - middle) * middles[i] for i in range(a, b))
            over = _total((i - middle) * (i - middle) for i in range(a, b))
            trend = mean + (lean / over * (r - middle) if over else 0.0)
            for k in knots:
                better[k] -= trend
        return better if self._extent(better)[1] < 0.75 * self._extent(x)[1] else x

    def _extent(self, x: list[float]) -> tuple[float, float]:
        """The left end and the width."""
        left = min(v - w / 2 for v, w in zip(x, self.wide, strict=True))
        return left, max(v + w / 2 for v, w in zip(x, self.wide, strict=True)) - left

    def _leaves(self, x: list[float]) -> list[float]:
        """What has neighbours on one side only comes as near to them as there is room."""
        x = list(x)
        for r, knots in enumerate(self.rows):
            want, weight = [], []
            for k in knots:
                near = self.up[k] or self.down[k]
                if k < self.n and near and not (self.up[k] and self.down[k]) and len(near) == 1:
                    j, mine, its = near[0]
                    want.append(x[j] + its - mine)
                    weight.append(1e-4)
                else:
                    want.append(x[k])
                    weight.append(1.0)
            _put(x, knots, self.gaps[r], want, weight)
        return x

    def finished(
        self, ends: Sequence[int], o: dict[str, float]
    ) -> tuple[list[float], list[float], list[list[tuple[float, float]]]]:
        """x and y of each item, and the points of each link."""
        tall = [
            max((self.sizes[k][1] for k in knots if k < self.n), default=0.0) for knots in self.rows
        ]
        tops, y = [], 0.0
        for r, knots in enumerate(self.rows):
            tops.append(y)
            reach, port = 0.0, False
            for k in knots:
                port = port or (k < self.n and ends[k] != 0)
                for j, mine, its in self.down[k]:
                    port = port or (j < self.n and ends[j] != 0)
                    reach = max(reach, abs(self.x[k] + mine - self.x[j] - its))
            gap = o["down"] * (0.6 if port else 1.0)
            y += tall[r] + gap + min(3 * o["down"], max(0.0, 0.08 * reach - 10))
            self.height = y - gap - min(3 * o["down"], max(0.0, 0.08 * reach - 10))
        ys = []
        for k in range(self.n):
            r, h = self.row[k], self.sizes[k][1]
            low = not self.up[k] and tall[r] > 2 * h
            ys.append(tops[r] + (tall[r] - h / 2 if low else tall[r] / 2))
        starts, stops = self._ends(ends, o)
        routes = []
        for link, chain in enumerate(self.chains):
            a, b = chain[0], chain[-1]
            u, v = starts[link], stops[link]
            ra, rb = self.row[a], self.row[b]
            points = [(u, ys[a] + self.sizes[a][1] / 2), (u, tops[ra] + tall[ra])]
            for k in chain[1:-1]:
                r = self.row[k]
                points += [(self.x[k], tops[r]), (self.x[k], tops[r] + tall[r])]
            points += [(v, tops[rb]), (v, ys[b] - self.sizes[b][1] / 2)]
            routes.append(points[::-1] if self.flipped[link] else points)
        return self.x[: self.n], ys, routes

    def _ends(self, ends: Sequence[int], o: dict[str, float]) -> tuple[list[float], list[float]]:
        """Where each link leaves the upper item and meets the lower one: side by side."""
        starts, stops = [0.0] * len(self.chains), [0.0] * len(self.chains)
        leaving: list[list[int]] = [[] for _ in range(self.n)]
        coming: list[list[int]] = [[] for _ in range(self.n)]
        for link, chain in enumerate(self.chains):
            leaving[chain[0]].append(link)
            coming[chain[-1]].append(link)
        for found, lists, upper in ((starts, leaving, True), (stops, coming, False)):
            for k in range(self.n):
                goals = []
                for link in lists[k]:
                    chain = self.chains[link]
                    _, _, du, dv = self.links[link]
                    if self.flipped[link]:
                        du, dv = dv, du
                    mine, its = (du, dv) if upper else (dv, du)
                    other = chain[1] if upper else chain[-2]
                    its = its if len(chain) == 2 else 0.0
                    goals.append((self.x[other] + its - self.x[k], link, mine))
                free = [g for g in goals if g[2] == 0 and not ends[k]]
                for _, link, mine in goals:
                    found[link] = self.x[k] + mine
                if free:
                    free.sort()
                    room = 0.35 * self.wide[k]
                    step = min(o["spread"], 2 * room / max(1, len(free) - 1))
                    offsets = [step * i for i in range(len(free))]
                    goal = [min(room, max(-room, g)) for g, _, _ in free]
                    spots = [0.0] * len(free)
                    _put(spots, range(len(free)), offsets, goal, [1.0] * len(free))
                    slip = max(0.0, -room - spots[0]) - max(0.0, spots[-1] - room)
                    for (_, link, _), spot in zip(free, spots, strict=True):
                        found[link] = self.x[k] + min(room, max(-room, spot + slip))
        return starts, stops


def _pairs(a: list[float], b: list[float]) -> int:
    """How many pairs there are of one of a, and a lesser one of b; both are sorted."""
    count = j = 0
    for spot in a:
        while j < len(b) and b[j] < spot:
            j += 1
        count += j
    return count


def _total(values: Iterable[float]) -> float:
    """Plain summation, as JavaScript does it: `sum` compensates since Python 3.12."""
    total = 0.0
    for v in values:
        total += v
    return total


def _middle(pulls: list[tuple[float, float]]) -> float:
    """The weighted median: half of the weight lies on either side."""
    pulls.sort()
    half, so_far = _total(w for _, w in pulls) / 2, 0.0
    for i, (spot, w) in enumerate(pulls):
        so_far += w
        if so_far > half * (1 + 1e-9):
            return spot
        if so_far >= half * (1 - 1e-9):
            return (spot + pulls[i + 1][0]) / 2
    return pulls[-1][0]


def _put(
    x: list[float],
    knots: Sequence[int],
    offsets: list[float],
    want: list[float],
    weight: list[float],
) -> None:
    """The places nearest to what is wanted, in order and with the distances kept."""
    blocks: list[list[float]] = []
    for i in range(len(knots)):
        blocks.append([want[i] - offsets[i], weight[i], 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            spot, w, count = blocks.pop()
            into = blocks[-1]
            total = into[1] + w
            into[0] = (into[0] * into[1] + spot * w) / total
            into[1] = total
            into[2] += count
    i = 0
    for spot, _, count in blocks:
        for _ in range(int(count)):
            x[knots[i]] = spot + offsets[i]
            i += 1
