"""Confident learning by cleanlab 2.9.0, for lib/labels/testdata.

    NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4" python bench/oracles/labels.py LABEL-ERRORS lib/labels/testdata

where LABEL-ERRORS is a checkout of cleanlab/label-errors. It writes labels.npz, of MNIST's and CIFAR-10's probabilities, and random.npz, of 100 random matrices
with ties, absent classes and rows of zeros; and digits.npz, of scikit-learn's LogisticRegression on digits with wrong labels.

numpy.argsort, which cleanlab ranks and rounds with, leaves the order of equal values open, and its vector instructions choose another order than its plain code: with them,
CIFAR-10's prune_by_noise_rate has another example among its 284, because two counts of the joint round equally well. Here it is stable, and how many results that changes on this machine is
printed: without vector instructions none of MNIST's and CIFAR-10's.
"""
import sys
import warnings

import numpy as np

import cleanlab
from cleanlab import count, dataset, filter, rank
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

assert cleanlab.__version__ == "2.9.0"
warnings.simplefilter("ignore")
folder, out = sys.argv[1:]
FILTERS = ["prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given", "low_self_confidence", "low_normalized_margin"]
SCORES = ["self_confidence", "normalized_margin", "confidence_weighted_entropy"]
unstable = np.argsort
changed = 0


def stable(a, *args, **kwargs):
    kwargs["kind"] = "stable"
    return unstable(a, *args, **kwargs)


def issues(y, p, **kwargs):
    """The issues' indices, with a stable sort."""
    global changed
    kwargs = {"return_indices_ranked_by": "self_confidence", "n_jobs": 1, **kwargs}
    np.argsort = stable
    found = filter.find_label_issues(y, p, **kwargs)
    np.argsort = unstable
    changed += not np.array_equal(found, filter.find_label_issues(y, p, **kwargs))
    return found


def health(y, p, golden, prefix):
    np.argsort = stable
    summary = dataset.health_summary(y, p, verbose=False)
    np.argsort = unstable
    classes = summary["classes_by_label_quality"].sort_values(["Label Quality Score", "Class Index"], ascending=[True, True])
    overlaps = summary["overlapping_classes"].sort_values(["Joint Probability", "Class Index A", "Class Index B"], ascending=[False, True, True])
    golden[prefix + "health"] = np.array([summary["overall_label_health_score"]])
    golden[prefix + "classes"] = classes[["Class Index", "Label Issues", "Inverse Label Issues", "Label Noise", "Inverse Label Noise", "Label Quality Score"]].to_numpy(float).ravel()
    golden[prefix + "overlaps"] = overlaps[["Class Index A", "Class Index B", "Num Overlapping Examples", "Joint Probability"]].to_numpy(float).ravel()


def joint(y, p, golden, prefix):
    np.argsort = stable
    golden[prefix + "thresholds"] = np.asarray(count.get_confident_thresholds(y, p), float)
    golden[prefix + "joint"] = count.compute_confident_joint(y, p, calibrate=False).ravel().astype(np.int64)
    golden[prefix + "calibrated"] = count.compute_confident_joint(y, p).ravel().astype(np.int64)
    np.argsort = unstable


golden = {}
for name in ("mnist", "cifar10"):
    p = np.load(f"{folder}/cross_validated_predicted_probabilities/{name}_test_set_pyx.npy")
    y = np.load(f"{folder}/original_test_labels/{name}_test_set_original_labels.npy").astype(int)
    joint(y, p, golden, name + "_")
    for f in FILTERS:
        golden[f"{name}_{f}"] = issues(y, p, filter_by=f).astype(np.int64)
    for s in SCORES:
        golden[f"{name}_{s}"] = rank.get_label_quality_scores(y, p, method=s)[::100]
        golden[f"{name}_by_{s}"] = issues(y, p, return_indices_ranked_by=s, filter_by="prune_by_noise_rate").astype(np.int64)
    print(name, "results that another order of equal values changes:", changed)
    half = p.astype(np.float16).astype(float)
    golden[f"{name}_half"] = issues(y, half, filter_by="prune_by_noise_rate").astype(np.int64)
    health(y, p, golden, name + "_")
    print(name, {f: len(golden[f"{name}_{f}"]) for f in FILTERS})
print("results that another order of equal values changes:", changed)
np.savez_compressed(f"{out}/labels.npz", **{k: v for k, v in golden.items()})

# One array for each figure, of all matrices one after the other; sizes says where each ends.
changed, total = 0, 0
rng = np.random.default_rng(4)
parts = {}


def add(key, values):
    values = np.asarray(values)
    parts.setdefault(key, []).append(values)
    parts.setdefault(key + "_size", []).append(np.array([values.size]))


for m in range(100):
    n, k = int(rng.integers(6, 61)), int(rng.integers(2, 7))
    p = rng.dirichlet(np.full(k, rng.choice([0.2, 1.0])), size=n)
    kind = m % 4
    if kind == 1:  # ties: few different values
        p = np.round(p * 4) / 4
    elif kind == 2:  # few different rows
        p = p[rng.integers(0, max(2, n // 6), size=n)]
    y = np.array([rng.choice(k, p=(row + 0.02) / (row + 0.02).sum()) for row in p])
    if m % 3 == 1 and k > 2:  # absent classes
        gone = rng.choice(k, size=int(rng.integers(1, k - 1)), replace=False)
        left = [c for c in range(k) if c not in gone]
        y = np.array([c if c in left else rng.choice(left) for c in y])
    if len(set(y)) < 2:
        y[:2] = [0, 1]
    if m % 5 >= 3:  # rows of zeros
        p[rng.random(n) < 0.2] = 0
    share, keep = [(1.0, 1), (0.5, 1), (1.0, 3), (0.7, 2), (1.0, 8)][m % 5]
    one = {}
    joint(y, p, one, "")
    health(y, p, one, "")
    add("shape", np.array([n, k], np.int64))
    add("labels", y.astype(np.int64))
    add("probabilities", p.ravel())
    add("options", np.array([share, keep], float))
    for key, value in one.items():
        add(key, value)
    for f in FILTERS:
        add(f, issues(y, p, filter_by=f).astype(np.int64))
        total += 1
        if f in ("prune_by_noise_rate", "prune_by_class", "both"):
            add(f + "_optional", issues(y, p, filter_by=f, frac_noise=share, min_examples_per_class=keep).astype(np.int64))
            total += 1
    for s in SCORES:
        add("score_" + s, rank.get_label_quality_scores(y, p, method=s))
print("random matrices, results that another order of equal values changes:", changed, "of", total)
np.savez_compressed(f"{out}/random.npz", **{k: np.concatenate(v) for k, v in parts.items()})

# A head on features, by scikit-learn: digits of which a tenth have another label, which depends on their own, and the probabilities of a part by a regression on the rest.
x, true = load_digits(return_X_y=True)
x, true = x[:900].astype(np.uint8), true[:900]
wrong = np.sort(np.random.default_rng(0).choice(900, 90, replace=False))
noisy = true.copy()
noisy[wrong] = (true[wrong] + 1) % 10
head = {"x": x.ravel(), "labels": noisy.astype(np.int64), "wrong": wrong.astype(np.int64)}
held = np.arange(900) % 3 == 0
for c in (1.0, 0.05):
    fit = LogisticRegression(C=c, tol=1e-10, max_iter=20000).fit(x[~held] / 16, noisy[~held])
    head[f"probabilities_{c:g}"] = fit.predict_proba(x[held] / 16).ravel()
np.savez_compressed(f"{out}/digits.npz", **head)
