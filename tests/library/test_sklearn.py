"""scikit-learn's face: its own checks, agreement with its networks, and what only we promise."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import overbar as ob
from overbar.errors import DomainError
from overbar.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@parametrize_with_checks([MLPClassifier(max_iter=60), MLPRegressor(max_iter=60)])
def test_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)


# -- beside scikit-learn's own networks ---------------------------------------------------------


def near(ours, theirs, X, y, by):
    """Two estimators trained on the same part; ours is at most so much worse on the rest."""
    Xa, Xb, ya, yb = train_test_split(X, y, random_state=0)
    for model in (ours, theirs):
        model.fit(Xa, ya)
    return ours.score(Xb, yb) > theirs.score(Xb, yb) - by


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_irises_are_told_apart_as_well_as_by_scikit_learn(solver):
    X, y = load_iris(return_X_y=True)
    how = {"solver": solver, "random_state": 0}
    models = [c(**how) for c in (MLPClassifier, theirs.MLPClassifier)]
    assert near(*[make_pipeline(StandardScaler(), m) for m in models], X, y, by=0.03)


def test_digits_are_told_apart_as_well_as_by_scikit_learn():
    X, y = load_digits(return_X_y=True)
    how = {"hidden_layer_sizes": (40,), "max_iter": 20, "random_state": 0}
    models = [c(**how) for c in (MLPClassifier, theirs.MLPClassifier)]
    assert near(*models, X, y, by=0.02)
    assert models[0].score(X, y) > 0.96


def test_diabetes_is_predicted_as_well_as_by_scikit_learn():
    X, y = load_diabetes(return_X_y=True)
    how = {"solver": "sgd", "random_state": 0}
    models = [c(**how) for c in (MLPRegressor, theirs.MLPRegressor)]
    y = (y - y.mean()) / y.std()
    assert near(*[make_pipeline(StandardScaler(), m) for m in models], X, y, by=0.05)


def test_the_loss_of_given_weights_is_scikit_learns(rng):
    X, y = rng.standard_normal((30, 4)), rng.integers(0, 3, 30)
    ours = MLPClassifier((5,), "tanh", alpha=0.3, solver="lbfgs", random_state=0, tol=1e-9)
    other = theirs.MLPClassifier((5,), "tanh", alpha=0.3, solver="lbfgs", random_state=0, tol=1e-9)
    assert ours.fit(X, y).loss_ == pytest.approx(other.fit(X, y).loss_, rel=1e-2)
    other.coefs_, other.intercepts_ = ours.coefs_, ours.intercepts_
    np.testing.assert_allclose(other.predict_proba(X), ours.predict_proba(X), rtol=1e-12)


# -- what is promised ---------------------------------------------------------------------------


@pytest.fixture
def blobs(rng):
    y = rng.integers(0, 3, 120)
    return rng.standard_normal((120, 2)) + 4 * np.eye(3)[y, :2], np.array(["red", "green", "blue"])[
        y
    ]


def test_classes_of_any_kind_come_back(blobs):
    X, y = blobs
    model = MLPClassifier((16,), random_state=0, learning_rate_init=0.01).fit(X, y)
    assert model.classes_.tolist() == ["blue", "green", "red"]
    assert (model.predict(X) == y).mean() > 0.9
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p, rtol=1e-12)
    assert (model.classes_[p.argmax(1)] == model.predict(X)).all()


def test_the_network_is_a_model_that_can_be_asked(blobs):
    X, y = blobs
    model = MLPClassifier((16,), random_state=0).fit(X, y)
    assert isinstance(model.model_, ob.models.MLP)
    h = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    z = h @ model.coefs_[1] + model.intercepts_[1]
    np.testing.assert_allclose(model.model_(X).numpy(), z, rtol=1e-10)
    assert (model.n_layers_, model.n_outputs_) == (3, 3)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_weight_counts_as_so_many_rows(solver, rng):
    X, t, w = rng.standard_normal((20, 3)), rng.standard_normal(20), rng.integers(0, 4, 20)
    model = MLPRegressor((6,), "tanh", solver=solver, random_state=0, max_iter=50, shuffle=False)
    weighed = clone(model).fit(X, t, w).predict(X)
    repeated = clone(model).fit(np.repeat(X, w, 0), np.repeat(t, w)).predict(X)
    np.testing.assert_allclose(weighed, repeated, rtol=1e-5)


def test_rows_of_several_labels(rng):
    X = rng.standard_normal((200, 2))
    y = (X > 0).astype(int)
    model = MLPClassifier((16,), solver="lbfgs", random_state=0).fit(X, y)
    assert (model.predict(X) == y).mean() > 0.97
    assert model.predict_proba(X).shape == (200, 2)


def test_several_numbers_are_predicted_in_their_columns(rng):
    X = rng.standard_normal((100, 2))
    y = np.stack([X.sum(1), X[:, 0] * X[:, 1]], 1)
    model = MLPRegressor((20,), "tanh", solver="lbfgs", random_state=0, max_iter=500).fit(X, y)
    assert model.predict(X).shape == (100, 2)
    assert model.score(X, y) > 0.99
    assert model.fit(X, y[:, 0]).predict(X).shape == (100,)


def test_single_precision_stays_single_precision(blobs):
    X, y = blobs
    for solver in ("adam", "lbfgs"):
        model = MLPClassifier((8,), solver=solver, max_iter=20, random_state=0)
        p = model.fit(X.astype(np.float32), y).predict_proba(X)
        assert p.dtype == model.coefs_[0].dtype == np.float32


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_part_at_a_time_learns_and_a_pickle_goes_on_where_it_was(blobs, solver):
    X, y = blobs
    model = MLPClassifier((16,), solver=solver, random_state=0, learning_rate_init=0.02)
    with pytest.raises(ValueError, match="classes must be passed"):
        clone(model).partial_fit(X, y)
    for _ in range(20):
        for part in (slice(0, 60), slice(60, 120)):
            model.partial_fit(X[part], y[part], classes=np.unique(y))
    assert model.score(X, y) > 0.9
    other = pickle.loads(pickle.dumps(model))  # noqa: S301  (our own)
    assert other.partial_fit(X, y).loss_ == model.partial_fit(X, y).loss_
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    with pytest.raises(DomainError, match="not in classes_"):
        model.partial_fit(X, np.full(120, "violet"))


def test_a_long_fit_is_compiled_and_learns_the_same(blobs, monkeypatch):
    X, y = blobs
    model = MLPClassifier((8,), random_state=0, max_iter=8, batch_size=20)
    eager = clone(model).fit(X, y)
    monkeypatch.setattr("overbar.sklearn.training.PATIENCE", 10)
    compiled = clone(model).fit(X, y)
    assert "trace" in repr(compiled._training._compiled)
    assert "0 traces" in repr(eager._training._compiled)
    np.testing.assert_allclose(compiled.loss_curve_, eager.loss_curve_, rtol=1e-9)


def test_a_warm_start_goes_on(blobs):
    X, y = blobs
    model = MLPClassifier((8,), random_state=0, max_iter=5, warm_start=True).fit(X, y)
    before = model.loss_
    assert len(model.fit(X, y).loss_curve_) == 10
    assert model.loss_ < before
    assert len(model.set_params(warm_start=False).fit(X, y).loss_curve_) == 5


def test_stopping_early_keeps_what_was_best_on_rows_held_back(blobs):
    X, y = blobs
    model = MLPClassifier(
        (16,), early_stopping=True, n_iter_no_change=3, random_state=0, learning_rate_init=0.05
    ).fit(X, y)
    assert model.n_iter_ == len(model.validation_scores_) < 200
    assert model.best_validation_score_ == max(model.validation_scores_)
    with pytest.raises(ValueError, match="class"):
        model.fit(X[:6], y[:6])
    with pytest.raises(DomainError, match="early_stopping=False"):
        model.partial_fit(X, y)


def test_training_stops_when_nothing_gets_better_and_says_when_it_could_not(blobs):
    X, y = blobs
    done = MLPClassifier((8,), random_state=0, learning_rate_init=0.1, tol=0.01).fit(X, y)
    assert done.n_iter_ < 200
    assert done.best_loss_ == min(done.loss_curve_)
    for solver in ("adam", "lbfgs"):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            MLPClassifier((8,), solver=solver, max_iter=2).fit(X, y)
        assert [w.category for w in said] == [ConvergenceWarning]
        assert said[0].filename == __file__


def test_a_search_and_a_pipeline_take_it(blobs):
    X, y = blobs
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=30, random_state=0))
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 1e3]}, cv=2).fit(X, y)
    assert search.best_params_ == {"mlpclassifier__alpha": 1e-4}
    assert search.score(X, y) > 0.5


def test_the_loss_is_printed_if_asked_for(blobs, capsys):
    for solver in ("sgd", "lbfgs"):
        MLPClassifier((4,), solver=solver, max_iter=2, verbose=True).fit(*blobs)
        said = capsys.readouterr().out.splitlines()
        assert [line.partition(",")[0] for line in said] == ["Iteration 1", "Iteration 2"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden_layer_sizes": (5, 0)}, {"activation": "sine"}, {"solver": "newton"},
        {"alpha": -1.0}, {"batch_size": 0}, {"learning_rate_init": 0.0}, {"max_iter": 0},
        {"momentum": 1.0}, {"validation_fraction": 1.0}, {"n_iter_no_change": 0},
    ],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_refused_by_name(blobs, wrong):
    (name,) = wrong
    with pytest.raises(DomainError, match=f"MLPClassifier: {name}="):
        MLPClassifier(**wrong).fit(*blobs)
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")


def test_weights_that_grow_beyond_all_numbers_are_told_of(blobs):
    X, _ = blobs
    model = MLPRegressor((8,), "identity", solver="sgd", learning_rate_init=1e6, max_iter=60)
    with np.errstate(all="ignore"), pytest.raises(ob.errors.NonFiniteError, match="StandardScaler"):
        model.fit(X, X[:, 0])


def test_without_scikit_learn_it_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None; import overbar.sklearn"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "pip install 'overbar[sklearn]'" in done.stderr
