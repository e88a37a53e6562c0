"""LeNet: two convolutions, two means, three linear maps."""

from __future__ import annotations

from typing import Any

import overbar as ob
from overbar import nn

__all__ = ["LeNet"]


class LeNet(nn.Module):
    """A classifier of small images, LeNet-5 as it is built today: 61,706 parameters for 10 classes.

    The maps of the second convolution see all of the first, not the original's chosen few.

    Shapes:  x (N, 1, 28, 28)  ->  logits (N, classes)
    Source:  LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document
             recognition.
    Example:
        >>> ob.models.LeNet()(np.ones((2, 1, 28, 28))).shape
        (2, 10)
    """

    def __init__(self, classes: int = 10, *, rng: Any = None, dtype: Any = None) -> None:
        self.classes = classes
        how = {"rng": rng, "dtype": dtype}
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2, **how),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5, **how),
            nn.Tanh(),
            nn.AvgPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(400, 120, **how),
            nn.Tanh(),
            nn.Linear(120, 84, **how),
            nn.Tanh(),
            nn.Linear(84, classes, **how),
        )

    def forward(self, x: Any) -> ob.Tensor:
        return self.classifier(self.features(x))
