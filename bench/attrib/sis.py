"""Batched gradient SIS of ResNet-20 on CIFAR-10 images: loupe and the authors' code, in one run, one after the other.

    git clone https://github.com/gifford-lab/overinterpretation
    python bench/attrib/sis.py overinterpretation CIFAR10-JPEG/test.zip CIFAR-RESNETS/resnet20.safetensors --images 128 --k 32

The authors' code runs in PyTorch on the CPU, without noise and with all images as one batch, as it is written; loupe in a process of its own. Both
use all processors. Of loupe the first run, with compilation, is told beside the second.
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
parser = argparse.ArgumentParser()
parser.add_argument("source")
parser.add_argument("archive")
parser.add_argument("weights")
parser.add_argument("--images", type=int, default=128)
parser.add_argument("--k", type=int, default=32)
parser.add_argument("--rounds", type=int, default=3)
args = parser.parse_args()

sys.path[:0] = [args.source + "/imagenet", os.path.join(here, "..", "oracles")]
import imagenet_backselect  # noqa: E402
import torch_models  # noqa: E402

torch.set_num_threads(os.cpu_count())
root = os.path.join(here, "..", "..")
with tempfile.TemporaryDirectory() as folder:
    dump, program = os.path.join(folder, "images.npz"), os.path.join(folder, "sis")
    step = str(10000 // args.images)
    subprocess.run(["go", "run", "./bench/oracles/dump", "cifar10", os.path.abspath(args.archive), step, str(args.images), dump], cwd=root, check=True)
    subprocess.run(["go", "build", "-o", program, "./bench/attrib/sis"], cwd=root, check=True)
    x, _ = torch_models.images(dump)
    model = torch_models.cifar_resnet(args.weights)
    view = lambda v: torch.tensor(v).view(1, 3, 1, 1)
    normal = (x - view(model.mean)) / view(model.std)
    theirs, ours, first = [], [], []
    for _ in range(args.rounds):
        start = time.perf_counter()
        imagenet_backselect.run_gradient_backward_selection(normal, model.net, args.k, add_random_noise=False, cuda=False)
        theirs.append(time.perf_counter() - start)
        out = subprocess.run([program, "time", args.archive, args.weights, str(args.images), str(args.k)], check=True, capture_output=True, text=True).stdout.split()
        first.append(float(out[0]))
        ours.append(float(out[1]))
a, b = np.median(theirs) / args.images, np.median(ours) / args.images
print(f"{args.images} images, k = {args.k}: milliseconds an image, the median of {args.rounds} rounds")
print(f"authors' code {1000 * a:.1f}   loupe {1000 * b:.1f}   ratio {a / b:.2f}")
print(f"loupe's first run took {np.median(np.array(first) - np.array(ours)):.1f} s longer: compilation")
