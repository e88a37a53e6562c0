"""The models: sizes, shapes, what they compute one token at a time, and that they learn."""

import numpy as np
import pytest

import overbar as ob
from overbar import models, nn
from overbar.errors import DomainError, ShapeError


def size(model):
    return sum(p.size for p in model.parameters())


def test_alexnet_has_the_originals_60_965_224_parameters_and_shapes():
    model = models.AlexNet()
    assert size(model) == 60_965_224
    x, shapes = np.zeros((1, 3, 224, 224), np.float32), []
    for layer in model.eval().features:
        x = layer(x)
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            shapes.append(x.shape[1:])
    assert shapes == [
        (96, 55, 55), (96, 27, 27), (256, 27, 27), (256, 13, 13), (384, 13, 13), (384, 13, 13),
        (256, 13, 13), (256, 6, 6),
    ]  # fmt: skip
    assert model.classifier(x).shape == (1, 1000)


def test_lenet_has_61_706_parameters():
    model = models.LeNet()
    assert size(model) == 61_706
    assert model(np.zeros((2, 1, 28, 28))).shape == (2, 10)


def test_an_mlp_is_its_linear_maps_and_what_stands_between(rng):
    model = models.MLP((3, 5, 4, 2), "tanh", dtype=np.float64)
    h = x = rng.standard_normal((6, 3))
    for layer in list(model.layers)[::2]:
        h = h @ layer.weight.numpy().T + layer.bias.numpy()
        h = np.tanh(h) if layer is not model.layers[-1] else h
    np.testing.assert_allclose(model(x).numpy(), h, rtol=1e-12)
    with pytest.raises(DomainError, match="one of relu"):
        models.MLP((3, 2), "sine")
    with pytest.raises(ShapeError, match="input and output"):
        models.MLP((3,))


def trained(step, steps):
    run = ob.jit(step)
    return [float(run()) for _ in range(steps)]


# -- text -------------------------------------------------------------------------------------


@pytest.fixture
def gpt():
    return models.GPT(
        11, context=12, width=8, heads=2, layers=2, rng=ob.random.default_rng(0), dtype=np.float64
    )


def test_a_token_at_a_time_gives_the_logits_of_all_at_once(gpt, rng):
    index = rng.integers(0, 11, (3, 12))
    whole, cache = gpt(index).numpy(), gpt.cache(3)
    for at in range(12):
        logits, cache = gpt.step(index[:, at], np.array(at), cache)
        np.testing.assert_allclose(logits.numpy(), whole[:, at], rtol=1e-9, atol=1e-12)


def test_what_is_generated_without_chance_is_the_likeliest_each_time(gpt):
    index = np.array([[1, 2, 3], [4, 5, 6]])
    more = gpt.generate(index, 6, temperature=0)
    for _ in range(6):
        last = gpt(index)[:, -1].numpy()
        index = np.concatenate([index, last.argmax(-1)[:, None]], 1)
    assert more.tolist() == index[:, 3:].tolist()
    with pytest.raises(ShapeError, match="up to 13"):
        gpt.generate(index, 9)
    with pytest.raises(ShapeError, match="up to 12 tokens"):
        gpt(np.zeros((1, 13), int))


def test_draws_follow_the_seed_and_stay_among_the_likeliest(gpt):
    logits = gpt(np.array([[1]]))[0, -1].numpy()
    likeliest = set(np.argsort(logits)[-3:].tolist())
    draw = lambda seed: gpt.generate(
        np.ones((200, 1), int), 1, top=3, rng=ob.random.default_rng(seed)
    )
    assert set(draw(0).ravel().tolist()) == likeliest
    assert (draw(0) == draw(0)).all()
    assert (draw(0) != draw(1)).any()


def test_the_head_of_gpt_is_its_embedding(gpt):
    assert sum(name.startswith("tokens") for name, _ in gpt.named_parameters()) == 1
    assert size(gpt) == 11 * 8 + 12 * 8 + 2 * (12 * 8 * 8 + 13 * 8) + 2 * 8


def test_a_character_at_a_time_gives_the_logits_of_all_at_once(rng):
    model, index = models.CharLSTM(7, 5, 2, dtype=np.float64), rng.integers(0, 7, (3, 9))
    whole, state = model(index)[0].numpy(), None
    for at in range(9):
        logits, state = model.step(index[:, at : at + 1], state)
        np.testing.assert_allclose(logits[:, 0].numpy(), whole[:, at], rtol=1e-10)
    more = model.generate(index, 4, temperature=0)
    both = np.concatenate([index, more], 1)
    assert model(both)[0][:, 8:12].numpy().argmax(-1).tolist() == more.tolist()


