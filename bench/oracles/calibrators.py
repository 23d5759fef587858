"""Calibrators by netcal, scikit-learn and SciPy, for lib/uncertainty.

    python bench/oracles/calibrators.py lib/uncertainty/testdata/calibrators.npz

Wanted: pip install netcal==1.4.0 scikit-learn==1.9.1 scipy==1.17.1 torch. netcal's import of TensorBoard, which is not used, is left unanswered.
"""
import sys
import types

import numpy as np
import scipy.optimize
import scipy.special

sys.modules["torch.utils.tensorboard"] = types.ModuleType("torch.utils.tensorboard")
sys.modules["torch.utils.tensorboard"].SummaryWriter = None
from netcal.binning import HistogramBinning, IsotonicRegression
from netcal.scaling import LogisticCalibration
from sklearn.isotonic import IsotonicRegression as OneIsotonic
from sklearn.linear_model import LogisticRegression


def main(out):
    rng = np.random.default_rng(8)
    k, n, m = 5, 400, 120

    def draw(n, parts):
        true = scipy.special.softmax(1.5 * rng.normal(size=(n, k)), 1)
        labels = np.array([rng.choice(k, p=p) for p in true])
        logits = np.log(true) * np.array([2.0, 1.5, 2.5, 1.0, 0.8]) + np.array([0.5, 0, -1, 0, 0.3])
        p = scipy.special.softmax(logits, 1)
        p[: n // 2] = np.round(parts * p[: n // 2])  # equal ones
        return (p / p.sum(1, keepdims=True)).astype(np.float32), labels

    fit, labels = draw(n, 487)
    fit = np.clip(fit, 1e-6, 1).astype(np.float32)
    asked, _ = draw(m, 97)
    asked[0], asked[1] = [0, 0, 1, 0, 0], [1, 0, 0, 0, 0]
    for bins in (10, 15):  # netcal fits [lo, hi) and applies (lo, hi]
        assert not np.isin(np.concatenate([fit, asked]).astype(np.float64), np.linspace(0, 1, bins + 1)[1:-1]).any()
    golden = {"fit": fit, "labels": labels, "asked": asked}
    fit, asked = fit.astype(np.float64), asked.astype(np.float64)
    for bins in (10, 15):
        golden[f"histogram{bins}"] = HistogramBinning(bins).fit(fit, labels).transform(asked)
    with np.errstate(invalid="ignore"):
        golden["isotonic"] = IsotonicRegression().fit(fit, labels).transform(asked)
    golden["isotonic_class1"] = OneIsotonic(y_min=0, y_max=1, out_of_bounds="clip").fit(fit[:, 1], labels == 1).predict(asked[:, 1])

    # Two classes: netcal looks at the second one alone.
    two = 0.97 * fit[:, 3] / (fit[:, 3] + fit[:, 4]) + 0.0131
    of_two = labels >= 3
    golden["two"] = np.stack([two, 1 - two], 1)[of_two].astype(np.float32)
    golden["two_labels"] = labels[of_two] - 3
    pair = golden["two"].astype(np.float64)
    assert not np.isin(golden["two"], np.linspace(0, 1, 11).astype(np.float32)).any()
    golden["two_isotonic"] = IsotonicRegression().fit(pair[:, 1], golden["two_labels"]).transform(pair[:, 1])
    golden["two_histogram"] = HistogramBinning(10).fit(pair[:, 1], golden["two_labels"]).transform(pair[:, 1])

    # Vector scaling: netcal takes its optimum by finite differences, SciPy by the gradient.
    log = np.log(fit)
    clipped = np.log(np.clip(asked, 2.0**-52, 1 - 2.0**-52))
    netcal = LogisticCalibration(method="mle")
    netcal.fit(fit, labels, tensorboard=False)
    golden["vector_netcal"] = netcal.transform(asked)

    def loss(w):
        z = log * w[:k] + w[k:]
        p = scipy.special.softmax(z, 1)
        p[np.arange(n), labels] -= 1
        return -scipy.special.log_softmax(z, 1)[np.arange(n), labels].mean(), np.concatenate([(p * log).mean(0), p.mean(0)])

    best = scipy.optimize.minimize(loss, np.concatenate([np.ones(k), np.zeros(k)]), jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 10000})
    golden["vector_weights"], golden["vector_bias"] = best.x[:k], best.x[k:] - best.x[k:].mean()
    golden["vector"] = scipy.special.softmax(clipped * best.x[:k] + best.x[k:], 1)
    golden["vector_loss"] = np.array([best.fun])

    temperature = LogisticCalibration(method="mle", temperature_only=True)
    temperature.fit(fit, labels, tensorboard=False)
    golden["temperature_netcal"] = temperature.transform(asked)

    matrix = LogisticRegression(C=np.inf, tol=1e-10, max_iter=100000).fit(log, labels)
    golden["matrix"] = matrix.predict_proba(clipped)
    np.savez_compressed(out, **{name: np.ascontiguousarray(v) for name, v in golden.items()})
    for name, v in golden.items():
        print(name, v.shape, v.ravel()[:5])
    print("vector scaling: netcal is off by", abs(golden["vector"] - golden["vector_netcal"]).max())


main(*sys.argv[1:])
