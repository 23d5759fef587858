"""Gradients of a task's agreement through the steps in which two networks learn it, by PyTorch, for lib/tasks/testdata.

    pip install torch==2.15.0 numpy==2.4.6
    python bench/oracles/discovery.py TASK_DISCOVERY lib/tasks/testdata/discovery.npz

TASK_DISCOVERY is a checkout of EPFL-VILAB/TaskDiscovery, of whose models/taskness_score.py and models/as_uniformity.py the loss and the uniformity
run as they are; the steps are unrolled by torch.autograd.grad with create_graph, in double precision. Weights and images are the sines of
internal/oracle.
"""
import ast
import itertools
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

repo, out_file = sys.argv[1:]
torch.set_num_threads(1)


def taken(file, name):
    """A function or a class of a file, without what the file imports."""
    source = open(f"{repo}/models/{file}").read()
    node = next(n for n in ast.parse(source).body if getattr(n, "name", None) == name)
    space = {"nn": nn, "F": F, "torch": torch}
    exec(ast.get_source_segment(source, node), space)
    return space[name]


cross_entropy_loss, Uniformity = taken("taskness_score.py", "cross_entropy_loss"), taken("as_uniformity.py", "Uniformity")


def waves(mean, scale, frequency, start, dims):
    values = mean + scale * np.sin(frequency * (np.arange(np.prod(dims)) + start))
    return torch.tensor(values.astype(np.float32).reshape(dims), dtype=torch.float64)


def sines(scale, start, *dims):
    return waves(0, scale, 12.9898, start, dims)


def mlp(w, x):
    return F.relu(x.reshape(len(x), -1) @ w["hidden1.weight"].T + w["hidden1.bias"]) @ w["linear.weight"].T + w["linear.bias"]


def conv(w, x):
    x = x.permute(0, 3, 1, 2)
    for i in itertools.count(1):
        if f"conv{i}.weight" not in w:
            break
        x = F.relu(F.conv2d(x, w[f"conv{i}.weight"].permute(3, 2, 0, 1), w[f"conv{i}.bias"], stride=2, padding=1))
    return x.permute(0, 2, 3, 1).reshape(len(x), -1) @ w["linear.weight"].T + w["linear.bias"]


def weights(shapes, start, scale=0.5):
    return {name: sines(scale, start + 100 * i, *shapes[name]) for i, name in enumerate(sorted(shapes))}


def of_mlp(pixels, hidden, outputs):
    return {"hidden1.weight": (hidden, pixels), "hidden1.bias": (hidden,), "linear.weight": (outputs, hidden), "linear.bias": (outputs,)}


steps, batch, test, rate, temperature, tau, coefficient = 2, 6, 5, 2.0, 5.0, 2.0, 0.003
uniformity = Uniformity(tau)
out = {}
cases = {
    "mlp": ((4, 4, 1), mlp, of_mlp(16, 5, 2)),
    "conv": ((6, 6, 2), conv, {"conv1.weight": (3, 3, 2, 3), "conv1.bias": (3,), "conv2.weight": (3, 3, 3, 4), "conv2.bias": (4,),
                                   "linear.weight": (2, 16), "linear.bias": (2,)}),
}
for name, (size, net, shapes) in cases.items():
    x = waves(0.5, 0.5, 78.233, 0, (steps * batch + test, *size))
    for kind in ("unrolled", "first order", "apart"):
        encoder = {k: v.requires_grad_() for k, v in weights(of_mlp(int(np.prod(size)), 7, 4), 1).items()}
        plane = torch.tensor([-0.42912358, 0.300743043, 0.0130721498, -0.85160774], dtype=torch.float64)  # the one that loupe draws of the seed 4
        nets = [{k: v.requires_grad_() for k, v in weights(shapes, start).items()} for start in (1000, 2000)]
        h_loss = 0
        for step in range(steps):
            xs = x[step * batch:(step + 1) * batch]
            h = mlp(encoder, xs)
            y = h @ (temperature * torch.stack([plane, -plane])).T
            h_loss = h_loss + uniformity(h)["loss"]
            halves = (torch.chunk(xs, 2), torch.chunk(y, 2)) if kind == "apart" else ((xs, xs), (y, y))
            at = [{k: v.detach().requires_grad_() for k, v in n.items()} for n in nets] if kind == "first order" else nets
            loss = 0.5 * sum(cross_entropy_loss(halves[1][i], net(at[i], halves[0][i])) for i in range(2))
            names = [(i, k) for i in range(2) for k in at[i]]
            gradients = torch.autograd.grad(loss, [at[i][k] for i, k in names], create_graph=True)
            moved = [dict(n) for n in nets]
            for (i, k), g in zip(names, gradients):
                moved[i][k] = nets[i][k] - rate * g
            nets = moved
        a, b = (net(n, x[steps * batch:]) for n in nets)
        agreement = 0.5 * (cross_entropy_loss(a, b) + cross_entropy_loss(b, a))
        total = agreement + coefficient * h_loss / steps
        key = f"{name} {kind}".replace(" ", "_")
        for k, g in zip(sorted(encoder), torch.autograd.grad(total, [encoder[k] for k in sorted(encoder)])):
            out[f"{key}_{k}"] = g.numpy().ravel()
        out[f"{key}_loss"] = np.array([total.item(), (a.argmax(1) == b.argmax(1)).double().mean().item(), (h_loss / steps).item(), agreement.item()])
np.savez_compressed(out_file, **out)
print({k: v for k, v in out.items() if k.endswith("_loss")})
