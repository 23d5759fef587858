"""How far heatmaps lie inside boxes, and whether their largest value does, by Quantus, for lib/mask.

    python bench/oracles/inside.py lib/mask/testdata/inside.npz

Wanted: pip install --no-deps quantus==0.6.0, and numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 scikit-image==0.26.0
opencv-python-headless==5.0.0.93 torch==2.15.0.
"""
import sys

import numpy as np
import quantus

n, h, w = 8, 12, 14
rng = np.random.default_rng(3)
heatmaps = rng.normal(size=(n, h, w)).astype(np.float32)
heatmaps[1] = np.abs(heatmaps[1])
heatmaps[2, 5, 6] = 9  # inside
heatmaps[3, 0, 0] = heatmaps[3, 5, 6] = 9  # inside and outside alike
boxes = np.array([[3, 4, 5, 6]] * 4 + [[0, 0, 12, 14], [0, 0, 1, 1], [11, 13, 1, 1], [2, 0, 7, 3]])  # row, column, height, width
masks = np.zeros((n, 1, h, w))
for i, (r, c, a, b) in enumerate(boxes):
    masks[i, 0, r:r + a, c:c + b] = 1
x = np.zeros((n, 1, h, w))
share = quantus.AttributionLocalisation(positive_attributions=True, abs=False, normalise=False, disable_warnings=True)
hit = quantus.PointingGame(abs=False, normalise=False, disable_warnings=True)
a = heatmaps[:, None].astype(np.float64)
np.savez_compressed(sys.argv[1], heatmaps=heatmaps, boxes=boxes.astype(np.int64), share=share.evaluate_batch(x_batch=x, a_batch=a, s_batch=masks),
                    hit=hit.evaluate_batch(a_batch=a, s_batch=masks).astype(np.int64))
