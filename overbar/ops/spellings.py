"""How other libraries spell what we have: such a name raises, and the message says ours.

Three tables: names of the module, names of a tensor's methods, and keywords. Nothing here is
on the path of a call that is spelled right, but for `guarded`: one frame around the functions
that take keywords (measured: 0.07 µs beside 2 to 20), none around the elementwise ones.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, NoReturn

from ..errors import SpellingError
from ..primitive import PUBLIC

NAMES = {
    # joining and cutting
    "cat": "ob.concat([a, b], axis=0)",
    "concatenate": "ob.concat([a, b], axis=0)",
    "vstack": "ob.concat([a, b], axis=0), of vectors ob.stack([a, b])",
    "hstack": "ob.concat([a, b], axis=1), of vectors axis=0",
    "dstack": "ob.stack([a, b], axis=2)",
    "column_stack": "ob.stack([a, b], axis=1)",
    "row_stack": "ob.concat([a, b], axis=0)",
    "append": "ob.concat([a, b], axis=0)",
    "chunk": "ob.array_split(x, 3, axis=0)",
    "tensor_split": "ob.array_split(x, 3, axis=0)",
    "unbind": "ob.unstack(x, axis=0)",
    "narrow": "x[:, 2:5]",
    "vsplit": "ob.split(x, 2, axis=0)",
    "hsplit": "ob.split(x, 2, axis=1)",
    # moving
    "view": "ob.reshape(x, (2, 3))",
    "unsqueeze": "ob.expand_dims(x, axis=0), or x[None]",
    "transpose": "x.mT, or ob.permute_dims(x, (1, 0))",
    "permute": "ob.permute_dims(x, (1, 0))",
    "swapdims": "ob.swapaxes(x, 0, 1)",
    "movedim": "ob.moveaxis(x, 0, -1)",
    "expand": "ob.broadcast_to(x, (3, 2))",
    "repeat_interleave": "ob.repeat(x, 2, axis=0)",
    "flipud": "ob.flip(x, axis=0)",
    "fliplr": "ob.flip(x, axis=1)",
    "reverse": "ob.flip(x, axis=0)",
    "t": "x.mT",
    # choosing
    "clamp": "ob.clip(x, 0, 1)",
    "clip_by_value": "ob.clip(x, 0, 1)",
    "masked_fill": "ob.where(mask, 0.0, x)",
    "select": "ob.where(mask, a, b)",
    "index_select": "ob.take(x, i, axis=0)",
    "gather": "ob.take_along_axis(x, i, axis=0), or x[i]",
    "scatter": "ob.put_along_axis(x, i, v, axis=0)",
    "index_add": "ob.scatter_add(x, i, v)",
    "masked_select": "x[mask]",
    "compress": "x[mask]",
    "boolean_mask": "x[mask]",
    "embedding": "x[i]",
    # arithmetic
    "sub": "ob.subtract(a, b), or a - b",
    "mul": "ob.multiply(a, b), or a * b",
    "div": "ob.divide(a, b), or a / b",
    "true_divide": "ob.divide(a, b), or a / b",
    "neg": "ob.negative(x), or -x",
    "absolute": "ob.abs(x)",
    "fabs": "ob.abs(x)",
    "mod": "ob.remainder(a, b), or a % b",
    "fmod": "ob.remainder(a, b), or a % b",
    "rsqrt": "1 / ob.sqrt(x)",
    "float_power": "ob.pow(a, b)",
    "conjugate": "ob.conj(x)",
    "rint": "ob.round(x)",
    "fix": "ob.trunc(x)",
    "arcsin": "ob.asin(x)",
    "arccos": "ob.acos(x)",
    "arctan": "ob.atan(x)",
    "arctan2": "ob.atan2(a, b)",
    "arcsinh": "ob.asinh(x)",
    "arccosh": "ob.acosh(x)",
    "arctanh": "ob.atanh(x)",
    "eq": "ob.equal(a, b), or a == b",
    "ne": "ob.not_equal(a, b), or a != b",
    "lt": "ob.less(a, b), or a < b",
    "le": "ob.less_equal(a, b), or a <= b",
    "gt": "ob.greater(a, b), or a > b",
    "ge": "ob.greater_equal(a, b), or a >= b",
    "invert": "ob.bitwise_invert(x), or ~x",
    # products and linear algebra
    "mm": "a @ b",
    "bmm": "a @ b",
    "mv": "a @ b",
    "addmm": "c + a @ b",
    "norm": "ob.linalg.vector_norm(x)",
    "inv": "ob.linalg.inv(x)",
    "inverse": "ob.linalg.inv(x)",
    "det": "ob.linalg.det(x)",
    "svd": "ob.linalg.svd(x)",
    "qr": "ob.linalg.qr(x)",
    "cholesky": "ob.linalg.cholesky(x)",
    "eigh": "ob.linalg.eigh(x)",
    "solve": "ob.linalg.solve(a, b)",
    # sums and extremes
    "product": "ob.prod(x)",
    "amax": "ob.max(x)",
    "amin": "ob.min(x)",
    "reduce_sum": "ob.sum(x)",
    "reduce_mean": "ob.mean(x)",
    "reduce_max": "ob.max(x)",
    "reduce_min": "ob.min(x)",
    "reduce_prod": "ob.prod(x)",
    "average": "ob.mean(x)",
    # making
    "array": "ob.tensor([1.0, 2.0])",
    "as_tensor": "ob.asarray(x)",
    "from_numpy": "ob.asarray(x)",
    "convert_to_tensor": "ob.asarray(x)",
    "constant": "ob.tensor([1.0, 2.0])",
    "Variable": "ob.tensor([1.0, 2.0], requires_grad=True)",
    "identity": "ob.eye(3)",
    "range": "ob.arange(3)",
    "rand": "ob.random.default_rng(0).uniform((2, 3))",
    "randn": "ob.random.default_rng(0).normal((2, 3))",
    "randint": "ob.random.default_rng(0).integers(0, 10, (3,))",
    "randperm": "ob.random.default_rng(0).permutation(10)",
    "manual_seed": "ob.random.seed(0)",
    "cast": "x.astype(ob.float32)",
    "float": "ob.float32",
    "double": "ob.float64",
    "half": "ob.float16",
    "int": "ob.int32",
    "long": "ob.int64",
    "int_": "ob.int64",
    "numel": "x.size",
    "is_tensor": "isinstance(x, ob.Tensor)",
    # functions of functions
    "inference_mode": "ob.no_grad()",
    "GradientTape": "ob.grad(f)(x), or loss.backward()",
    "gradients": "ob.grad(f)(x)",
    "autograd": "ob.grad(f)(x), or loss.backward()",
    "remat": "ob.checkpoint(f)",
    "while": "ob.while_loop(go_on, body, start)",
    "lax": "ob.scan(f, init, xs)",
    # networks
    "conv1d": "ob.conv(x, w)",
    "conv2d": "ob.conv(x, w)",
    "conv3d": "ob.conv(x, w)",
    "convolve": "ob.conv(x, w)",
    "conv_transpose2d": "ob.conv_transpose(x, w)",
    "max_pool1d": "ob.max_pool(x, 2)",
    "max_pool2d": "ob.max_pool(x, 2)",
    "avg_pool2d": "ob.avg_pool(x, 2)",
    "hardtanh": "ob.hard_tanh(x)",
    "swish": "ob.silu(x)",
    "logsigmoid": "ob.log_sigmoid(x)",
    "erf": "ob.special.erf(x)",
    "lgamma": "ob.special.gammaln(x)",
    "digamma": "ob.special.digamma(x)",
}
"""A name of another library -> what we write."""

METHODS = {
    "cpu": "x itself: there is only the CPU",
    "cuda": "x itself: there is only the CPU",
    "to": "x.astype(ob.float32)",
    "type": "x.astype(ob.float32)",
    "float": "x.astype(ob.float32)",
    "double": "x.astype(ob.float64)",
    "half": "x.astype(ob.float16)",
    "long": "x.astype(ob.int64)",
    "int": "x.astype(ob.int32)",
    "bool": "x.astype(ob.bool)",
    "view": "x.reshape(2, 3)",
    "view_as": "x.reshape(y.shape)",
    "dim": "x.ndim",
    "numel": "x.size",
    "contiguous": "x itself",
    "clone": "x.copy()",
    "data": "x.detach()",
    "at": "x[i] = v, or ob.scatter_add(x, i, v)",
    "zero_": "x[...] = 0",
    "fill_": "x[...] = 0",
    "fill": "x[...] = 0",
    "copy_": "x[...] = y",
    "assign": "x[...] = y",
    "assign_add": "x += y",
    "retain_grad": "ob.adjoint(loss, x): of any intermediate, after the fact",
    "register_hook": "ob.custom_vjp(f)",
    "grad_fn": "x.node",
    "block_until_ready": "x itself: values are ready",
    "eval": "x.numpy()",
    "sort": "ob.sort(x)",
    "t": "x.mT",
    "values": "x.numpy()",
    "itemset": "x[i] = v",
    "get_shape": "x.shape",
}
"""A method of another library's tensors -> what we write."""

