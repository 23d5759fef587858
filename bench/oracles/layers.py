"""What lib/learn's networks compute, by PyTorch's own layers with the same weights: sines, which lib/learn/networks_test.go makes as well.

    python bench/oracles/layers.py lib/learn/testdata/networks.npz

Weights are in this order and shape (those of convolutions as PyTorch's, but with the channels last). Wanted: pip install torch
"""
import sys

import numpy as np
import torch
from torch import nn


def sines(add, start, *dims):
    return (add + 0.3 * np.sin(12.9898 * (np.arange(np.prod(dims)) + start))).astype(np.float32).reshape(dims)


def fill(layer, name, start):
    """Gives a layer its weight and its bias."""
    weight = layer.weight
    if weight.ndim == 4:  # [out, in, 3, 3], here [3, 3, in, out]
        o, i, h, w = weight.shape
        value = sines(0, start(name + ".weight"), h, w, i, o).transpose(3, 2, 0, 1)
    else:
        value = sines(1 if weight.ndim == 1 else 0, start(name + ".weight"), *weight.shape)
    weight.data = torch.tensor(np.ascontiguousarray(value))
    layer.bias.data = torch.tensor(sines(0, start(name + ".bias"), *layer.bias.shape))
    return layer


def start(name):
    return sum(map(ord, name))


class Last(nn.Module):
    """Flattens with the channels last, as [N, H, W, C]."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


def cnn():
    return nn.Sequential(
        fill(nn.Conv2d(2, 4, 3, padding=1), "conv1", start), nn.ReLU(), nn.MaxPool2d(2), fill(nn.Conv2d(4, 5, 3, padding=1), "conv2", start), nn.ReLU(), nn.MaxPool2d(2),
        Last(), fill(nn.Linear(2 * 2 * 5, 64), "hidden", start), nn.ReLU(), fill(nn.Linear(64, 3), "linear", start))


def lenet():
    return nn.Sequential(
        fill(nn.Conv2d(2, 32, 3), "conv1", start), nn.ReLU(), fill(nn.Conv2d(32, 64, 3), "conv2", start), nn.ReLU(), nn.MaxPool2d(2),
        Last(), fill(nn.Linear(2 * 3 * 64, 128), "hidden", start), nn.ReLU(), fill(nn.Linear(128, 3), "linear", start))


def bag():
    conv1, conv2, linear = fill(nn.Conv2d(2, 4, 5, stride=2, padding=2), "conv1", start), fill(nn.Conv2d(4, 5, 1), "conv2", start), fill(nn.Linear(5, 3), "linear", start)
    return nn.Sequential(conv1, nn.ReLU(), conv2, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)


def mlp():
    return nn.Sequential(Last(), fill(nn.Linear(9 * 11 * 2, 7), "hidden1", start), nn.ReLU(), fill(nn.Linear(7, 5), "hidden2", start), nn.ReLU(), fill(nn.Linear(5, 3), "linear", start))


class ViT(nn.Module):
    """Of 3 x 2 patches of 2 x 2 pixels, tokens of 8 features, two blocks and two heads."""

    def __init__(self):
        super().__init__()
        self.patches, self.linear = fill(nn.Linear(2 * 2 * 3, 8), "patches", start), fill(nn.Linear(8, 3), "linear", start)
        self.klass, self.positions = torch.tensor(sines(0, start("class"), 1, 1, 8)), torch.tensor(sines(0, start("positions"), 1, 7, 8))
        self.norm = fill(nn.LayerNorm(8, eps=1e-6), "norm", start)
        self.blocks = nn.ModuleList()
        for b in ("block1", "block2"):
            e = nn.TransformerEncoderLayer(8, 2, 32, dropout=0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True)
            for layer, name in ((e.norm1, ".norm1"), (e.norm2, ".norm2"), (e.linear1, ".wide"), (e.linear2, ".narrow"), (e.self_attn.out_proj, ".attention.out")):
                fill(layer, b + name, start)
            parts = [fill(nn.Linear(8, 8), f"{b}.attention.{part}", start) for part in ("query", "key", "value")]
            e.self_attn.in_proj_weight.data = torch.cat([p.weight.data for p in parts])
            e.self_attn.in_proj_bias.data = torch.cat([p.bias.data for p in parts])
            self.blocks.append(e)

    def forward(self, x):
        n = len(x)
        x = x.permute(0, 2, 3, 1).reshape(n, 3, 2, 2, 2, 3).permute(0, 1, 3, 2, 4, 5).reshape(n, 6, 12)
        x = torch.cat([self.klass.expand(n, 1, 8), self.patches(x)], 1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.linear(self.norm(x)[:, 0])


def main(file):
    torch.manual_seed(0)
    golden = {}
    for name, net, size in (("cnn", cnn(), (9, 11, 2)), ("lenet", lenet(), (9, 11, 2)), ("mlp", mlp(), (9, 11, 2)), ("bag", bag(), (9, 11, 2)), ("vit", ViT(), (6, 4, 3))):
        x = (0.5 + 0.5 * np.sin(78.233 * np.arange(4 * np.prod(size)))).astype(np.float32).reshape(4, *size)
        with torch.no_grad():
            golden[name] = net.double().eval()(torch.tensor(x.astype(np.float64)).permute(0, 3, 1, 2)).numpy() if name != "vit" else net.eval()(torch.tensor(x).permute(0, 3, 1, 2)).numpy().astype(np.float64)
        print(name, golden[name])
    np.savez_compressed(file, **golden)


main(*sys.argv[1:])
