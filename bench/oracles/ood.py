"""Scores and measures of out-of-distribution detection by implementations that are not ours, for lib/ood.

    python bench/oracles/ood.py NATURAL_ADV_EXAMPLES lib/ood/testdata/ood.npz

NATURAL_ADV_EXAMPLES is a checkout of hendrycks/natural-adv-examples. Wanted besides: pip install torch scikit-learn pytorch-ood==0.4.0
"""
import sys

import numpy as np
import torch
from pytorch_ood.detector import EnergyBased, Entropy, KLMatching, MaxLogit, MaxSoftmax
from pytorch_ood.metrics.functional import aupr, auroc, fpr_at_tpr


def main(natural, out):
    sys.path.insert(0, natural)
    import calibration_tools

    rng = np.random.default_rng(11)
    k = 6
    centres = rng.normal(size=(k, k)) + 3 * np.eye(k)
    centres[:, 5] = -4  # a class that is never predicted

    def draw(n, spread, scale):
        return (scale * (centres[rng.integers(0, 5, n)] + spread * rng.normal(size=(n, k)))).astype(np.float32)

    fit, known, unknown = draw(300, 0.7, 1), draw(200, 0.7, 1), draw(57, 1.6, 0.6)
    unknown[:5] = known[:5]  # equal scores
    golden = {"fit": fit, "known": known, "unknown": unknown}
    matching = KLMatching(None).fit_logits(torch.tensor(fit))
    assert len(matching.dists) < k
    for name, score in {
        "max_softmax": MaxSoftmax.score,
        "max_logit": MaxLogit.score,
        "energy": EnergyBased.score,
        "energy2": lambda x: EnergyBased.score(x, t=2.0),
        "entropy": lambda x: Entropy.score(x),
        "kl_matching": matching.predict_logits,
    }.items():
        a, b = (score(torch.tensor(x)).detach().numpy().astype(np.float64) for x in (unknown, known))
        golden[name] = np.concatenate([a, b])
        scores, labels = torch.tensor(np.concatenate([a, b])), torch.tensor([-1] * len(a) + [1] * len(b))
        golden[name + "_measures"] = np.array([
            *calibration_tools_measures(calibration_tools, a, b),
            float(auroc(scores, labels)), float(fpr_at_tpr(scores, labels, 0.95)),
        ])
    np.savez_compressed(out, **golden)
    for name, v in golden.items():
        if name.endswith("measures"):
            print(name, v)


def calibration_tools_measures(tools, a, b):
    # scikit-learn once had this function, which their code was copied from.
    tools.stable_cumsum = np.cumsum
    return tools.get_measures(a, b)


main(*sys.argv[1:])