KEYWORDS = {
    "dim": "axis=",
    "dims": "axis=",
    "axes": "axis=",
    "reduction_indices": "axis=",
    "keepdim": "keepdims=",
    "keep_dims": "keepdims=",
    "unbiased": "correction=1 or correction=0",
    "ddof": "correction=",
    "out": "y = ..., results are always new arrays",
    "inplace": "x = ..., results are always new arrays",
    "where": "ob.where(mask, x, 0) as the argument",
    "initial": "the start as one more entry, or + and ob.maximum after",
    "order": "nothing: entries go row by row",
    "input": "the array first, without a keyword",
    "a": "the array first, without a keyword",
    "other": "the second array, without a keyword",
    "tensors": "the list first, without a keyword",
    "arrays": "the list first, without a keyword",
    "dtype": ".astype(dtype) on the argument or the result",
    "requires_grad": ".requires_grad_() on the result, or ob.tensor(..., requires_grad=True)",
    "a_min": "min=",
    "a_max": "max=",
    "diagonal": "offset=, or k=",
    "diagonal_offset": "offset=",
    "k": "k= of ob.tril, ob.triu, ob.eye; offset= elsewhere",
    "negative_slope": "slope=",
    "alpha": "the slope, or the factor, as a number times the argument",
    "kernel_size": "size, the second argument",
    "ksize": "size, the second argument",
    "strides": "stride=",
    "constant_values": "value=",
    "pad": "the widths, the second argument, a pair per axis from the first",
    "pad_width": "widths, the second argument",
    "reps": "the repetitions, without a keyword",
    "shifts": "shift, the second argument",
    "index": "the indices, without a keyword",
    "split_size_or_sections": "a number of parts, or the points to cut at, without a keyword",
    "num_or_size_splits": "a number of parts, or the points to cut at, without a keyword",
    "bias": "+ b[:, None, None] on the result",
    "p": "ord= of ob.linalg.vector_norm",
    "rcond": "rtol=",
    "generator": "rng=",
    "size": "the shape first, without a keyword",
    "dim0": "axis numbers without keywords",
    "chunks": "a number of parts, without a keyword",
    "num_classes": "the number of classes, the second argument",
}
"""A keyword of another library -> what we write."""


