"""AutoAttack by its authors' code (PyPI's pyautoattack) on a small network, and what it is made of, for lib/attack/testdata.

    python bench/oracles/autoattack.py MNIST lib/attack/testdata/autoattack.npz

with MNIST's folder of IDX files. The network, two convolutions of 5x5 with stride 2 and a linear layer, is trained here for
one epoch by PGD in L∞ on 20,000 training images; it is attacked on the first images of the test set.
"""
import gzip
import sys

import numpy as np
import torch
import torch.nn.functional as F
from pyautoattack import AutoAttack
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from pyautoattack.fab_projections import projection_l2, projection_linf
from pyautoattack.square import SquareAttack

folder, out = sys.argv[1:]
torch.manual_seed(0)
torch.set_num_threads(1)
N = 100


def images(name, n):
    raw = np.frombuffer(gzip.open(f"{folder}/{name}-images-idx3-ubyte.gz").read(), np.uint8, offset=16)
    return torch.from_numpy(raw.reshape(-1, 1, 28, 28)[:n].astype(np.float32) / 255)


def labels(name, n):
    return torch.from_numpy(np.frombuffer(gzip.open(f"{folder}/{name}-labels-idx1-ubyte.gz").read(), np.uint8, offset=8)[:n].astype(np.int64))


class Flat(torch.nn.Module):
    """Flattens in the order of [H, W, C]."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


net = torch.nn.Sequential(
    torch.nn.Conv2d(1, 8, 5, 2, 2), torch.nn.ReLU(), torch.nn.Conv2d(8, 16, 5, 2, 2), torch.nn.ReLU(), Flat(), torch.nn.Linear(784, 10))
x, y = images("train", 20000), labels("train", 20000)
opt = torch.optim.Adam(net.parameters(), 2e-3)
for at in torch.randperm(len(x)).split(100):
    xs, ys, eps = x[at], y[at], 0.1
    adv = (xs + eps * (2 * torch.rand_like(xs) - 1)).clamp(0, 1)
    for _ in range(5):
        adv.requires_grad_()
        grad = torch.autograd.grad(F.cross_entropy(net(adv), ys), adv)[0]
        adv = torch.min(torch.max(adv.detach() + 0.05 * grad.sign(), xs - eps), xs + eps).clamp(0, 1)
    opt.zero_grad()
    F.cross_entropy(net(adv), ys).backward()
    opt.step()
net.eval()

x, y = images("t10k", N), labels("t10k", N)
arrays = {"images": (x * 255).round().to(torch.uint8).numpy()[:, 0], "labels": y.numpy()}
for name, p in net.named_parameters():
    arrays[name] = p.detach().numpy()
# The losses, on random logits and on such with ties.
rng = np.random.default_rng(0)
z = torch.from_numpy(rng.normal(size=(40, 6)) * 3)
z[30:] = z[30:].round()
z[36:, 1:3] = z[36:].max(1, keepdim=True)[0]
label = torch.from_numpy(rng.integers(0, 6, 40))
target = (label + torch.from_numpy(rng.integers(1, 6, 40))) % 6
plain, targeted = APGDAttack(net, eps=1.0), APGDAttack_targeted(net, eps=1.0)
targeted.y_target = target
arrays |= {"logits": z.numpy(), "label": label.numpy(), "target": target.numpy(),
           "ce": F.cross_entropy(z, label, reduction="none").numpy(),
           "dlr": plain.dlr_loss(z, label).numpy(), "dlr_targeted": targeted.dlr_loss_targeted(z, label).numpy()}

# The projection onto a hyperplane within 0..1: near ones, far ones, ones that cannot be reached, and normals with zeros.
points = torch.from_numpy(rng.uniform(size=(60, 48)))
points[:20] = (points[:20] * 3 - 1).clamp(0, 1)  # many at the border
normals = torch.from_numpy(rng.normal(size=(60, 48)))
normals[40:, ::3] = 0
offset = (normals * points).sum(1) + torch.from_numpy(rng.normal(size=60) * np.repeat([0.5, 3, 12], 20))
arrays |= {"points": points.numpy(), "normals": normals.numpy(), "offset": offset.numpy(),
           "onto_Linf": projection_linf(points, normals, offset).numpy(), "onto_L2": projection_l2(points, normals, offset).numpy()}

# The schedule of squares, and the pattern of L2 where it is not turned.
square = SquareAttack(net, norm="L2", n_queries=5000, eps=1.0, p_init=0.8, resc_schedule=False, device="cpu")
arrays["shares"] = np.array([square.p_selection(i) for i in range(10000)])
for s in [3, 4, 5, 9, 25]:
    while True:
        pattern = square.eta(s)
        if pattern[0, s - 1] > 0:  # the upper half is the positive one
            break
    arrays[f"pattern_{s}"] = pattern.numpy()

# The ensemble, written down after each radius, for it takes minutes.
radii = {"Linf": [0.1, 0.15], "L2": [0.75, 1.5]}
for norm, all in radii.items():
    arrays[f"{norm}_eps"] = np.array(all)
    for i, eps in enumerate(all):
        attack = AutoAttack(net, norm=norm, eps=eps, version="standard", device="cpu", seed=0)
        worst, _ = attack.run_standard_evaluation(x, y, batch_size=N)
        stands = net(worst).argmax(1) == y
        arrays[f"{norm}_stands_{i}"] = stands.numpy().astype(np.uint8)
        np.savez_compressed(out, **arrays)
        print(norm, eps, f"{int(stands.sum())} of {N} stand")
