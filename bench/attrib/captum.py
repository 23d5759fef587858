"""Integrated gradients, SmoothGrad and occlusion of ResNet-20 and EfficientNet-Lite0: loupe and captum, with the same weights and images, in one run.

    PYTHONPATH=bench/oracles python bench/attrib/captum.py CIFAR10-JPEG/test.zip CIFAR-RESNETS/resnet20.safetensors [IMAGENET-SAMPLE/images.zip]

captum runs in PyTorch on the CPU at the best of several settings, found before the rounds: one or two threads, and how many perturbed images go through the network at once. The
rounds alternate. Of loupe the first run, with compilation, is told beside the second. The sums of each image's absolute attributions are compared, so that what is timed is the same (SmoothGrad's noise differs).
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != here]  # where this file would be taken for the package
from captum.attr import IntegratedGradients, NoiseTunnel, Occlusion, Saliency  # noqa: E402

sys.path.insert(0, os.path.join(here, "..", "oracles"))
import torch_models  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("cifar")
parser.add_argument("weights")
parser.add_argument("imagenet", nargs="?")
parser.add_argument("--images", type=int, default=32)
parser.add_argument("--photographs", type=int, default=4)
parser.add_argument("--rounds", type=int, default=3)
args = parser.parse_args()
root = os.path.join(here, "..", "..")


def methods(model, x, classes, window, stride):
    """What is timed: the names that loupe gives, and captum's calls with a number of images at once."""
    spread = ((x.amax((1, 2, 3)) - x.amin((1, 2, 3))) * 0.15).mean()

    def smooth(at_once):
        tunnel = NoiseTunnel(Saliency(model))
        return tunnel.attribute(x, nt_type="smoothgrad", nt_samples=50, nt_samples_batch_size=max(1, at_once // len(x)), stdevs=float(spread), target=classes, abs=False)

    return {
        "integrated gradients": lambda at_once: IntegratedGradients(model).attribute(x, torch.zeros_like(x), classes, n_steps=50, internal_batch_size=max(len(x), at_once)),
        "SmoothGrad": smooth,
        "occlusion": lambda at_once: Occlusion(model).attribute(
            x, sliding_window_shapes=(3, window, window), strides=(3, stride, stride), baselines=0.5, target=classes, perturbations_per_eval=max(1, at_once // len(x)))[:, :1],
    }


def timed(call, *arguments):
    start = time.perf_counter()
    result = call(*arguments)
    return time.perf_counter() - start, result


def compare(title, program, file, weights, model, window, stride):
    x, _ = torch_models.images(file)
    with torch.no_grad():
        classes = model(x).argmax(1)
    calls = methods(model, x, classes, window, stride)
    best = {}
    for name, call in calls.items():
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for at_once in (len(x), 4 * len(x), 16 * len(x)):
                seconds, _ = timed(call, at_once)
                best[name] = min(best.get(name, (np.inf,)), (seconds, threads, at_once))
    ours, first, theirs = {}, {}, {}
    for _ in range(args.rounds):
        for name, call in calls.items():
            _, threads, at_once = best[name][:3]
            torch.set_num_threads(threads)
            seconds, result = timed(call, at_once)
            theirs.setdefault(name, []).append(seconds)
            best[name] = best[name][:3] + (result.detach().abs().sum((1, 2, 3)).numpy(),)
        for line in subprocess.run([program, file, weights, str(window), str(stride)], check=True, capture_output=True, text=True, cwd=root).stdout.splitlines():
            name, one, two, *sums = line.split(",")
            first.setdefault(name, []).append(float(one) - float(two))
            ours.setdefault(name, []).append(float(two))
            best[name] += (np.array([float(s) for s in sums]),)
    for name in calls:
        _, threads, at_once, captum, loupe = best[name][:5]
        a, b = np.median(theirs[name]), np.median(ours[name])
        print(f"{title}, {name}: captum {1000 * a / len(x):.1f} ms an image ({threads} threads, {at_once} at once), loupe {1000 * b / len(x):.1f}, ratio {a / b:.2f}; "
              f"compilation {np.median(first[name]):.1f} s; sums differ by {np.median(np.abs(captum - loupe) / captum):.1e}")


with tempfile.TemporaryDirectory() as folder:
    program = os.path.join(folder, "captum")
    subprocess.run(["go", "build", "-o", program, "./bench/attrib/captum"], cwd=root, check=True)

    def dump(kind, archive, step, count):
        out = os.path.join(folder, kind + ".npz")
        subprocess.run(["go", "run", "./bench/oracles/dump", kind, os.path.abspath(archive), str(step), str(count), out], cwd=root, check=True)
        return out

    weights = os.path.abspath(args.weights)
    compare("ResNet-20", program, dump("cifar10", args.cifar, 10000 // args.images, args.images), weights, torch_models.cifar_resnet(weights), 8, 3)
    if args.imagenet:
        compare("EfficientNet-Lite0", program, dump("imagenet", args.imagenet, 200, args.photographs), "efficientnet-lite0", torch_models.efficientnet_lite0(), 64, 40)
