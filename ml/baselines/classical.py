"""SVM, decision tree, k-nearest neighbours, random forest and logistic regression, with settings fixed beforehand.

No setting was chosen by a figure reported here: they are scikit-learn's defaults but for class weights (the classes are
uneven) and the least sizes that keep a tree from learning single images by heart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from ml.baselines.comparison import FitPredict, Scores
from ml.contract import LABELS

RIDGE = 0.01
"""Inverse strength of the logistic regression's L2 penalty on standardised features: there are more of these (1,280)
than images in some folds."""


def svm() -> Any:
    """RBF support vector machine (Cortes and Vapnik 1995) on standardised features."""
    return make_pipeline(StandardScaler(), SVC(kernel="rbf", C=1.0, class_weight="balanced", break_ties=True))


def decision_tree() -> Any:
    """CART (Breiman et al. 1984)."""
    return DecisionTreeClassifier(min_samples_leaf=5, class_weight="balanced", random_state=0)


def nearest_neighbours() -> Any:
    """Seven nearest neighbours on standardised features, weighted by their nearness."""
    return make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors=7, weights="distance"))


def random_forest() -> Any:
    """Random forest (Breiman 2001) of 300 trees."""
    return RandomForestClassifier(
        n_estimators=300, min_samples_leaf=2, class_weight="balanced", n_jobs=1, random_state=0
    )


def logistic_regression() -> Any:
    """Ridge-penalised logistic regression on standardised features."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=RIDGE, max_iter=1000))


CLASSICAL: dict[str, Callable[[], Any]] = {
    "SVM (RBF)": svm,
    "decision tree": decision_tree,
    "k-NN": nearest_neighbours,
    "random forest": random_forest,
}


def classifier(make: Callable[[], Any], features: NDArray[np.floating], labels: NDArray[np.intp]) -> FitPredict:
    """Bind a classifier to features (N, K) and labels (N,): from indices to scores, see :data:`FitPredict`."""

    def fit_predict(train: NDArray[np.intp], held_out: NDArray[np.intp]) -> Scores:
        model = make()
        model.fit(features[train], labels[train])
        return scores_of(model, features[held_out])

    return fit_predict


def scores_of(model: Any, features: NDArray[np.floating]) -> Scores:
    """Scores (N, labels) of a fitted scikit-learn classifier; labels that it never saw get ``-inf``."""
    if hasattr(model, "predict_proba"):
        known = np.asarray(model.predict_proba(features), np.float64)
    else:
        known = np.asarray(model.decision_function(features), np.float64)
        if known.ndim == 1:
            # Two classes: one distance from the boundary, positive for the second.
            known = np.stack([-known, known], axis=1)
    scores = np.full((len(features), len(LABELS)), -np.inf)
    scores[:, np.asarray(model.classes_, np.intp)] = known
    return scores
