"""Completeness, soundness and learned masks by their authors' code, for lib/attrib/sound/testdata.

    python bench/oracles/soundness.py SOUNDNESS_SALIENCY cifar25.npz resnet20.safetensors lib/attrib/sound/testdata/resnet20.npz

where bench/oracles/dump wrote the images (cifar10 test.zip 400 25), and SOUNDNESS_SALIENCY is a checkout of agup/soundness_saliency. Its functions run as
they are, on the CPU and in double precision; what they draw and the losses that they compute are recorded on the way.
"""
import ast
import itertools
import sys
import types

import numpy as np
import torch
from torch import nn, optim

import torch_models

checkout, image_file, weight_file, out = sys.argv[1:]
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
torch.Tensor.cuda = lambda self: self
nn.Module.cuda = lambda self: self


def functions(path, *names):
    """The named functions and classes of a file; all of them without names."""
    tree = ast.parse(open(path).read())
    kept = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and (not names or n.name in names)]
    space = {"np": np, "torch": torch, "nn": nn, "optim": optim, "sys": sys}
    exec(compile(ast.Module(kept, []), path, "exec"), space)
    return types.SimpleNamespace(**{n.name: space[n.name] for n in kept})


theirs = functions(f"{checkout}/certificate_methods.py")
metrics = functions(f"{checkout}/utils.py", "completeness", "soundness")
golden = {}

# The metrics on random numbers.
rng = np.random.default_rng(0)
auc, p = rng.random((6, 10)), rng.random((6, 10)) ** 4
auc[0, 0], p[0, 1], p[0, 2] = 1e-9, 1e-12, 1.0
golden["auc"], golden["p"] = auc, p
golden["completeness"], golden["soundness"] = metrics.completeness(auc, p, epsilon1=0.1), metrics.soundness(auc, p, 0.1)

# How many pixels their masks of ImageNet's size keep, at the steps of their program.
noise = torch.from_numpy(rng.random((1, 224, 224)))
golden["counts"] = np.array([int(theirs.sparse_mask(noise, frac=float(i) / 224**2).sum()) for i in np.arange(0, 224 * 224 + 1, 224 * 8)[1:]])

# A ResNet-20, as they call a network: with normalised images.
x, _ = torch_models.images(image_file)
wrapped = torch_models.cifar_resnet(weight_file).double().eval()
for parameter in wrapped.parameters():
    parameter.requires_grad_(False)
net = wrapped.net
mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (wrapped.mean, wrapped.std))
x = (x.double() - mean) / std
probabilities = torch.softmax(net(x), 1).numpy()
predicted = probabilities.argmax(1)
golden["predicted"] = predicted[:4].astype(np.int64)

# The curves of random maps for three labels each of four images, 64 pixels at a time, and what their program sums up of them. The
# sums are the lines of its main function.
labels = np.stack([predicted[:4], (predicted[:4] + 1) % 10, (predicted[:4] + 5) % 10], 1)
maps = rng.random((4, 3, 32, 32)).astype(np.float32)
curves = np.array([[theirs.eval_mask_noise_mean_AUC(x[i], labels[i, l], torch.from_numpy(maps[i, l])[None], net, step=64) for l in range(3)] for i in range(4)])
golden["labels"], golden["maps"], golden["curves"] = labels.astype(np.int64), maps, curves
areas, clean = curves.mean(-1), np.take_along_axis(probabilities[:4], labels, 1)
alpha, beta = metrics.completeness(areas, clean, epsilon1=0.1), metrics.soundness(areas, clean, 0.1)
golden["map_completeness"], golden["map_soundness"] = alpha, beta
golden["summary"] = np.array([alpha[:, 0].mean(), (beta.sum() - beta[:, 0].sum()) / 9 / 4, beta[:, 1:].min(1).mean()])

# Masks, one pair at a time, for two labels each of two images: every draw and every loss is kept.
choice, backward = np.random.choice, torch.Tensor.backward
cross_entropy = nn.CrossEntropyLoss
for name, scale, tv, plain in (("pixels", 1, 0.0, False), ("smooth", 4, 0.01, False), ("single", 4, 0.01, True)):
    # "single" is their program with the cross entropy of the probabilities as they are, not of their softmax.
    nn.CrossEntropyLoss = (lambda reduction: lambda q, t: nn.functional.nll_loss(q.log(), t, reduction=reduction)) if plain else cross_entropy
    for steps in (10, 50):
        drawn, losses, masks = [], [], []
        for i, l in itertools.product(range(2), range(2)):
            np.random.seed(10 * i + l)
            draws, trajectory = [], []

            def recorded(n, size, *args, **kwargs):
                picked = choice(n, size, *args, **kwargs)
                if n == len(x):
                    draws.append(picked)
                return picked

            def noted(self):
                trajectory.append(self.item())
                backward(self)

            np.random.choice, torch.Tensor.backward = recorded, noted
            target = torch.zeros(1, 10)
            target[0, labels[i, l]] = 1
            learned = theirs.learn_masks_for_batch_Kcert(net, x[i : i + 1], target, scale=scale, steps=steps, noise_batch=x, noise_bs=3, reg_l1=1e-3, reg_tv=tv, debug=False)
            np.random.choice, torch.Tensor.backward = choice, backward
            drawn.append(draws), losses.append(trajectory), masks.append(learned.mask()[0, 0, 0].detach().numpy())
        golden[f"{name}_masks{steps}"] = np.array(masks).astype(np.float32)
    golden[f"{name}_drawn"] = np.array(drawn).astype(np.int64)  # [pairs, steps, fillers]; the first ten steps are those of the shorter run
    golden[f"{name}_loss"] = np.array(losses)

np.savez_compressed(out, **golden)
for name, value in golden.items():
    print(name, value.shape, value.dtype)
