"""What the part models of chawins/adv-part-model see in fixed scores, and what they say, for lib/parts/testdata.

    python bench/oracles/parts.py ADV_PART_MODEL lib/parts/testdata/parts.npz

All is computed in double precision. The classes are taken out of their files, whose imports want data sets.
"""
import ast
import sys
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

folder, out = sys.argv[1:]
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
DATA = {"d": {"part_to_class": [[1] + [0] * 3, [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], "input_dim": (3, 14, 14)}}


def classes(path, *names):
    tree = ast.parse(open(f"{folder}/part_model/{path}").read())
    tree.body = [ast.ImportFrom("__future__", [ast.alias("annotations")], 0)] + [
        node for node in tree.body if getattr(node, "name", "") in names or isinstance(node, ast.Assign)]
    space = {"torch": torch, "nn": nn, "F": F, "DATASET_DICT": DATA, "Namespace": Namespace}
    exec(compile(ast.fix_missing_locations(tree), path, "exec"), space)
    return SimpleNamespace(**{n: space[n] for n in names})


pooling = classes("models/seg_part_models/pooling_model.py", "PoolingFeatureExtractor", "PoolingModel")
boxes = classes("models/seg_part_models/weighted_bbox_model.py", "WeightedBBoxFeatureExtractor", "WeightedBBoxModel")
loss = classes("utils/loss.py", "_seg_loss", "SemiSumLoss")


class Scores(nn.Module):
    """Stands in for the segmenter: gives what it is given."""

    def forward(self, x):
        return x


arrays = {}


def save(name, module):
    for key, value in module.state_dict().items():
        if "num_batches" not in key:
            arrays[f"{name}.{key}"] = value.numpy()


def randomized(module):
    for m in module.modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)):
            m.running_mean.normal_()
            m.running_var.uniform_(0.5, 2)
            nn.init.uniform_(m.weight, 0.5, 2)
            nn.init.normal_(m.bias)
    return module.eval()


scores = 3 * torch.randn(4, 5, 14, 14)
scores[3, 2] = -1000  # a part that is nowhere
arrays["scores"] = scores.numpy()
for background in (0, 1):
    args = Namespace(experiment="part-pooling-4" + ("" if background else "-nobg"), seg_labels=5, num_classes=3)
    model = randomized(pooling.PoolingModel(args, Scores()))
    save(f"pooling{background}", model.core_model)
    arrays[f"pooling{background}_features"] = model.core_model[0](model.feature_extactor(scores)).numpy()
    arrays[f"pooling{background}_logits"] = model(scores).detach().numpy()
args = Namespace(experiment="part-wbbox-norm_img", seg_labels=5, num_classes=3, dataset="d")
model = randomized(boxes.WeightedBBoxModel(args, Scores()))
save("boxes", model.core_model)
arrays["boxes_features"] = model.feature_extactor(scores).numpy()
arrays["boxes_logits"] = model(scores).detach().numpy()

masks = torch.randint(0, 5, (4, 14, 14))
masks[1] = -1  # unlabelled
labels = torch.tensor([0, 2, 1, 1])
logits = torch.randn(4, 3)
arrays |= {"masks": masks.numpy(), "labels": labels.numpy(), "class_logits": logits.numpy()}
torch.zeros_like = lambda x, dtype=None, like=torch.zeros_like: like(x, dtype=torch.float64)  # their loss is single otherwise
for c in (0.0, 0.3, 1.0):
    arrays[f"loss_{c}"] = loss.SemiSumLoss(seg_const=c, reduction="none")((logits, scores), labels, masks).numpy()
np.savez_compressed(out, **arrays)
