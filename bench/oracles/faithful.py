"""Tests of heatmaps by Quantus, captum and the authors of RISE, on a small network.

    python bench/oracles/faithful.py RISE lib/attrib/faithful/testdata/faithful.npz

Packages: torch 2.15.0, captum 0.9.0, quantus 0.6.0, scipy 1.17.1. RISE is a checkout of eclique/RISE. Weights, images and
noise are hashed or sines, as internal/oracle makes them too, so that only results are kept. The network computes in double
precision; images and noise are float32. It normalises its images by a mean and a standard deviation.

What is random in the packages is given: noise, perturbations and the weights that layers are reset to. RISE's code is for
images of 224 x 224 on a GPU: its numbers of pixels and classes are set, and its blur takes the place of none, since what
it blurs with (Gaussian of 5 pixels cut off at 11 x 11, of an image that fades to the mean colour) is its example's, not
its metric's; here the image is reflected at its edges (scipy's "mirror"). Quantus 0.6.0 calls numpy.trapz, which NumPy
2.4 has as trapezoid.
"""
import sys
import types

import numpy as np
import quantus
import scipy.ndimage
import torch
from captum.attr import InputXGradient, Saliency
from captum.metrics import infidelity, sensitivity_max
from torch import nn

from hashed import hashed, weight

N, SIDE, CLASSES, SAMPLES = 4, 12, 5, 6
MEAN, STD = (0.45, 0.5, 0.55), (0.25, 0.2, 0.3)


class Conv(nn.Conv2d):
    def __init__(self, name, inputs, outputs):
        super().__init__(inputs, outputs, 3, padding=1)
        self.double()
        self.called = name
        self.load("")

    def load(self, prefix):
        self.weight.data = weight(prefix + self.called + ".weight", 3, 3, self.in_channels, self.out_channels).permute(3, 2, 0, 1).contiguous()
        self.bias.data = weight(prefix + self.called + ".bias", self.out_channels)

    def reset_parameters(self):
        if hasattr(self, "called"):  # the constructor calls it too
            self.load("fresh ")


class Linear(nn.Linear):
    def __init__(self, name, inputs, outputs):
        super().__init__(inputs, outputs)
        self.double()
        self.called = name
        self.load("")

    def load(self, prefix):
        self.weight.data = weight(prefix + self.called + ".weight", self.out_features, self.in_features)
        self.bias.data = weight(prefix + self.called + ".bias", self.out_features)

    def reset_parameters(self):
        if hasattr(self, "called"):
            self.load("fresh ")


class Net(nn.Module):
    def __init__(self, normalised=False):
        super().__init__()
        self.conv1, self.conv2, self.fc = Conv("conv1", 3, 6), Conv("conv2", 6, 8), Linear("fc", 8, CLASSES)
        self.relu1, self.relu2, self.pool = nn.ReLU(), nn.ReLU(), nn.MaxPool2d(2)
        self.normalised = normalised  # whether images come so

    def forward(self, x):
        x = x.double()
        if not self.normalised:
            x = (x - torch.tensor(MEAN).double().view(1, 3, 1, 1)) / torch.tensor(STD).double().view(1, 3, 1, 1)
        x = self.pool(self.relu1(self.conv1(x)))
        return 8 * self.fc(self.relu2(self.conv2(x)).mean((2, 3)))


net = Net().eval()
pixels = hashed("images", N * SIDE * SIDE * 3).astype(np.float32).reshape(N, SIDE, SIDE, 3)
x = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
with torch.no_grad():
    logits = net(x)
golden = {"logits": logits.numpy()}
top = logits.argmax(1)
classes = torch.tensor([1, 3, 0, 2])


def gradient(model, inputs, targets):
    inputs = torch.as_tensor(np.asarray(inputs)).double()
    return Saliency(model).attribute(inputs, torch.as_tensor(targets), abs=False).detach()


def contribution(model, inputs, targets):
    inputs = torch.as_tensor(np.asarray(inputs)).double()
    return InputXGradient(model).attribute(inputs, torch.as_tensor(targets)).detach()


def heat(model, inputs, targets, **_):
    return contribution(model, inputs, targets).sum(1, keepdim=True).numpy()


# Insertion and deletion by the authors of RISE.
torch.Tensor.cuda = lambda self: self
utils = types.ModuleType("utils")
utils.np, utils.torch, utils.plt = np, torch, None
sys.modules["utils"] = utils
filters = types.ModuleType("scipy.ndimage.filters")
filters.gaussian_filter = scipy.ndimage.gaussian_filter
sys.modules["scipy.ndimage.filters"] = filters
sys.path.insert(0, sys.argv[1])
import evaluation

evaluation.HW, evaluation.n_classes = SIDE * SIDE, CLASSES
mean, std = np.array(MEAN).reshape(1, 3, 1, 1), np.array(STD).reshape(1, 3, 1, 1)


