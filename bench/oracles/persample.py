"""Gradients of single examples by opacus, for lib/learn/testdata/persample.npz.

    python bench/oracles/persample.py lib/learn/testdata/persample.npz

A network of a convolution of stride 2, group normalisation, a second convolution and a linear layer, whose weights and images are sines as in the
test: the norm of each example's gradient, the sum of the gradients clipped to 0.5, and the weights after three steps of DP-SGD without noise.
Needs torch 2.15.0, opacus 1.6.0, numpy.
"""
import sys

import numpy as np
import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import nn

torch.set_num_threads(1)


def sines(add, scale, start, *dims):
    n = int(np.prod(dims))
    return torch.from_numpy((add + scale * np.sin(12.9898 * (np.arange(n) + start))).astype(np.float32).reshape(dims))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(2, 4, 3, 2, 1), nn.GroupNorm(2, 4)
        self.conv2, self.linear = nn.Conv2d(4, 6, 3, 1, 1), nn.Linear(6, 3)
        with torch.no_grad():
            self.conv1.weight.copy_(sines(0, 0.4, 0, 3, 3, 2, 4).permute(3, 2, 0, 1))
            self.conv1.bias.copy_(sines(0, 0.1, 1000, 4))
            self.norm.weight.copy_(sines(1, 0.3, 2000, 4))
            self.norm.bias.copy_(sines(0, 0.1, 3000, 4))
            self.conv2.weight.copy_(sines(0, 0.4, 6000, 3, 3, 4, 6).permute(3, 2, 0, 1))
            self.conv2.bias.copy_(sines(0, 0.1, 7000, 6))
            self.linear.weight.copy_(sines(0, 1, 4000, 3, 6))
            self.linear.bias.copy_(sines(0, 0.1, 5000, 3))

    def forward(self, x):
        x = torch.relu(self.norm(self.conv1(x)))
        return self.linear(torch.relu(self.conv2(x)).mean((2, 3)))


def ours(name, value):
    return (value.permute(2, 3, 1, 0) if value.dim() == 4 else value).contiguous().detach().numpy().ravel()


x = torch.from_numpy((0.5 + 0.5 * np.sin(78.233 * np.arange(8 * 6 * 5 * 2))).astype(np.float32).reshape(8, 6, 5, 2)).permute(0, 3, 1, 2).contiguous()
y = torch.arange(8) % 3
golden = {}
net = GradSampleModule(Net(), loss_reduction="sum")
nn.functional.cross_entropy(net(x), y, reduction="sum").backward()
norms = torch.stack([p.grad_sample.flatten(1).norm(dim=1) for p in net.parameters()]).norm(dim=0)
golden["norms"] = norms.numpy()
factors = (0.5 / norms).clamp(max=1)
for name, p in net._module.named_parameters():
    golden["sum_" + name] = ours(name, torch.einsum("b,b...->...", factors, p.grad_sample))

net = GradSampleModule(Net(), loss_reduction="sum")
optimizer = DPOptimizer(torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9), noise_multiplier=0.0, max_grad_norm=0.5, expected_batch_size=8)
for _ in range(3):
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), y, reduction="sum").backward()
    optimizer.step()
for name, p in net._module.named_parameters():
    golden["after_" + name] = ours(name, p)
np.savez_compressed(sys.argv[1], **golden)
print({k: v.ravel()[:4] for k, v in golden.items()})
