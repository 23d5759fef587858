"""Where rules have edges: values on the ends of bins, equal confidences, thresholds that are just reached. By NumPy, SciPy, scikit-learn and the authors' code.

    python bench/oracles/edges.py NATURAL_ADV_EXAMPLES lib

NATURAL_ADV_EXAMPLES is a checkout of hendrycks/natural-adv-examples. Writes testdata/edges.npz in lib/uncertainty, lib/stats, lib/ood, lib/shift, lib/spurious,
lib/transfer, lib/display, lib/labels, lib/data and lib/learn. Wanted: pip install torch scikit-learn cleanlab==2.9.0
"""
import itertools
import sys
from pathlib import Path

import numpy as np
import scipy.special
import scipy.stats
import sklearn.metrics
import torch
from scipy.spatial.distance import jensenshannon
from sklearn.calibration import calibration_curve
from torch.distributions import Normal, kl_divergence


def uncertainty(natural):
    sys.path.insert(0, natural)
    import calibration_tools

    golden = {}
    # Values on and beside the edges of 100 bins of one width, some of which k/100*100 does not give back, and on the edges of bins of equal mass.
    on = np.arange(101) / 100
    values = np.concatenate([on, np.nextafter(on[1:], 0), np.nextafter(on[:-1], 1)])
    golden["width_values"], golden["width_bins"] = values, np.maximum(np.digitize(values, on, right=True) - 1, 0)
    tied = np.sort(np.array([1, 1, 3, 3, 3, 4, 8, 8, 9, 20, 20, 20, 21, 30, 31, 31, 40]) / 64)
    edges = np.quantile(tied, np.arange(9) / 8)
    edges[0], edges[-1] = 0, 1
    golden["mass_values"], golden["mass_bins"] = tied, np.digitize(tied, edges, right=True) - 1
    golden["mass_edges"] = edges

    # Seven images, three and two of them equally sure. What chance does to the order of equal ones, the mean over all orders takes away.
    confidence, correct = np.array([0.75, 0.5, 0.75, 0.625, 0.75, 0.5, 1.0]), np.array([1, 0, 0, 1, 1, 1, 0])
    orders = [list(o) for o in itertools.permutations(range(7))]
    golden["tied_confidence"], golden["tied_correct"] = confidence, correct.astype(np.int64)
    golden["tied_aurra"] = np.array([np.mean([calibration_tools.aurra(confidence[o], correct[o]) for o in orders])])
    golden["tied_kept"] = np.array([[np.sum(confidence >= t), correct[confidence >= t].mean()] for t in (0.5, 0.625, 0.75, 1.0)])

    logits = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)
    golden["logits"] = logits
    golden["at_temperature"] = np.stack([scipy.special.softmax(logits.astype(np.float64) / t, 1) for t in (0.5, 1, 3)])
    return golden


def stats():
    # 20 positives, so that 19 of them are a recall of just 0.95; equal scores on both sides.
    rng = np.random.default_rng(4)
    positive, negative = np.round(rng.normal(1, 1, 20), 1), np.round(rng.normal(0, 1, 30), 1)
    fpr, tpr, _ = sklearn.metrics.roc_curve([1] * 20 + [0] * 30, np.concatenate([positive, negative]), drop_intermediate=False)
    recalls = np.array([0.5, 0.9, 0.95, 0.97, 1.0])
    golden = {"positive": positive, "negative": negative, "recalls": recalls, "fpr": np.array([fpr[tpr >= r].min() for r in recalls]),
              "nearest": np.array([nearest([1] * 20 + [0] * 30, np.concatenate([positive, negative]), r) for r in recalls])}
    assert 0.95 in tpr
    # Intervals of other levels than 95%, of two and of many values.
    golden["values"] = values = rng.normal(3, 2, 12)
    golden["t_intervals"] = np.array([scipy.stats.t.interval(1 - a, n - 1, values[:n].mean(), scipy.stats.sem(values[:n])) for n in (2, 3, 12) for a in (0.05, 0.32)])
    golden["x"], golden["y"] = x, y = rng.normal(size=9), rng.normal(size=9)
    golden["pearson"] = np.array([[(r := scipy.stats.pearsonr(x[:n], y[:n])).statistic, *r.confidence_interval(1 - a)] for n in (4, 9) for a in (0.05, 0.32)])
    return golden


def ood():
    # Pictures of twelve pixels; the last holds no unknown one.
    rng = np.random.default_rng(5)
    scores, unknown = np.round(rng.normal(size=(5, 12)), 1), rng.random((5, 12)) < 0.35
    unknown[4] = False
    rows = [(sklearn.metrics.roc_auc_score(u, s), sklearn.metrics.average_precision_score(u, s), u.mean(), rate(u, s), nearest(u, s)) for s, u in zip(scores[:4], unknown[:4])]
    s, u = scores[:4].ravel(), unknown[:4].ravel()
    return {"scores": scores.ravel(), "unknown": unknown.ravel().astype(np.int64), "mean": np.mean(rows, 0),
            "pooled": np.array([sklearn.metrics.roc_auc_score(u, s), sklearn.metrics.average_precision_score(u, s), u.mean(), rate(u, s), nearest(u, s)])}


def rate(unknown, scores):
    fpr, tpr, _ = sklearn.metrics.roc_curve(unknown, scores, drop_intermediate=False)
    return fpr[tpr >= 0.95].min()


def nearest(positive, scores, recall=0.95):
    """By the authors, at the recall that is nearest."""
    import calibration_tools

    calibration_tools.stable_cumsum = np.cumsum  # scikit-learn once had this function, which their code was copied from
    return calibration_tools.fpr_and_fdr_at_recall(np.asarray(positive), scores, recall)


