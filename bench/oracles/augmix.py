"""AugMix by its authors' program, for lib/augment/testdata/augmix.npz and lib/learn/testdata/jensen_shannon.npz.

    python bench/oracles/augmix.py AUGMIX lib/perturb/testdata/corruptions.npz lib/augment/testdata/augmix.npz lib/learn/testdata/jensen_shannon.npz

AUGMIX is a checkout of google-research/augmix. corruptions.npz has the images: 20 of CIFAR-10 and a photograph of 224 x 224 pixels.

augmix.npz:
    levels [4], negative [4]        what every operation is given
    cifar [13, 4, 32, 32, 3]        of the first image, by all operations in the order of augmentations_all
    photograph [13, 4, 28, 28, 3]   every eighth pixel
    weights, share, ops, level, negative_step, mixed   of mixtures of the images 1 to 6, drawn by np.random; ops is -1 where a chain has ended

jensen_shannon.npz: logits [3, 8, 10] (clean and two views), labels [8], the loss of cifar.py and its gradient by the logits.
"""
import ast
import sys
import types
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

sys.path.insert(0, sys.argv[1])
import augmentations  # noqa: E402

golden = np.load(sys.argv[2])
images, photograph = golden["images"], golden["photograph"]
names = [f.__name__ for f in augmentations.augmentations_all]
levels, negative = np.array([0.35, 2.6, 2.9, 7.3]), np.array([0, 0, 1, 1])


def pinned(op, image, level, is_negative):
    augmentations.IMAGE_SIZE = image.shape[0]
    augmentations.sample_level = lambda _: level
    uniform = np.random.uniform, np.random.random
    np.random.uniform = np.random.random = lambda: 0.9 if is_negative else 0.1
    try:
        return np.asarray(op(Image.fromarray(image), 3))
    finally:
        np.random.uniform, np.random.random = uniform


def every(image, step):
    return np.stack([[pinned(op, image, level, n)[::step, ::step] for level, n in zip(levels, negative)] for op in augmentations.augmentations_all])


small, large = every(images[0], 1), every(photograph, 8)

# The mixture: the function aug of cifar.py as it is, with what it draws written down.
tree = ast.parse((Path(sys.argv[1]) / "cifar.py").read_text())
sample_level = lambda n: np.random.uniform(low=0.1, high=n)  # noqa: E731
augmentations.IMAGE_SIZE = 32
drawn = {}


def recording(f):
    def run(image, severity):
        row = [names.index(f.__name__), 0.0, 0]

        def level(n):
            row[1] = sample_level(n)
            return row[1]
        augmentations.sample_level = level
        kept = np.random.uniform, np.random.random

        def coin(*a, **k):
            v = kept[0](*a, **k)
            if not a and not k:
                row[2] = int(v > 0.5)
            return v
        np.random.uniform = coin
        np.random.random = lambda: coin()
        try:
            return f(image, severity)
        finally:
            np.random.uniform, np.random.random = kept
            drawn["steps"].append(row)
    return run


recorded = types.SimpleNamespace(augmentations=[recording(f) for f in augmentations.augmentations],
                                 augmentations_all=[recording(f) for f in augmentations.augmentations_all])
aug = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "aug"]
space = {"np": np, "torch": torch, "augmentations": recorded,
         "args": types.SimpleNamespace(all_ops=False, mixture_width=3, mixture_depth=-1, aug_severity=3)}
exec(compile(ast.Module(aug, []), "cifar.py", "exec"), space)

np.random.seed(1)
dirichlet, beta, randint = np.random.dirichlet, np.random.beta, np.random.randint


def noted(name, f):
    def run(*a):
        v = f(*a)
        drawn.setdefault(name, []).append(v)
        return v
    return run


np.random.dirichlet, np.random.beta, np.random.randint = noted("weights", dirichlet), noted("share", beta), noted("depth", randint)
out = {k: [] for k in ("weights", "share", "ops", "level", "negative_step", "mixed")}
for i in range(1, 7):
    space["args"].all_ops = i > 3
    drawn.clear()
    drawn["steps"] = []
    mixed = space["aug"](Image.fromarray(images[i]), lambda im: torch.from_numpy(np.asarray(im).astype(np.float32) / 255))
    ops, level, sign = -np.ones((3, 3), int), np.zeros((3, 3)), np.zeros((3, 3), int)
    steps = iter(drawn["steps"])
    for c, depth in enumerate(drawn["depth"]):
        for k in range(depth):
            ops[c, k], level[c, k], sign[c, k] = next(steps)
    for key, value in (("weights", drawn["weights"][0]), ("share", drawn["share"][0]), ("ops", ops), ("level", level), ("negative_step", sign), ("mixed", mixed.numpy())):
        out[key].append(value)
out = {k: np.stack(v) for k, v in out.items()}
np.savez_compressed(sys.argv[3], levels=levels, negative=negative.astype(np.int64), cifar=small, photograph=large,
                    weights=out["weights"].astype(np.float64), share=out["share"].astype(np.float64), ops=out["ops"].astype(np.int64),
                    level=out["level"], negative_step=out["negative_step"].astype(np.int64), mixed=out["mixed"].astype(np.float32))

# The loss: the lines of cifar.py's train between the forward and the backward pass.
train = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "train")
branch = next(n for n in ast.walk(train) if isinstance(n, ast.If) and "no_jsd" in ast.dump(n.test))
source = [n for n in branch.orelse if "cuda" not in ast.dump(n) and "net" not in [x.id for x in ast.walk(n) if isinstance(x, ast.Name)]]
torch.manual_seed(2)
logits_all = (torch.randn(3, 8, 10) * 6).reshape(24, 10).requires_grad_()
targets = torch.arange(8) % 10
space = {"F": F, "torch": torch, "logits_all": logits_all, "targets": targets, "images": [torch.zeros(8)]}
exec(compile(ast.Module(source, []), "cifar.py", "exec"), space)
space["loss"].backward()
print([ast.unparse(n) for n in source], space["loss"].item())
np.savez_compressed(sys.argv[4], logits=logits_all.detach().numpy(), labels=targets.numpy(), loss=np.array([space["loss"].item()]), gradient=logits_all.grad.numpy())
