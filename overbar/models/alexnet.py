"""AlexNet, the original: grouped convolutions, response normalisation, overlapping pooling."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import overbar as ob
from overbar import nn

__all__ = ["AlexNet"]


class AlexNet(nn.Module):
    """A classifier of images: 60,965,224 parameters for 1,000 classes.

    The two groups are the original's two graphics cards. The paper writes 224 for what must have
    been 227 numbers across; a border of 2 gives the same 55.

    Shapes:  x (N, 3, 224, 224)  ->  logits (N, classes)
    checkpoint: in training the layers up to a pooling keep what goes in only, and are computed
             again on the way back.
    Source:  Krizhevsky, Sutskever, Hinton (2012), ImageNet classification with deep convolutional
             neural networks.
    """

    def __init__(
        self,
        classes: int = 1000,
        dropout: float = 0.5,
        *,
        checkpoint: bool = False,
        rng: Any = None,
        dtype: Any = None,
    ) -> None:
        self.classes, self.dropout, self.checkpoint = classes, dropout, checkpoint
        how = {"rng": rng, "dtype": dtype}

        def brightness() -> nn.Module:  # their α = 10⁻⁴ multiplies the sum over n = 5 channels
            return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)

        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 11, stride=4, padding=2, **how),
            nn.ReLU(),
            brightness(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(96, 256, 5, padding=2, groups=2, **how),
            nn.ReLU(),
            brightness(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(256, 384, 3, padding=1, **how),
            nn.ReLU(),
            nn.Conv2d(384, 384, 3, padding=1, groups=2, **how),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1, groups=2, **how),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096, **how),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096, **how),
            nn.ReLU(),
            nn.Linear(4096, classes, **how),
        )

    def forward(self, x: Any) -> ob.Tensor:
        if not (self.checkpoint and self.training):
            return self.classifier(self.features(x))
        for stage in self._stages():
            x = ob.checkpoint(stage)(x)
        return self.classifier(x)

    def _stages(self) -> Iterator[Callable[[Any], ob.Tensor]]:
        """The features up to each pooling, as functions."""
        layers: list[Any] = []
        for layer in self.features:
            layers.append(layer)
            if isinstance(layer, nn.MaxPool2d):
                yield lambda x, layers=tuple(layers): functools.reduce(lambda y, f: f(y), layers, x)
                layers.clear()
