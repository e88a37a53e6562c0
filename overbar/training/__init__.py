"""The loop that trains a model, once, for everyone who only wants it run.

`Trainer` (in `trainer`) is the loop. What it is made of: `step`, what is done with a batch;
`judging`, what is said of a whole set; `record`, where a training stands and the table of its
epochs; `drawing`, the generators it draws from. Who wants another loop writes one; it is ten lines.
"""

from .judging import predict
from .record import Epoch
from .trainer import Trainer, fit

__all__ = ["Trainer", "Epoch", "fit", "predict"]
