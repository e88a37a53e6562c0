"""From operators on functions of one argument to those on functions of many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .tracer import named_after
from .util import subvals

wraps = named_after

_DOC = """\
    {op} of function {fun} with respect to argument number {argnum}. It takes
    the arguments of {fun} and gives the {op}.
    """


def get_name(f: Any) -> str:
    """A function's name."""
    return getattr(f, "__name__", "[unknown name]")


def get_doc(f: Any) -> str:
    """A function's docstring."""
    return getattr(f, "__doc__", "")


def unary_to_nary(unary_operator: Callable[..., Any]) -> Callable[..., Any]:
    """operator(fun, x) as operator(fun, argnum=0)(*args); several argnums make x a tuple."""

    @wraps(unary_operator)
    def nary_operator(fun: Any, argnum: Any = 0, *op_args: Any, **op_kwargs: Any) -> Any:
        single = type(argnum) is int
        if not single and type(argnum) not in (tuple, list):
            raise TypeError(f"argnum is an int, or a tuple or list of them, not {argnum!r}")

        def nary_f(*args: Any, **kwargs: Any) -> Any:
            def unary_f(x: Any) -> Any:
                chosen = [(argnum, x)] if single else zip(argnum, x, strict=True)
                return fun(*subvals(args, chosen), **kwargs)

            unary_f.__name__ = get_name(fun)
            x = args[argnum] if single else tuple(args[i] for i in argnum)
            return unary_operator(unary_f, x, *op_args, **op_kwargs)

        name = get_name(unary_operator)
        return wraps(fun, "{op}_of_{fun}_wrt_argnum_{argnum}", _DOC, op=name, argnum=argnum)(nary_f)

    return nary_operator


def wrap_nary_f(fun: Any, op: Any, argnum: Any) -> Any:
    """A decorator that names a function as `op` of `fun`."""
    return wraps(fun, "{op}_of_{fun}_wrt_argnum_{argnum}", _DOC, op=get_name(op), argnum=argnum)
