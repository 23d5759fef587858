"""What scikit-learn, cleanlab and SciPy say of a classifier's answers, for lib/evaluate and lib/stats.

    NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4" python bench/oracles/evaluate.py lib/evaluate/testdata/evaluate.npz

Probabilities of two classifiers for 500 examples of 12 classes, of which no example is of class 11 and hardly any is taken for class 10. They are
rounded to three places, so that scores tie, but for label issues. Wanted: numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 cleanlab==2.9.0 pandas==3.1.1.
"""
import sys

import numpy as np
import scipy.special
import scipy.stats
import sklearn.metrics as metrics
from cleanlab.filter import find_label_issues

n, k = 500, 12
rng = np.random.default_rng(20260701)
labels = rng.choice(k, n, p=np.array([8, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 0]) / 48)
out = {"labels": labels.astype(np.int64)}


def answers(strength):
    z = rng.normal(size=(n, k))
    z[np.arange(n), labels] += strength
    z[:, 10] -= 6
    return scipy.special.softmax(z, axis=1).astype(np.float32)


untied = answers(1.6)
first, second = untied.round(3), answers(1.9).round(3)
out["first"], out["second"] = first, second
p, predicted = first, first.argmax(1)
out["accuracy"] = metrics.accuracy_score(labels, predicted)
out["balanced"] = metrics.balanced_accuracy_score(labels, predicted)
report = metrics.precision_recall_fscore_support(labels, predicted, labels=np.arange(k), zero_division=np.nan)
out["precision"], out["recall"], out["f1"] = report[:3]
macro = metrics.precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)
out["macro"] = np.array(macro[:3])
out["confusion"] = metrics.confusion_matrix(labels, predicted, labels=np.arange(k)).astype(np.int64)

# Ties at the fifth place are broken by the order of the classes here, and by the reverse one in top_k_accuracy_score: a little is taken
# from each class's score by its number, in double precision, so that both see the same order.
ordered = first.astype(np.float64) - 1e-9 * np.arange(k)
out["top5"] = metrics.top_k_accuracy_score(labels, ordered, k=5, labels=np.arange(k))

there = np.arange(k - 1)  # with examples
onehot = labels[:, None] == there
out["roc_areas"] = np.array([metrics.roc_auc_score(onehot[:, c], p[:, c]) for c in there])
out["ap_areas"] = np.array([metrics.average_precision_score(onehot[:, c], p[:, c]) for c in there])
out["roc_macro"] = metrics.roc_auc_score(onehot, p[:, there], average="macro")
out["ap_macro"] = metrics.average_precision_score(onehot, p[:, there], average="macro")
for c in (3, 9):
    fpr, tpr, thresholds = metrics.roc_curve(onehot[:, c], p[:, c], drop_intermediate=False)
    out[f"fpr{c}"], out[f"tpr{c}"] = fpr[1:], tpr[1:]  # without the point at which nothing is taken
    precision, recall, at = metrics.precision_recall_curve(onehot[:, c], p[:, c])
    out[f"pr_precision{c}"], out[f"pr_recall{c}"], out[f"pr_thresholds{c}"] = precision[:-1][::-1], recall[:-1][::-1], at[::-1].astype(np.float64)

# Which of equal examples are issues depends on NumPy's argsort, so these are not rounded, and argsort is that of any processor.
out["untied"] = untied
issues = find_label_issues(labels, untied, return_indices_ranked_by="self_confidence")
out["issues"] = issues.astype(np.int64)

a, b = predicted == labels, second.argmax(1) == labels
out["paired"] = np.array([(a & b).sum(), (a & ~b).sum(), (~a & b).sum(), (~a & ~b).sum()], dtype=np.int64)
counts = [(int((a & ~b).sum()), int((~a & b).sum())), (0, 6), (5, 5), (1, 0), (900, 1000)]
out["mcnemar_counts"] = np.array(counts, dtype=np.int64)
out["mcnemar"] = np.array([scipy.stats.binomtest(f, f + s).pvalue for f, s in counts])
boot = scipy.stats.bootstrap((b.astype(float) - a.astype(float),), np.mean, n_resamples=100_000, method="percentile", rng=np.random.default_rng(1))
out["bootstrap"] = np.array([boot.confidence_interval.low, boot.confidence_interval.high])
np.savez_compressed(sys.argv[1], **{name: np.asarray(v) for name, v in out.items()})
