"""Targeted universal perturbations by ART, for lib/attack/universal/testdata.

    python bench/oracles/universal.py FASHION_MNIST lib/attack/universal/testdata/art.npz

needs adversarial-robustness-toolbox 1.20.1 and torch. FASHION_MNIST is a folder with the four IDX files (.gz). A small CNN is trained by
PyTorch on the first 10,000 training images; its weights are written too. ART's TargetedUniversalPerturbation (Hirano and Takemoto, 2019) then
makes a perturbation for each class from the first 100 training images, in L2 and in L-infinity, by its default attacker, the fast gradient
method, in the same norm with the same radius. Counted on the first 500 test images is how many are taken for the target, of those that
are not without the perturbation, after clipping to 0..1.
"""
import gzip
import random
import sys

import numpy as np
import torch
from art.attacks.evasion import TargetedUniversalPerturbation
from art.estimators.classification import PyTorchClassifier
from torch import nn

folder, out = sys.argv[1:]
torch.manual_seed(0)
torch.set_num_threads(1)
random.seed(0)
np.random.seed(0)


def read(name, head):
    return np.frombuffer(gzip.open(f"{folder}/{name}.gz").read(), np.uint8, offset=head)


def images(name, n):
    return torch.from_numpy(read(f"{name}-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)[:n].astype(np.float32) / 255)


train, labels = images("train", 10000), torch.from_numpy(read("train-labels-idx1-ubyte", 8)[:10000].astype(np.int64))
test = images("t10k", 500)


class Net(nn.Module):
    """loupe's SmallCNN with 4 and 8 channels, which flattens [H, W, C]."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.hidden, self.linear = nn.Linear(7 * 7 * 8, 64), nn.Linear(64, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.conv1(x).relu(), 2)
        x = nn.functional.max_pool2d(self.conv2(x).relu(), 2)
        return self.linear(self.hidden(x.permute(0, 2, 3, 1).flatten(1)).relu())


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(6):
    for at in torch.randperm(len(train)).split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(train[at]), labels[at]).backward()
        optimizer.step()
net.eval()
with torch.no_grad():
    clean = net(test).argmax(1).numpy()
print("accuracy", (clean == read("t10k-labels-idx1-ubyte", 8)[:500]).mean())

golden = {"clean": clean.astype(np.int32)}
for name, w in net.state_dict().items():
    w = w.numpy()
    golden[name] = np.ascontiguousarray(w.transpose(2, 3, 1, 0)) if w.ndim == 4 else w
classifier = PyTorchClassifier(net, nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0, 1), device_type="cpu")
base = train[:100].numpy()
for name, norm, eps in (("L2", 2, 2.5), ("Linf", np.inf, 0.15)):
    noise, hits = [], []
    for target in range(10):
        attack = TargetedUniversalPerturbation(
            classifier, attacker="fgsm", attacker_params={"targeted": True, "eps": eps, "norm": norm}, delta=0.0, max_iter=5, eps=eps, norm=norm)
        attack.generate(base, y=np.eye(10, dtype=np.float32)[[target] * len(base)])
        delta = torch.from_numpy(attack.noise.reshape(1, 1, 28, 28).astype(np.float32))
        with torch.no_grad():
            predicted = net((test + delta).clamp(0, 1)).argmax(1).numpy()
        noise.append(delta.numpy().reshape(28, 28, 1))
        hits.append([int(((predicted == target) & (clean != target)).sum()), int((clean != target).sum())])
        print(name, target, hits[-1], float(delta.norm()), float(delta.abs().max()), flush=True)
    golden[name], golden[name + "_success"] = np.stack(noise), np.array(hits, np.int32)
    print(name, np.array(hits).sum(0))
np.savez_compressed(out, **golden)