def shift():
    # The tests' model says softmax(±20(mean - 1/2)), the tests' ten grey images have the means 0.05 to 0.95, and brightness adds a tenth a severity.
    mean = np.minimum(0.05 + 0.1 * np.arange(10) + 0.1 * np.arange(6)[:, None], 1)
    p = scipy.special.softmax(np.stack([-20 * (mean - 0.5), 20 * (mean - 0.5)], -1), -1)
    return {"confidence": np.where(np.arange(10) < 5, p[..., 0], p[..., 1]).mean(1)}


def spurious():
    features = np.random.default_rng(6).gamma(2, size=(11, 3))
    score = scipy.stats.zscore(features, 0)[:, [0, 2]].mean(1)
    return {"features": features, "images": np.argsort(score).astype(np.int64), "scores": np.sort(score),
            # A model's logits, 0 to 1, of 9 images of class 1 and of 7 that only have its spurious feature.
            "logits": (logits := np.round(np.random.default_rng(10).random((16, 3)), 1).astype(np.float32)),
            "spurious_score": np.array([f([1] * 9 + [0] * 7, scipy.special.softmax(logits.astype(np.float64), 1)[:, 1]) for f in (sklearn.metrics.roc_auc_score, sklearn.metrics.average_precision_score)]),
            # Gaps of two models on two rankings.
            "gaps": (gaps := np.array([[10.0, 30.0], [20.0, 45.0]])), "spread": np.array([gaps.mean(0).var(ddof=1) / gaps.mean(1).var(ddof=1)])}


def transfer():
    labels, predicted = np.array([0, 0, 0, 1, 3, 3]), np.array([0, 1, 0, 1, 3, 2])
    recall = sklearn.metrics.recall_score(labels, predicted, labels=np.unique(labels), average="macro")  # class 2 is predicted, and none has it
    return {"labels": labels.astype(np.int64), "predicted": predicted.astype(np.int64), "per_class": np.array([recall])}


def display():
    rng = np.random.default_rng(7)
    confidences = np.concatenate([rng.integers(1, 17, 60) / 16, rng.random(60), [0.0]])  # many on the ends of eight bins
    correct = rng.random(121) < confidences
    golden = {"confidences": confidences, "correct": correct.astype(np.int64)}
    right, mean = calibration_curve(correct, confidences, n_bins=8)
    golden["curve"] = np.stack([mean, right], 1)
    at = np.maximum(np.digitize(confidences, np.linspace(0, 1, 9), right=True) - 1, 0)
    golden["share"] = np.bincount(at)[np.bincount(at) > 0] / 121
    labels, predicted = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    golden["counts"] = sklearn.metrics.confusion_matrix(labels, predicted).astype(np.float64)
    golden["normalized"] = sklearn.metrics.confusion_matrix(labels, predicted, normalize="true")
    golden["values"] = values = np.concatenate([rng.integers(0, 17, 40) / 4, rng.random(23) * 4, [0, 4]])  # many on the edges of 16 bins
    heights, edges = np.histogram(values, 16)
    golden["heights"], golden["edges"] = heights.astype(np.float64), edges
    return golden


def labels():
    # A probability that falls short of its class's threshold by half of cleanlab's tolerance, and one by twice as much.
    from cleanlab.count import compute_confident_joint, get_confident_thresholds

    rng = np.random.default_rng(9)
    p, given = rng.dirichlet([1, 1, 1], 30), rng.integers(0, 3, 30)
    for i, short in ((np.flatnonzero(given == 0)[0], 5e-7), (np.flatnonzero(given == 1)[0], 2e-6)):
        p[i, 2] = get_confident_thresholds(given, p)[2] - short
        p[i, :2] = (1 - p[i, 2]) / 2
    assert np.all(p[[0, 1], :2] < get_confident_thresholds(given, p)[:2] - 1e-3)  # the third class decides
    return {"p": p, "given": given.astype(np.int64), "counts": compute_confident_joint(given, p, calibrate=False).astype(np.int64)}


def data():
    return {"images": np.arange(24, dtype=np.uint8).reshape(4, 2, 3, 1) * 10, "labels": np.array([2, 0, 1, 2], np.int64)}


def learn():
    # One layer whose weights are normal distributions, so narrow that the loss is that of their means.
    rng = np.random.default_rng(8)
    x, weights, labels = rng.normal(size=(6, 3)).astype(np.float32), rng.normal(size=(2, 3)).astype(np.float32), rng.integers(0, 2, 6)
    log = scipy.special.log_softmax(x.astype(np.float64) @ weights.T.astype(np.float64), 1)
    kl = kl_divergence(Normal(torch.tensor(weights, dtype=torch.float64), 1e-4), Normal(torch.tensor(0.0, dtype=torch.float64), 1.0)).sum().item()
    views = rng.dirichlet([1, 1, 1, 1], (2, 5))  # two views of five images
    return {"x": x, "weights": weights, "labels": labels.astype(np.int64), "divergence": np.array([np.mean([jensenshannon(a, b) ** 2 for a, b in zip(*views)])]), "views": np.log(views).astype(np.float32), "loss": np.array([-log[np.arange(6), labels].mean() + kl / 6, kl])}


def main(natural, lib):
    for package, golden in {"uncertainty": uncertainty(natural), "stats": stats(), "ood": ood(), "shift": shift(), "spurious": spurious(),
                            "transfer": transfer(), "display": display(), "labels": labels(), "data": data(), "learn": learn()}.items():
        folder = Path(lib) / package / "testdata"
        folder.mkdir(exist_ok=True)
        np.savez_compressed(folder / "edges.npz", **{name: np.ascontiguousarray(v) for name, v in golden.items()})
        for name, v in golden.items():
            print(package, name, v.shape, v.ravel()[:6])


main(*sys.argv[1:])
