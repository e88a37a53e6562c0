"""Which row of a drawing each item stands in: see `layout`."""

from __future__ import annotations

from collections.abc import Sequence

Link = tuple[int, int, float, float]
"""From an item to an item; how far from the middle of each."""


def rank(n: int, links: Sequence[Link], ends: Sequence[int]) -> tuple[list[int], list[bool]]:
    """The row of each item, and which links run upwards (in a circle, one must)."""
    after: list[list[int]] = [[] for _ in range(n)]
    before: list[list[int]] = [[] for _ in range(n)]
    for u, v, _, _ in links:
        if v not in after[u]:
            after[u].append(v)
            before[v].append(u)
    inner = [i for i in range(n) if not ends[i]]
    age = _by_age(n, inner, before, after, ends)
    flipped = [not ends[u] and not ends[v] and age[u] > age[v] for u, v, _, _ in links]
    if any(flipped):
        after, before = [[] for _ in range(n)], [[] for _ in range(n)]
        for (u, v, _, _), turn in zip(links, flipped, strict=True):
            a, b = (v, u) if turn else (u, v)
            if b not in after[a]:
                after[a].append(b)
                before[b].append(a)
    inner.sort(key=lambda i: age[i])
    row, last = [0] * n, 0
    # what moving an item down would cost, when all that hangs from leaves only comes along
    cost = [0] * n
    for v in inner:
        for u in before[v]:
            if not ends[u]:
                row[v] = max(row[v], row[u] + 1)
            cost[v] += bool(ends[u]) or len(after[u]) > 1 or cost[u] > 0
        last = max(last, row[v])
    for v in range(n):
        if ends[v]:
            row[v] = last + 1 if ends[v] > 0 else -1
    for v in reversed(inner):
        if after[v] and cost[v] < len(after[v]):
            row[v] = max(row[v], min(row[u] for u in after[v]) - 1)
    used = {r: k for k, r in enumerate(sorted(set(row)))}
    return [used[r] for r in row], flipped


def _by_age(
    n: int,
    inner: Sequence[int],
    before: list[list[int]],
    after: list[list[int]],
    ends: Sequence[int],
) -> list[int]:
    """Each item's place in an order in which inputs come first, as far as they can."""
    waiting = [sum(not ends[u] for u in before[v]) for v in range(n)]
    age, queue = [-1] * n, [v for v in inner if not waiting[v]]
    at, spare, count = 0, 0, 0
    while count < len(inner):
        if at == len(queue):  # a circle: the first that is left begins
            while age[inner[spare]] >= 0:
                spare += 1
            queue.append(inner[spare])
        v = queue[at]
        at += 1
        if age[v] >= 0:
            continue
        age[v] = count
        count += 1
        for u in after[v]:
            waiting[u] -= 1
            if not waiting[u] and age[u] < 0 and not ends[u]:
                queue.append(u)
    return age
