"""Faces of other libraries: code written for them runs here after its import line is changed.

`overbar.compat.autograd` is HIPS autograd's. `redirect("autograd")` changes the import line of
packages that are not yours.
"""

from .redirect import redirect

__all__ = ["redirect"]
