"""Calibration and proper scores by implementations that are not ours, for lib/uncertainty.

    python bench/oracles/uncertainty.py NATURAL_ADV_EXAMPLES LABEL_ERRORS lib/uncertainty/testdata/measures.npz

NATURAL_ADV_EXAMPLES is a checkout of hendrycks/natural-adv-examples, LABEL_ERRORS one of cleanlab/label-errors. Wanted besides:
pip install netcal==1.4.0 scikit-learn torch, and the sources of uncertainty-metrics==0.0.81, by the authors of "Can You Trust Your Model's
Uncertainty?" (pip install --no-deps), whose few calls of TensorFlow are answered by NumPy here.
"""
import sys
import types

import numpy as np
import scipy.optimize
import scipy.special
import sklearn.metrics
from netcal.metrics import ECE, MCE


def numpy_as_tensorflow():
    tf = types.ModuleType("tensorflow")
    tf.int32, tf.float32 = np.int32, np.float64  # double precision, as ours
    tf.argmax = lambda x, axis, output_type: np.argmax(x, axis).astype(output_type)
    tf.reduce_sum = lambda x, axis=None: np.sum(x, axis)
    tf.reduce_mean = lambda x, axis=None: np.mean(x, axis)
    tf.expand_dims, tf.square = np.expand_dims, np.square
    tf.gather = lambda x, at, axis: np.take(x, at, axis)
    tf.one_hot = lambda labels, k: np.eye(k)[labels]

    def confusion_matrix(labels, predictions, k, dtype):
        m = np.zeros((k, k), dtype)
        np.add.at(m, (labels, predictions), 1)
        return m

    tf.math = types.SimpleNamespace(confusion_matrix=confusion_matrix, softmax=scipy.special.softmax)
    return tf


sys.modules["tensorflow"] = numpy_as_tensorflow()
sys.modules["tensorflow_probability"] = types.ModuleType("tensorflow_probability")  # for scores that are not asked for


class Tensor(np.ndarray):
    def get_shape(self):
        return types.SimpleNamespace(as_list=lambda: list(self.shape))


def source(package, path):
    """Runs one file of a package, without the imports of its __init__."""
    import importlib.util
    from importlib.metadata import distribution

    spec = importlib.util.spec_from_file_location(path.replace("/", "_"), distribution(package).locate_file(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


scoring = source("uncertainty-metrics", "uncertainty_metrics/tensorflow/scoring_rules.py")
general = source("uncertainty-metrics", "uncertainty_metrics/numpy/general_calibration_error.py")


def main(natural, label_errors, out):
    sys.path.insert(0, natural)
    import calibration_tools

    rng = np.random.default_rng(6)
    n, k = 600, 5
    # Sure and wrong on some, unsure and right on others, so that the bins differ in sign.
    logits = rng.normal(size=(n, k)).astype(np.float32)
    labels = rng.integers(0, k, n)
    known = rng.random(n)
    logits[np.arange(n), labels] += (2.5 * known).astype(np.float32)
    logits[known < 0.35] *= 3
    logits[known > 0.8] *= 0.6
    p = scipy.special.softmax(logits.astype(np.float64), 1)
    confidence, predicted = p.max(1), p.argmax(1)
    correct = (predicted == labels).astype(float)
    golden = {"logits": logits, "labels": labels.astype(np.int64)}

    golden["accuracy"] = correct.mean()
    for bins in (10, 15):
        golden[f"ece{bins}"] = ECE(bins).measure(p, labels)
        golden[f"mce{bins}"] = MCE(bins).measure(p, labels)
    edges = np.percentile(confidence, np.linspace(0, 100, 13))
    edges[0], edges[-1] = 0, 1
    at = np.digitize(confidence, edges, right=True)
    golden["ece_mass12"] = sum(np.mean(at == b) * abs(confidence[at == b].mean() - correct[at == b].mean()) for b in range(1, 13))
    # The adaptive bins of the same number, by their authors, on the predicted class.
    error = general.GeneralCalibrationError("adaptive", True, False, "l1", num_bins=12)
    error.update_state(labels, p)
    golden["ece_mass12_nixon"] = error.result()
    golden["sce15"] = general.sce(labels, p, num_bins=15)
    golden["ace12"] = general.ace(labels, p, num_bins=12)
    golden["rms_released"] = calibration_tools.calib_err(confidence, correct, p="2", beta=100)
    golden["ece_released"] = calibration_tools.calib_err(confidence, correct, p="1", beta=70)
    golden["aurra"] = calibration_tools.aurra(confidence, correct)
    golden["soft_f1"] = calibration_tools.soft_f1(confidence, correct)
    golden["nll"] = sklearn.metrics.log_loss(labels, p)
    golden["brier"] = sklearn.metrics.brier_score_loss(labels, p, scale_by_half=False)
    golden["brier_parts_released"] = np.array(scoring.brier_decomposition(labels=labels, probabilities=p.view(Tensor)))
    golden["entropy"] = scipy.special.entr(p).sum(1)
    golden["kept"] = np.array([[np.sum(confidence >= t), correct[confidence >= t].mean()] for t in (0, 0.5, 0.9)])
    fit = scipy.optimize.minimize_scalar(lambda t: sklearn.metrics.log_loss(labels, scipy.special.softmax(logits.astype(np.float64) / t, 1)), bounds=(0.05, 20), method="bounded", options={"xatol": 1e-10})
    golden["temperature"] = fit.x
    golden["temperature_released"] = calibration_tools.tune_temp(logits, labels)

    # Real ones, rounded to half precision by their authors.
    for name in ("mnist", "cifar10"):
        real = np.load(f"{label_errors}/cross_validated_predicted_probabilities/{name}_test_set_pyx.npy").astype(np.float32)
        given = np.load(f"{label_errors}/original_test_labels/{name}_test_set_original_labels.npy").astype(int)
        double = real.astype(np.float64)
        golden[name] = np.array([
            ECE(15).measure(double, given), general.sce(given, double, num_bins=15),
            sklearn.metrics.brier_score_loss(given, double / double.sum(1, keepdims=True), scale_by_half=False), *scoring.brier_decomposition(labels=given, probabilities=double.view(Tensor)),
            calibration_tools.soft_f1(double.max(1), (double.argmax(1) == given).astype(float)),
        ])
    np.savez_compressed(out, **{name: np.atleast_1d(v) for name, v in golden.items()})
    for name, v in golden.items():
        print(name, np.asarray(v).ravel()[:7])


main(*sys.argv[1:])
