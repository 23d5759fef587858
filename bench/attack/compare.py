"""AutoAttack beside its authors' code (PyPI's pyautoattack 0.2.0) on the same network and images.

    python bench/attack/compare.py PASSES

Each is a process of its own, with the threads that it takes by itself. Ours compiles in its first pass, or finds its programs on disk.
"""
import subprocess
import sys
import time

import numpy as np

passes = int(sys.argv[1])
file = "lib/attack/testdata/autoattack.npz"
if len(sys.argv) == 2:
    for norm, eps in (("Linf", 0.1), ("L2", 1.25)):
        for name, call in (("loupe", ["go", "run", "./bench/attack", norm, str(eps), str(passes)]),
                           ("pyautoattack", [sys.executable, __file__, str(passes), norm, str(eps)])):
            print(name, norm, eps)
            print(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
    sys.exit()

import resource

import torch
from pyautoattack import AutoAttack


class Flat(torch.nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


arrays = np.load(file)
net = torch.nn.Sequential(
    torch.nn.Conv2d(1, 8, 5, 2, 2), torch.nn.ReLU(), torch.nn.Conv2d(8, 16, 5, 2, 2), torch.nn.ReLU(), Flat(), torch.nn.Linear(784, 10))
net.load_state_dict({name: torch.from_numpy(arrays[name]) for name, _ in net.named_parameters()})
x = torch.from_numpy(arrays["images"].astype(np.float32) / 255)[:, None]
y = torch.from_numpy(arrays["labels"])
for _ in range(passes):
    begun = time.time()
    attack = AutoAttack(net, norm=sys.argv[2], eps=float(sys.argv[3]), version="standard", device="cpu", seed=0)
    worst, _ = attack.run_standard_evaluation(x, y, batch_size=len(x))
    print(f"{time.time() - begun:.2f} s, {int((net(worst).argmax(1) == y).sum())} of {len(y)} stand")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "MB")
