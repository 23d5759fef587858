"""Clopper-Pearson intervals by scipy, for lib/stats.

    python bench/oracles/clopper_pearson.py > lib/stats/testdata/clopper_pearson.csv
"""
from scipy.stats import binomtest

print("successes,trials,alpha,low,high")
for n in (1, 2, 20, 100, 2021, 10_000, 50_000):
    for k in sorted({0, 1, n // 3, n // 2, n - 1, n}):
        for alpha in (0.05, 0.005):
            iv = binomtest(k, n).proportion_ci(confidence_level=1 - alpha, method="exact")
            print(f"{k},{n},{alpha},{iv.low:.17g},{iv.high:.17g}")
