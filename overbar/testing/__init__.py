"""`ob.testing`: is a derivative right? `check_gradients` asks central differences; `check_backward`
tells the author of a backward of their own, in words, what is wrong with it.
"""

from .backwards import Finding, Report, check_backward
from .gradients import check_gradients

__all__ = ["Finding", "Report", "check_backward", "check_gradients"]