def blurred(images):
    """Of normalised images, since blurring commutes with that."""
    out = images.numpy()
    for axis in (2, 3):
        out = scipy.ndimage.gaussian_filter1d(out, 5, axis=axis, mode="mirror", radius=5)
    return torch.from_numpy(out)


probabilities = nn.Sequential(Net(normalised=True), nn.Softmax(1)).eval()
normalised = (x.double() - mean) / std
maps = heat(net, x, top)
with torch.no_grad():
    for mode, substrate in (("del", torch.zeros_like), ("ins", blurred)):
        metric = evaluation.CausalMetric(probabilities, mode, 6, substrate)
        runs = [metric.single_run(normalised[i : i + 1].clone(), maps[i : i + 1]) for i in range(N)]
        golden["rise_" + mode] = np.stack(runs)
        golden["rise_" + mode + "_auc"] = np.array([evaluation.auc(run) for run in runs])

# Deletion by Quantus: the values of a pixel's three channels are equal, so twelve of them are four pixels.
np.trapz = np.trapezoid
quiet = dict(disable_warnings=True, display_progressbar=False)
given = dict(model=net, x_batch=x.numpy(), y_batch=classes.numpy(), channel_first=True)
maps = heat(net, x, classes)
flipping = quantus.PixelFlipping(features_in_step=12, perturb_baseline=0.5, **quiet)
golden["quantus_flipping"] = np.array(flipping(a_batch=maps, softmax=True, **given))
flipping = quantus.PixelFlipping(features_in_step=12, perturb_baseline=0.5, return_auc_per_sample=True, **quiet)
golden["quantus_flipping_auc"] = np.array(flipping(a_batch=maps, softmax=False, **given))

# Randomisation by Quantus.
for order in ("top_down", "independent"):
    for absolute in (False, True):
        test = quantus.MPRT(layer_order=order, abs=absolute, normalise=False, **quiet)
        scores = test(explain_func=heat, softmax=False, **given)
        for layer in ("conv1", "conv2", "fc"):
            golden[f"mprt_{order}_{'absolute' if absolute else 'signed'}_{layer}"] = np.array(scores[layer])

# Infidelity by captum: the same perturbations for all images.
I = torch.from_numpy((0.3 * (2 * hashed("perturbations", SAMPLES * SIDE * SIDE * 3) - 1)).astype(np.float32).reshape(SAMPLES, SIDE, SIDE, 3))
I = I.permute(0, 3, 1, 2).contiguous().double()


def perturb(inputs):
    change = I.repeat(len(inputs) // SAMPLES, 1, 1, 1)
    return change, inputs - change


for scaled in (False, True):
    a = gradient(net, x, classes)
    values = infidelity(net, perturb, x.double(), a, target=classes, n_perturb_samples=SAMPLES, normalize=scaled)
    golden["captum_infidelity" + ("_scaled" if scaled else "")] = values.numpy()

# Infidelity by Quantus: blocks of 4 x 4 become grey, one after another, and stay so.
test = quantus.Infidelity(perturb_patch_sizes=[4], n_perturb_samples=1, perturb_baseline=0.5, **quiet)
golden["quantus_infidelity"] = np.array(test(a_batch=gradient(net, x, classes).numpy(), softmax=False, **given))

# Sensitivity by captum and Quantus: the same noise for all images.
noise = (0.2 * (2 * hashed("noise", SAMPLES * SIDE * SIDE * 3) - 1)).astype(np.float32).reshape(SAMPLES, SIDE, SIDE, 3)
noise = np.ascontiguousarray(np.moveaxis(noise, -1, 1))


def moved(inputs):
    inputs = inputs[0] if isinstance(inputs, tuple) else inputs
    return (inputs.float() + torch.from_numpy(noise).repeat(len(inputs) // SAMPLES, 1, 1, 1)).double()


for name, explain in (("gradient", gradient), ("contribution", contribution)):

    def of(inputs, target):
        return (explain(net, inputs[0] if isinstance(inputs, tuple) else inputs, target),)

    golden["captum_sensitivity_" + name] = sensitivity_max(of, x.double(), moved, n_perturb_samples=SAMPLES, target=classes).numpy()
    for measure, metric in (("max", quantus.MaxSensitivity), ("avg", quantus.AvgSensitivity)):
        draws = iter(noise)
        test = metric(nr_samples=SAMPLES, perturb_func=lambda arr, indices, **_: arr + next(draws).reshape(1, -1), **quiet)
        explained = lambda model, inputs, targets, **_: explain(model, inputs, targets).numpy()
        golden[f"quantus_{measure}_{name}"] = np.array(test(explain_func=explained, softmax=False, **given))

golden = {k: np.ascontiguousarray(v, dtype=np.float64) for k, v in golden.items()}
np.savez_compressed(sys.argv[2], **golden)
for k, v in golden.items():
    print(k, v.shape, v.ravel()[:5])
