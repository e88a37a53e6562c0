"""`ob.linalg`: Linear algebra, each defined once in `ops`."""

from .ops import methods as _methods  # noqa: F401  (defines them)
from .primitive import PUBLIC

globals().update(PUBLIC["linalg"], __all__=sorted(PUBLIC["linalg"]))
