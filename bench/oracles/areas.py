"""DeLong's interval of areas under ROC curves by the package confidenceinterval, for lib/stats.

    pip install --no-deps confidenceinterval==1.0.4
    python bench/oracles/areas.py lib/stats/testdata/areas.json

Scores of positives and negatives, some rounded so that they tie. The package ranks in single precision, which its figures are good to.
Wanted: numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 pandas==3.1.1.
"""
import json
import sys

import numpy as np
from confidenceinterval import roc_auc_score

rng = np.random.default_rng(20261201)
cases = []
for positives, negatives, shift, places in ((5, 9, 0.7, 6), (40, 60, 1.2, 6), (40, 300, 0.4, 1), (2, 50, 1.0, 1), (200, 30, 2.0, 2), (12, 12, 0.0, 0)):
    p, n = (rng.normal(shift, 1, positives).round(places), rng.normal(0, 1, negatives).round(places))
    for level in (0.95, 0.8):
        area, (low, high) = roc_auc_score([1] * positives + [0] * negatives, np.concatenate([p, n]), confidence_level=level, method="delong")
        cases.append(dict(positive=p.tolist(), negative=n.tolist(), alpha=round(1 - level, 3), area=float(area), low=float(low), high=float(high)))
json.dump(cases, open(sys.argv[1], "w"))
