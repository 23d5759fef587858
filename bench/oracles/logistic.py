"""scikit-learn's logistic regression on its digits, for lib/learn.

    python bench/oracles/logistic.py lib/learn/testdata/logistic.npz

Wanted: pip install scikit-learn
"""
import sys

import numpy as np
from scipy.special import log_softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression


def main(out):
    x, y = load_digits(return_X_y=True)
    golden = {"x": x.astype(np.uint8), "y": y.astype(np.int64)}
    x = x / 16
    for name, penalty in (("small", 1e-2), ("one", 1.0), ("large", 100.0)):
        fit = LogisticRegression(C=1 / penalty, tol=1e-12, max_iter=10000, solver="newton-cholesky").fit(x, y)  # to the end, where L-BFGS stops before
        loss = -log_softmax(x @ fit.coef_.T + fit.intercept_, 1)[np.arange(len(y)), y].sum()
        golden[name] = np.array([penalty, loss + penalty / 2 * (fit.coef_**2).sum(), loss])
        golden[name + "_weights"] = np.ascontiguousarray(fit.coef_)
        golden[name + "_bias"] = fit.intercept_ - fit.intercept_.mean()  # a constant added to all changes nothing
        print(name, golden[name], fit.n_iter_)
    np.savez_compressed(out, **golden)


main(*sys.argv[1:])
