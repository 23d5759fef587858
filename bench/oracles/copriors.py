"""Edges, selections of pseudo-labels and tints by their authors' program, for lib/priors/testdata.

    pip install torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 pillow==13.0.0 opencv-python-headless==5.0.0.93 tqdm dill
    python bench/oracles/copriors.py COPRIORS cifar500.npz lib/priors/testdata/copriors.npz

COPRIORS is a checkout of MadryLab/copriors, whose datasets/transforms.py, datasets/dataset_utils.py and datasets/co_training.py run as they are;
of modules that they import and that are not asked for nothing is there. cifar500.npz is what `dump cifar10` writes: the README says how.
"""
import sys
import types

import numpy as np
import torch
from PIL import Image, ImageFilter

copriors, cifar_file, out_file = sys.argv[1:]
sys.path.insert(0, copriors)


def stub(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
    return module


class TensorDataset(torch.utils.data.Dataset):
    def __init__(self, xs, ys):
        self.xs, self.ys = xs, ys

    def __len__(self):
        return len(self.xs)

    def __getitem__(self, i):
        return self.xs[i], self.ys[i]


np.infty = np.inf
stub("robustness").__path__ = []
stub("robustness.train", make_optimizer_and_schedule=None)
folder = stub("robustness.tools.folder", TensorDataset=TensorDataset)
stub("robustness.tools", constants=None, folder=folder, helpers=None).__path__ = []
stub("robustness.tools.helpers", AverageMeter=None)
sys.modules["robustness.tools"].helpers = sys.modules["robustness.tools.helpers"]

from datasets.co_training import CoTrainDatasetTrainer  # noqa: E402
from datasets.dataset_utils import add_spurious  # noqa: E402
from datasets.transforms import transform_canny_edge, transform_sobel_edge  # noqa: E402

out = {}
rng = np.random.default_rng(7)


def picture(side):
    """Boxes and discs of colours that change over them, blurred a little, with noise."""
    y, x = np.mgrid[:side, :side] / side
    image = np.stack([rng.uniform(0, 255) + rng.uniform(-150, 150) * x + rng.uniform(-150, 150) * y for _ in range(3)], -1)
    for _ in range(9):
        cy, cx, r = rng.uniform(0, 1, 3)
        inside = (np.hypot(y - cy, x - cx) < r / 3) if rng.random() < 0.5 else (np.maximum(abs(y - cy), abs(x - cx)) < r / 4)
        image[inside] = rng.uniform(0, 255, 3) + rng.uniform(-60, 60) * x[inside][:, None]
    image = Image.fromarray(np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8))
    return np.array(image.filter(ImageFilter.GaussianBlur(side / 120)))


def edges(images):
    pictures = [Image.fromarray(i) for i in images]
    return [np.stack([np.array(f(p))[..., 0] for p in pictures]) for f in (transform_canny_edge, transform_sobel_edge)]


for side, n in ((32, 6), (96, 2), (150, 1)):
    images = np.stack([picture(side) for _ in range(n)])
    out[f"images{side}"] = images
    out[f"canny{side}"], out[f"sobel{side}"] = edges(images)
dumped = np.load(cifar_file)
cifar = np.round(dumped["x"].reshape(dumped["shape"]) * 255).astype(np.uint8)
canny, sobel = edges(cifar)
out["canny_cifar"], out["sobel_cifar"] = np.packbits(canny > 0), sobel[::10]

# Selections: two models' probabilities, in whose argmax one class is rare and the last one, in a second case, never comes.
trainer = CoTrainDatasetTrainer.__new__(CoTrainDatasetTrainer)


def labelled(logits):
    p = torch.softmax(logits, 1)
    n = len(p)
    return {"ims": torch.zeros(n, 1), "ys": p.argmax(1), "gts": torch.full((n,), -1), "confs": p.max(1)[0], "preds": p, "idxs": torch.arange(n)}


for case, (n, k, never) in enumerate(((300, 5, None), (157, 7, 6), (40, 10, None))):
    torch.manual_seed(case)
    shared = torch.randn(n, k, dtype=torch.float64)
    trainer.num_classes, trainer.start_fraction = k, 0.15
    both = []
    for m in range(2):
        logits = (shared + torch.randn(n, k, dtype=torch.float64)) * 2
        logits[:, 0] -= 3
        if never is not None:
            logits[:, never] = -50
        p = torch.softmax(logits, 1).float()
        out[f"probabilities{case}_{m}"] = p.numpy()
        obj = labelled(logits)
        obj["preds"], obj["ys"], obj["confs"] = p, p.argmax(1), p.max(1)[0]
        both.append(obj)
    for era in (0, 2, 9):
        per_class = round(trainer.get_fraction(era) * n / k)
        some = [trainer.take_top_perc_from_each_class(o, per_class) for o in both]
        for m in range(2):
            out[f"top{case}_{era}_{m}"] = some[m]["idxs"].numpy()
        for name, sets in (("both", some), ("first", some[:1]), ("second", some[1:])):
            merged = trainer._collapse_object_dicts(sets)
            rows = [(i, int(y)) for i, info in merged.items() for y in info["ys"]]
            out[f"merged{case}_{era}_{name}"] = np.array(rows, np.int64).reshape(-1, 2)
    out[f"classes{case}"] = np.array([n, k], np.int64)

images = torch.tensor(out["images32"].transpose(0, 3, 1, 2)).float() / 255
images = torch.cat([images, images])[:10]
tinted = add_spurious(TensorDataset(images, torch.arange(10)), "TINT")
out["tinted"] = tinted.xs.numpy().transpose(0, 2, 3, 1)[:, ::4, ::4]
np.savez_compressed(out_file, **{k: np.ascontiguousarray(v) for k, v in out.items()})
print({k: (v.shape, str(v.dtype)) for k, v in out.items()})
