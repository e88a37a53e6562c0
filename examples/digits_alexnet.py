"""AlexNet, all 61 million parameters of it, learns a few digits enlarged to 224 × 224 by heart.

That is no use for reading digits. It shows that the whole network trains: the loss goes to zero,
and nothing is NaN on the way.

python examples/digits_alexnet.py
"""

import numpy as np

import overbar as ob

F = ob.nn.functional


def enlarged(X):
    """(N, 64) -> (N, 3, 224, 224): each pixel 28 times each way, grey in three colours."""
    images = (X - X.mean()).reshape(-1, 1, 8, 8).repeat(28, axis=2).repeat(28, axis=3)
    return np.repeat(images, 3, axis=1)


def main(steps=60, images=8, seed=0):
    """The losses, step by step."""
    X, y, _, _ = ob.data.digits()
    x, t = enlarged(X[:images]).astype(np.float32), y[:images]
    model = ob.models.AlexNet(classes=10, dropout=0.0, rng=ob.random.default_rng(seed))
    optimizer = ob.optim.Adam(model.parameters(), lr=1e-4)

    @ob.jit
    def step(x, t):
        L = F.cross_entropy(model(x), t)
        L.backward()
        optimizer.step()
        optimizer.zero_grad()
        return L

    losses = []
    for i in range(1, steps + 1):
        losses.append(float(step(x, t)))
        if i % 5 == 0 or i == 1:
            print(f"step {i:3}   loss {losses[-1]:.4f}")
    return losses


if __name__ == "__main__":
    main()
