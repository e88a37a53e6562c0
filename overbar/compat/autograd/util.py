"""Small functions that extensions of autograd import from `autograd.util`."""

from __future__ import annotations

import operator
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def subvals(x: Iterable[Any], ivs: Iterable[tuple[int, Any]]) -> tuple[Any, ...]:
    """The sequence with some entries replaced."""
    new = list(x)
    for i, v in ivs:
        new[i] = v
    return tuple(new)


def subval(x: Iterable[Any], i: int, v: Any) -> tuple[Any, ...]:
    """The sequence with one entry replaced."""
    return subvals(x, [(i, v)])


def func(f: Any) -> Any:
    """f itself."""
    return f


def toposort(
    end_node: Any, parents: Callable[[Any], Any] = operator.attrgetter("inputs")
) -> Iterator[Any]:
    """The nodes that end_node depends on, every one after all of its users."""
    users, stack = Counter([end_node]), [end_node]
    seen = {end_node}
    while stack:
        for parent in parents(stack.pop()):
            users[parent] += 1
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    ready = [end_node]
    while ready:
        node = ready.pop()
        yield node
        for parent in parents(node):
            users[parent] -= 1
            if not users[parent]:
                ready.append(parent)


def quick_grad_check(
    fun: Callable[..., Any], arg0: Any, extra_args: tuple[Any, ...] = (), kwargs: Any = None,
    verbose: bool = True, eps: float = 1e-4, rtol: float = 1e-4, atol: float = 1e-6, rs: Any = None,
) -> None:  # fmt: skip
    """Check the gradient by the first argument; `test_util.check_grads` is its successor."""
    from .test_util import check_grads

    warnings.warn("quick_grad_check is deprecated: use check_grads", stacklevel=2)
    check_grads(lambda x: fun(x, *extra_args, **(kwargs or {})), modes=["rev"], order=1)(arg0)
