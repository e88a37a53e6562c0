"""`ob.special`: Special functions, each defined once in `ops`."""

from .ops import methods as _methods  # noqa: F401  (defines them)
from .primitive import PUBLIC

globals().update(PUBLIC["special"], __all__=sorted(PUBLIC["special"]))
