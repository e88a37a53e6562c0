"""Models of the course notes and of the day, each made of `ob.nn`'s layers.

They are short, to be read and copied. Each has an example in `examples/` that trains it.
"""

from overbar.nn import NTM

from .alexnet import AlexNet
from .charlstm import CharLSTM
from .gpt import GPT
from .lenet import LeNet
from .mlp import MLP

__all__ = ["MLP", "LeNet", "AlexNet", "CharLSTM", "NTM", "GPT"]
