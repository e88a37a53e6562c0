"""LeNet learns to read handwritten digits, enlarged to the 28 × 28 that it was made for.

python examples/digits_lenet.py
"""

import numpy as np

import overbar as ob

F = ob.nn.functional


def enlarged(X):
    """(N, 64) -> (N, 1, 28, 28): each pixel three times each way, and a white border of two."""
    images = X.reshape(-1, 1, 8, 8).repeat(3, axis=2).repeat(3, axis=3)
    return np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))


def main(epochs=10, samples=None, seed=0):
    """Accuracy on digits it has not seen."""
    rng = ob.random.default_rng(seed)
    X, y, X_test, y_test = ob.data.digits()
    X, X_test = enlarged(X[:samples]), enlarged(X_test)
    model = ob.models.LeNet(rng=rng)
    optimizer = ob.optim.Adam(model.parameters(), lr=2e-3)

    @ob.jit
    def step(x, t):
        L = F.cross_entropy(model(x), t)
        L.backward()
        optimizer.step()
        optimizer.zero_grad()
        return L

    for epoch in range(1, epochs + 1):
        loader = ob.data.DataLoader((X, y[:samples]), batch_size=32, shuffle=True, rng=rng)
        losses = [float(step(x, t)) for x, t in loader]
        right = model(X_test).numpy().argmax(1) == y_test
        print(f"epoch {epoch:2}   loss {np.mean(losses):.4f}   test {right.mean():.1%}")
    return right.mean()


if __name__ == "__main__":
    main()
