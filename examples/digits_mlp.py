"""An MLP learns to read handwritten digits: a plain training loop, compiled.

python examples/digits_mlp.py
"""

import numpy as np

import overbar as ob

F = ob.nn.functional


def main(epochs=20, seed=0):
    """Accuracy on digits it has not seen."""
    rng = ob.random.default_rng(seed)
    X, y, X_test, y_test = ob.data.digits()
    model = ob.models.MLP((64, 100, 10), rng=rng)
    optimizer = ob.optim.Adam(model.parameters(), lr=3e-3)

    @ob.jit
    def step(x, t):
        L = F.cross_entropy(model(x), t)
        L.backward()
        optimizer.step()
        optimizer.zero_grad()
        return L

    for epoch in range(1, epochs + 1):
        loader = ob.data.DataLoader((X, y), batch_size=64, shuffle=True, rng=rng)
        losses = [float(step(x, t)) for x, t in loader]
        right = model(X_test).numpy().argmax(1) == y_test
        print(f"epoch {epoch:2}   loss {np.mean(losses):.4f}   test {right.mean():.1%}")
    return right.mean()


if __name__ == "__main__":
    main()