@pytest.mark.parametrize("kind", ["gpt", "lstm"])
def test_a_model_of_text_learns_a_sentence_by_heart(kind):
    text = np.array([ord(c) - 97 for c in "thequickbrownfoxjumpsoverthelazydog"])[None]
    rng = ob.random.default_rng(0)
    if kind == "gpt":
        model = models.GPT(26, 40, width=16, heads=2, layers=1, rng=rng)
    else:
        model = models.CharLSTM(26, 24, rng=rng)
    optimizer = ob.optim.Adam(model.parameters(), lr=1e-2)

    def step():
        z = model(text[:, :-1])
        z = z[0] if isinstance(z, tuple) else z
        L = nn.functional.cross_entropy(z, text[:, 1:], axis=-1)
        L.backward()
        optimizer.step()
        optimizer.zero_grad()
        return L

    losses = trained(step, 200)
    assert losses[0] > 1
    assert losses[-1] < 0.05
    assert model.generate(text[:, :4], 8, temperature=0).tolist() == text[:, 4:12].tolist()


# -- the Neural Turing Machine ----------------------------------------------------------------


def machine(**sizes):
    how = {"rows": 5, "width": 3, "hidden_size": 4, "read_heads": 2, "write_heads": 2} | sizes
    return nn.NTM(3, 2, **how, rng=ob.random.default_rng(0), dtype=np.float64)


def test_every_head_looks_at_rows_that_sum_to_one(rng):
    y, state = machine()(rng.standard_normal((6, 4, 3)))
    assert y.shape == (6, 4, 2)
    assert state.at.shape == (4, 4, 5)
    np.testing.assert_allclose(state.at.sum(-1).numpy(), 1, rtol=1e-9)
    assert (state.at.numpy() > 0).all()


def test_heads_begin_at_the_first_row_and_stay_near_it(rng):
    """Before any training the gate lets little in that content says, wherever a head looks."""
    model = machine(rows=12)
    start = model.start(4).at.numpy()
    assert (start[..., 0] > 0.99).all()
    _, state = model.step(rng.standard_normal((4, 3)), model.start(4))
    assert (state.at.numpy()[..., [-1, 0, 1]].sum(-1) > 0.9).all()


def test_a_row_hardly_written_has_a_small_gradient(rng):
    """cos alone would have one of the size of 1 / |row|, here a million."""
    key = ob.asarray(rng.standard_normal((1, 1, 3)))
    cosines = lambda rows: nn.ntm._cosines(key, rows).sum()
    flat = ob.grad(cosines)(np.full((1, 5, 3), 1e-6))
    assert 0 < abs(flat).max() < 100
    assert float(cosines(10 * key)) == pytest.approx(1, rel=1e-3)


def test_a_shift_moves_where_a_head_looked():
    """Told to ignore content, to shift right and to be sharp, a head moves on by one row."""
    model = machine(read_heads=1, write_heads=1)
    state = model.start(1)
    state = state._replace(at=ob.asarray(np.eye(5)[None, [1, 4]]))
    told = np.zeros((1, 2, 9))
    told[..., 4] = -100.0  # the gate: as before
    told[..., 5:8] = [-50.0, -50.0, 50.0]  # shifts by −1, 0, 1
    at = model._looked(ob.asarray(told.reshape(1, -1)), state).numpy()
    assert at[0].argmax(-1).tolist() == [2, 0]


def test_a_sequence_in_two_parts_carries_its_memory_over(rng):
    model, x = machine(), rng.standard_normal((6, 2, 3))
    y, end = model(x)
    first, state = model(x[:2])
    second, last = model(x[2:], state)
    np.testing.assert_allclose(ob.concat([first, second]).numpy(), y.numpy(), rtol=1e-12)
    np.testing.assert_allclose(last.memory.numpy(), end.memory.numpy(), rtol=1e-12)
    with pytest.raises(ShapeError, match="takes 3 features"):
        model(x[..., :2])
    with pytest.raises(ShapeError, match="heads of each kind"):
        machine(read_heads=0)


def test_gradients_of_the_machine_are_those_of_differences(rng):
    model = machine(rows=3, width=2, hidden_size=2, read_heads=1)
    for p in model.parameters():
        p.rebind(ob.tensor(0.7 * rng.standard_normal(p.shape)))
    x = rng.standard_normal((2, 1, 3))
    ob.testing.check_gradients(lambda m, x: m(x)[0], model, x, order=1)


def test_the_machine_runs_compiled_as_it_runs_eagerly(rng):
    model, x = machine(), rng.standard_normal((4, 2, 3))
    f = lambda m, x: (m(x)[0] ** 2).sum()
    eager, compiled = ob.grad(f)(model, x), ob.jit(ob.grad(f))(model, x)
    for (name, a), b in zip(eager.named_parameters(), compiled.parameters(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


def test_models_are_saved_and_built_again(tmp_path):
    for model in (models.MLP((3, 4, 2)), models.LeNet(), models.CharLSTM(5, 4), machine(),
                  models.GPT(5, 6, 4, 2, 1)):  # fmt: skip
        ob.save(model, tmp_path / "model.safetensors")
        again = ob.load(tmp_path / "model.safetensors")
        assert repr(again) == repr(model)
        for p, q in zip(again.parameters(), model.parameters(), strict=True):
            np.testing.assert_array_equal(p.numpy(), q.numpy())
