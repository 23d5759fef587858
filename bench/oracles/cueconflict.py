"""Decisions for one of 16 categories, and published decisions on images whose shape and texture conflict, for lib/priors/testdata.

    python bench/oracles/cueconflict.py TEXTURE_VS_SHAPE lib/priors/testdata/cueconflict.npz

TEXTURE_VS_SHAPE is a checkout of rgeirhos/texture-vs-shape, whose code/probabilities_to_decision.py runs as it is and whose raw data has the
decisions. Their shape biases stand in its README: AlexNet 25.3%, VGG-16 9.2% (torchvision's weights).
"""
import csv
import re
import sys

import numpy as np

repo, out_file = sys.argv[1:]
sys.path.insert(0, f"{repo}/code")
from helper.human_categories import HumanCategories, get_human_object_recognition_categories  # noqa: E402
from probabilities_to_decision import ImageNetProbabilitiesTo16ClassesMapping  # noqa: E402

categories = get_human_object_recognition_categories()
rng = np.random.default_rng(3)
logits = rng.normal(0, 1, (24, 1000))
logits[np.arange(24), rng.integers(0, 1000, 24)] += 9
p = np.exp(logits)
p = np.round(p / p.sum(1, keepdims=True), 5)
p[:, 0] += 1 - p.sum(1)  # a fish, which is in none of the categories
p = np.clip(p, 0, 1).astype(np.float32)
mapping = ImageNetProbabilitiesTo16ClassesMapping()
out = {"probabilities": p, "decisions": np.array([categories.index(mapping.probabilities_to_decision(row)) for row in p], np.uint8)}
indices = [HumanCategories().get_imagenet_indices_for_category(c) for c in categories]
out["indices"], out["counts"] = np.concatenate(indices).astype(np.int64), np.array([len(i) for i in indices], np.int64)
folder = f"{repo}/raw-data/style-transfer-512-nomask-experiment-trained-CNNs/style-transfer-512-nomask-experiment"
for net in ("alexnet", "vgg16"):
    rows = sorted(csv.DictReader(open(f"{folder}_{net}_session-1.csv")), key=lambda r: r["imagename"])
    pairs = [re.search(r"_([a-z]+)\d+-([a-z]+)\d+\.png$", r["imagename"]).groups() for r in rows]
    assert all(r["category"] == shape for r, (shape, _) in zip(rows, pairs))
    out["shape"], out["texture"] = (np.array([categories.index(pair[i]) for pair in pairs], np.uint8) for i in (0, 1))
    out[net] = np.array([categories.index(r["object_response"]) for r in rows], np.uint8)
np.savez_compressed(out_file, **out)
print({k: (v.shape, str(v.dtype)) for k, v in out.items()}, np.bincount(out["decisions"]))
