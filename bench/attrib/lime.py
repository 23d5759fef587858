"""LIME of ResNet-20 on CIFAR-10 images: loupe, captum's Lime and the package lime, with the same weights, images and masks, in one run.

    python bench/attrib/lime.py CIFAR10-JPEG/test.zip CIFAR-RESNETS/resnet20.safetensors --images 16 --masks 1000

All have patches of 4 pixels, black where one misses, and ridge regression; captum and lime run in PyTorch on the CPU with batches of --batch masked images. The rounds
alternate, and all use all processors. Of loupe the first run, with compilation, is told beside the second. The coefficients are compared, so that
what is timed is the same. It takes lime==0.2.0.1 besides the oracles' packages.
"""
import argparse
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr import Lime

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != here]  # where this file would be taken for the package
from lime.lime_image import LimeImageExplainer  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("archive")
parser.add_argument("weights")
parser.add_argument("--images", type=int, default=16)
parser.add_argument("--masks", type=int, default=1000)
parser.add_argument("--batch", type=int, default=256)
parser.add_argument("--rounds", type=int, default=3)
args = parser.parse_args()

sys.path.insert(0, os.path.join(here, "..", "oracles"))
import torch_models  # noqa: E402

torch.set_num_threads(os.cpu_count())
side, segments = 4, 64
rng = np.random.RandomState(0)
keep = rng.binomial(1, 0.5, size=(args.masks, segments)).astype(np.float32)
keep[0] = 1  # as the package lime has it
grid = np.arange(32)[:, None] // side * (32 // side) + np.arange(32)[None] // side


def weight(original, perturbed, kept, **_):
    """√exp(-d²/0.25²), d the cosine distance between a mask and the whole image."""
    d = 1 - torch.sqrt(kept.double().mean())
    return torch.sqrt(torch.exp(-(d**2) / 0.25**2))


def captum_lime(model, x, classes):
    def drawn(original, **_):
        for row in keep:
            yield torch.from_numpy(row)[None]

    lime = Lime(lambda v: torch.softmax(model(v), 1), interpretable_model=SkLearnRidge(alpha=1.0), similarity_func=weight, perturb_func=drawn)
    mask = torch.from_numpy(grid)[None, None]
    return np.stack([
        lime.attribute(x[i : i + 1], target=classes[i], feature_mask=mask, n_samples=args.masks, perturbations_per_eval=args.batch, return_input_shape=False)[0].numpy()
        for i in range(len(x))])


class Drawn:
    """A generator of random numbers which gives the masks that there are."""

    def randint(self, *_, **__):
        return keep.astype(int).ravel()


def package_lime(model, x, classes):
    def classify(images):
        with torch.no_grad():
            return torch.softmax(model(torch.from_numpy(images).permute(0, 3, 1, 2)), 1).double().numpy()

    all = []
    for i, image in enumerate(x.permute(0, 2, 3, 1).numpy()):
        explainer = LimeImageExplainer(kernel_width=0.25, random_state=0)
        explainer.random_state = Drawn()
        with contextlib.redirect_stderr(io.StringIO()):  # its bars
            found = explainer.explain_instance(
                image, classify, labels=(classes[i],), top_labels=None, hide_color=0, num_samples=args.masks, batch_size=args.batch, segmentation_fn=lambda _: grid, random_seed=0)
        coefficients = np.zeros(segments)
        for segment, value in found.local_exp[classes[i]]:
            coefficients[segment] = value
        all.append(coefficients)
    return np.stack(all)


root = os.path.join(here, "..", "..")
with tempfile.TemporaryDirectory() as folder:
    dump, masks, program = (os.path.join(folder, name) for name in ("images.npz", "keep.npz", "lime"))
    archive, weights = os.path.abspath(args.archive), os.path.abspath(args.weights)
    subprocess.run(["go", "run", "./bench/oracles/dump", "cifar10", archive, str(10000 // args.images), str(args.images), dump], cwd=root, check=True)
    subprocess.run(["go", "build", "-o", program, "./bench/attrib/lime"], cwd=root, check=True)
    np.savez(masks, keep=keep)
    x, _ = torch_models.images(dump)
    model = torch_models.cifar_resnet(weights)
    with torch.no_grad():
        classes = model(x).argmax(1).tolist()
    times = {"captum": [], "lime": [], "loupe": []}
    first = []
    for _ in range(args.rounds):
        for name, explain in (("captum", captum_lime), ("lime", package_lime)):
            start = time.perf_counter()
            with torch.no_grad():
                theirs = explain(model, x, classes)
            times[name].append(time.perf_counter() - start)
            if name == "captum":
                captum = theirs
        out = subprocess.run([program, archive, weights, str(args.images), masks], check=True, capture_output=True, text=True).stdout.splitlines()
        one, two = map(float, out[0].split())
        times["loupe"].append(two)
        first.append(one - two)
        ours = np.array([[float(v) for v in line.split()] for line in out[1:]])
for name, other in (("captum", captum), ("lime", theirs)):
    print(f"coefficients differ from {name}'s by {np.abs(ours - other).max():.1e}, the largest is {np.abs(other).max():.2f}")
medians = {name: np.median(v) / args.images for name, v in times.items()}
print(f"{args.images} images, {args.masks} masks: milliseconds an image, the median of {args.rounds} rounds")
print("   ".join(f"{name} {1000 * t:.1f}" for name, t in medians.items()) + f"   ratios {medians['captum'] / medians['loupe']:.2f}, {medians['lime'] / medians['loupe']:.2f}")
print(f"loupe's first run took {np.median(first):.1f} s longer: compilation")
