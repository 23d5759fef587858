"""Losses of self-supervised learning, their gradients, and a nearest-neighbour classifier by lightly, for lib/selfsup/testdata and lib/transfer/testdata.

    pip install torch==2.15.0 numpy==2.4.6 && pip install --no-deps lightly==1.6.0 lightly_utils==0.0.2
    python bench/oracles/selfsup.py lib/selfsup/testdata/losses.npz lib/transfer/testdata/knn.npz

In double precision, on fixed tensors that are in the file. The momentum update is three of lightly's in a row.
"""
import pathlib
import runpy
import sys

import lightly
import numpy as np
import torch
from lightly.loss import NegativeCosineSimilarity, NTXentLoss, SwaVLoss
from lightly.loss.swav_loss import sinkhorn
from lightly.models.utils import update_momentum
from torch.nn import functional as F

# The file alone: its package wants PyTorch Lightning.
knn_predict = runpy.run_path(str(pathlib.Path(lightly.__file__).parent / "utils/benchmarking/knn.py"))["knn_predict"]

torch.set_num_threads(1)
rng = np.random.default_rng(16)
golden = {}


def given(name, *shape):
    golden[name] = rng.normal(size=shape).astype(np.float32)
    return torch.tensor(golden[name], dtype=torch.float64)


def keep(name, loss, *leaves):
    golden[name] = np.float64(loss.item())
    for i, gradient in enumerate(torch.autograd.grad(loss, leaves)):
        golden[f"{name}_gradient{i}"] = gradient.numpy()


# MoCo: a bank of 12 keys, batches of 4, four steps, of which the last begins the bank again.
n, d, k = 4, 6, 12
bank = F.normalize(given("bank", k, d), dim=1)
criterion = NTXentLoss(temperature=0.2, memory_bank_size=(k, d))
criterion.memory_bank.bank = bank.clone()
for step in range(4):
    query, key = given(f"query{step}", n, d).requires_grad_(True), given(f"key{step}", n, d)
    keep(f"moco{step}", criterion(query, key), query)
golden["bank_after"] = criterion.memory_bank.bank.numpy()

# BYOL.
p, z = given("prediction", 5, d).requires_grad_(True), given("projection", 5, d)
keep("cosine", NegativeCosineSimilarity()(p, z), p)

# SwAV: scores of unit vectors with unit prototypes, two large views and two small ones, with and without a queue.
n, d, k, queue = 6, 8, 5, 9
prototypes = F.normalize(given("prototypes", k, d), dim=1)
views = [F.normalize(given(f"view{i}", n, d), dim=1) @ prototypes.T for i in range(4)]
queues = [F.normalize(given(f"queue{i}", queue, d), dim=1) @ prototypes.T for i in range(2)]
for name, epsilon, iterations in [("three", 0.05, 3), ("sharp", 0.03, 10)]:
    golden[f"sinkhorn_{name}"] = sinkhorn(views[0], iterations, epsilon).numpy()
views = [v.detach().requires_grad_(True) for v in views]
keep("swav", SwaVLoss()(views[:2], []), *views[:2])
keep("swav_small", SwaVLoss()(views[:2], views[2:]), *views)
keep("swav_queue", SwaVLoss()(views[:2], views[2:], queues), *views)

# The momentum encoder.
net, average = torch.nn.Linear(d, k).double(), torch.nn.Linear(d, k).double()
with torch.no_grad():
    for i, w in enumerate(average.parameters()):
        w.copy_(given(f"average{i}", *w.shape))
    for step in range(3):
        for i, w in enumerate(net.parameters()):
            w.copy_(given(f"online{step}_{i}", *w.shape))
        update_momentum(net, average, 0.9)
for i, w in enumerate(average.parameters()):
    golden[f"averaged{i}"] = w.detach().numpy()

np.savez_compressed(sys.argv[1], **golden)

# Neighbours: 300 of 4 classes, 40 to tell.
classes, size, d = 4, 300, 8
centres = rng.normal(size=(classes, d))
labels, asked = rng.integers(0, classes, size), rng.integers(0, classes, 40)
features = (centres[labels] + 0.9 * rng.normal(size=(size, d))).astype(np.float32)
queries = (centres[asked] + 0.9 * rng.normal(size=(40, d))).astype(np.float32)
told = {}
for name, neighbours, temperature in [("k20", 20, 0.07), ("k200", 200, 0.07), ("warm", 200, 0.5)]:
    order = knn_predict(F.normalize(torch.tensor(queries).double(), dim=1), F.normalize(torch.tensor(features).double(), dim=1).T,
                        torch.tensor(labels), classes, neighbours, temperature)
    told[name] = order.numpy().astype(np.int64)
np.savez_compressed(sys.argv[2], features=features, labels=labels.astype(np.int64), queries=queries, asked=asked.astype(np.int64), **told)
print({k: v for k, v in golden.items() if v.ndim == 0}, {k: v[:5, 0] for k, v in told.items()})
