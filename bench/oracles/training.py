"""Steps of stochastic gradient descent by PyTorch, for lib/learn/testdata/sgd.npz.

    python bench/oracles/training.py ROBUSTNESS lib/learn/testdata/sgd.npz

where ROBUSTNESS is a checkout of MadryLab/robustness. A network of a convolution, batch normalisation and a linear layer, whose weights and images
are sines as in the test, takes six steps on one batch: with and without momentum, Nesterov's step and weight decay, and on images that the
library's L2 attack has made, in single precision.
"""
import ast
import sys
import types

import numpy as np
import torch
from torch import nn

torch.set_num_threads(1)


def sines(scale, start, *dims):
    n = int(np.prod(dims))
    return torch.from_numpy((scale * np.sin(12.9898 * (np.arange(n) + start))).astype(np.float32).reshape(dims))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.linear = nn.Conv2d(2, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.Linear(4, 3)
        with torch.no_grad():
            self.conv.weight.copy_(sines(0.4, 0, 3, 3, 2, 4).permute(3, 2, 0, 1))
            self.conv.bias.copy_(sines(0.1, 1000, 4))
            self.bn.weight.copy_(1 + sines(0.3, 2000, 4))
            self.bn.bias.copy_(sines(0.1, 3000, 4))
            self.linear.weight.copy_(sines(1, 4000, 3, 4))
            self.linear.bias.copy_(sines(0.1, 5000, 3))

    def forward(self, x):
        return self.linear(torch.relu(self.bn(self.conv(x))).mean((2, 3)))


def attack(net, x, y, **options):
    """The library's attack as it is, on the CPU. In it batch normalisation takes the batch's statistics and keeps the running ones."""
    space = {"ch": torch, "tqdm": lambda x: x, "helpers": types.SimpleNamespace(InputNormalize=lambda mean, std: lambda x: x)}
    for file, name in (("attack_steps", "AttackerStep"), ("attack_steps", "L2Step"), ("attacker", "Attacker")):
        tree = ast.parse(open(f"{sys.argv[1]}/robustness/{file}.py").read())
        kept = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name]
        exec(compile(ast.Module(kept, []), file, "exec"), space)
        space["STEPS"] = {"2": space.get("L2Step")}
    torch.Tensor.cuda = lambda self: self
    net.bn.momentum = 0
    found = space["Attacker"](net, types.SimpleNamespace(mean=None, std=None))(x, y, constraint="2", use_best=False, **options)
    net.bn.momentum = 0.1
    return found.detach()


x = torch.from_numpy((0.5 + 0.5 * np.sin(78.233 * np.arange(8 * 6 * 5 * 2))).astype(np.float32).reshape(8, 6, 5, 2)).permute(0, 3, 1, 2).contiguous()
y = torch.arange(8) % 3
golden = {}
for name, options in {
    "plain": dict(),
    "momentum": dict(momentum=0.9),
    "nesterov": dict(momentum=0.9, nesterov=True, weight_decay=0.05),
    "adversarial": dict(momentum=0.9),
}.items():
    net = Net().train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, **options)
    losses = []
    for _ in range(6):
        seen = attack(net, x, y, eps=0.4, step_size=0.3, iterations=3) if name == "adversarial" else x
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(seen), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    golden[name + "_loss"] = np.array(losses)
    for key, value in net.state_dict().items():
        if value.dtype == torch.float32:
            value = value.permute(2, 3, 1, 0) if value.dim() == 4 else value
            golden[f"{name}_{key}"] = value.contiguous().numpy().ravel()
np.savez_compressed(sys.argv[2], **golden)
print({k: v.ravel()[:3] for k, v in golden.items()})
