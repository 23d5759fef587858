"""Steps of optimizers, schedules and averages by PyTorch and timm, for lib/learn/testdata/optimizers.npz.

    python bench/oracles/optimizers.py lib/learn/testdata/optimizers.npz

A linear classifier whose weights and images are sines as in the test takes ten steps on one batch, in single precision. timm's LARS and LAMB
scale all weights and clip nothing (always_adapt, max_grad_norm=None). Needs torch 2.15.0, timm 1.0.31, numpy.
"""
import sys

import numpy as np
import torch
from timm.optim import Lamb, Lars
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

torch.set_num_threads(1)


def sines(scale, start, *dims):
    n = int(np.prod(dims))
    return torch.from_numpy((scale * np.sin(12.9898 * (np.arange(n) + start))).astype(np.float32).reshape(dims))


x = torch.from_numpy((0.5 + 0.5 * np.sin(78.233 * np.arange(8 * 6))).astype(np.float32).reshape(8, 6))
y = torch.arange(8) % 4


def net():
    m = torch.nn.Linear(6, 4)
    with torch.no_grad():
        m.weight.copy_(sines(1, 0, 4, 6))
        m.bias.copy_(sines(0.1, 1000, 4))
    return m


golden = {}
for name, make in {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.3, momentum=0.9, nesterov=True, weight_decay=0.05),
    "adam": lambda p: torch.optim.Adam(p, lr=0.02),
    "adam_decay": lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.1),
    "lars": lambda p: Lars(p, lr=30, momentum=0.9, weight_decay=0.05, always_adapt=True),
    "lamb": lambda p: Lamb(p, lr=0.02, weight_decay=0.05, max_grad_norm=None, always_adapt=True),
}.items():
    m = net()
    optimizer = make(m.parameters())
    average = AveragedModel(m, multi_avg_fn=get_ema_multi_avg_fn(0.8))
    average.update_parameters(m)  # the first one copies
    for _ in range(10):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(m(x), y).backward()
        optimizer.step()
        average.update_parameters(m)
    golden[name + "_weight"], golden[name + "_bias"] = m.weight.detach().numpy().ravel(), m.bias.detach().numpy()
    if name == "sgd":
        golden["average_weight"] = average.module.weight.detach().numpy().ravel()

# Factors of the learning rate before each of 100 steps.
schedules = torch.optim.lr_scheduler
for name, make in {
    "cosine": lambda o: schedules.CosineAnnealingLR(o, 100, eta_min=0.01),
    "one_cycle": lambda o: schedules.OneCycleLR(o, 1.0, total_steps=101, pct_start=(0.3 * 100 + 1) / 101),
    "steps": lambda o: schedules.MultiStepLR(o, [30, 60, 80], 0.2),
    "warm_up": lambda o: schedules.SequentialLR(o, [schedules.LinearLR(o, 1e-12, 1.0, 20), schedules.CosineAnnealingLR(o, 80)], [20]),
}.items():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer)
    factors = []
    for _ in range(100):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    golden["schedule_" + name] = np.array(factors)
np.savez_compressed(sys.argv[1], **golden)
print({k: v.ravel()[:3] for k, v in golden.items()})