def spelled(name: str) -> NoReturn:
    """What `ob.name` raises for a name that is not there.

    Raises:  SpellingError for a name of another library, else AttributeError.
    """
    ours = NAMES.get(name)
    if ours is not None:
        raise SpellingError(f"overbar has no {name!r}", want=ours)
    near = _nearest(name, PUBLIC[""])
    raise AttributeError(f"overbar has no {name!r}" + (f", but ob.{near}" if near else ""))


def of_tensor(self: Any, name: str) -> NoReturn:
    """What `x.name` raises for a name that tensors do not have: `Tensor.__getattr__`.

    Raises:  SpellingError for a name of another library or of one of our functions, else
             AttributeError.
    """
    if name[:1] == "_":
        raise AttributeError(name)
    ours = METHODS.get(name) or _function_of(name)
    if ours is not None:
        raise SpellingError(f"a tensor has no {name!r}", want=ours)
    near = _nearest(name, dir(type(self)))
    raise AttributeError(f"a tensor has no {name!r}" + (f", but .{near}" if near else ""))


def _function_of(name: str) -> str | None:
    plain = name.rstrip("_")
    if plain in PUBLIC[""] and callable(PUBLIC[""][plain]):
        call = f"ob.{plain}(x{', ...' if _several(PUBLIC[''][plain]) else ''})"
        return call if plain == name else f"x[...] = {call}"
    return NAMES.get(name)


def _several(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    return sum(p.default is p.empty for p in parameters) > 1


def _nearest(name: str, among: Any) -> str | None:
    found = difflib.get_close_matches(name, [n for n in among if not n.startswith("_")], 1, 0.75)
    return found[0] if found else None


# -- keywords ---------------------------------------------------------------------------------


def guarded(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function; a call that does not fit its signature is explained in our words."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            trace = error.__traceback__
            if (
                trace is None or trace.tb_next is not None
            ):  # raised inside: it is no matter of spelling
                raise
            explained = _explained(function, name, str(error))
        raise explained

    return call


def _explained(function: Callable[..., Any], name: str, message: str) -> SpellingError:
    signature = inspect.signature(function)
    ours = f"ob.{name}({_usage(signature)})"
    quoted = re.findall(r"'(\w+)'", message)
    if "unexpected keyword" in message and quoted:
        return SpellingError(
            f"{name}: there is no keyword {quoted[-1]!r}", want=ours,
            hint=f"say {KEYWORDS[quoted[-1]]}" if quoted[-1] in KEYWORDS else None,
        )  # fmt: skip
    if "positional-only" in message:
        given = re.findall(r"(\w+)", message.rpartition("'")[0].rpartition("'")[2]) or quoted
        return SpellingError(f"{name}: {', '.join(given)} goes without a keyword", want=ours)
    if "positional argument" in message and next(iter(signature.parameters), "") == "shape":
        return SpellingError(
            f"{name}: the shape is one argument", want=f"ob.{name}((2, 3), dtype=...)"
        )
    return SpellingError(f"{name}: {message.partition('() ')[2] or message}", want=ours)


def _usage(signature: inspect.Signature) -> str:
    """The arguments as one would write them: x, axis=None, keepdims=False."""
    words = []
    for p in signature.parameters.values():
        star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        words.append(star + p.name + ("" if p.default is p.empty else f"={p.default!r}"))
    return ", ".join(words)


def guard(namespaces: dict[str, dict[str, Any]]) -> None:
    """Put `guarded` around the public functions that take keywords."""
    for space, functions in namespaces.items():
        for name, function in functions.items():
            if (
                inspect.isfunction(function)
                and not hasattr(function, "primitive")
                and not hasattr(function, "__wrapped__")
            ):
                functions[name] = guarded(function, f"{space}.{name}".lstrip("."))
