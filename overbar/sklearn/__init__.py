"""Networks as scikit-learn's estimators: `MLPClassifier` and `MLPRegressor`.

Names, arguments and attributes are those of `sklearn.neural_network`, so that one takes the place
of the other, in pipelines and searches too. The network itself is `model_`, an `ob.models.MLP`,
and can be asked whatever a model can be asked. scikit-learn is an optional package.
"""

from overbar.errors import MissingPackageError

try:
    import sklearn as _theirs  # noqa: F401  (scikit-learn; this package goes by its full name)
except ImportError:
    raise MissingPackageError(
        "overbar.sklearn: scikit-learn is not installed", hint="pip install 'overbar[sklearn]'"
    ) from None

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
