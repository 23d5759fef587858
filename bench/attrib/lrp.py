"""Layer-wise relevance propagation beside zennit: seconds for 16 images, epsilon-plus-flat, single precision.

    PYTHONPATH=bench/oracles python bench/attrib/lrp.py --cifar cifar4.npz resnet20.safetensors --imagenet imagenet2.npz

Both sides get the same pixels and all cores, in turn, round by round: what else the machine does hits both.
"""
import argparse
import statistics
import subprocess
import tempfile
import time

import torch
from zennit.attribution import Gradient
from zennit.composites import EpsilonPlusFlat

import canonical

parser = argparse.ArgumentParser()
parser.add_argument("--cifar", nargs=2, required=True)
parser.add_argument("--imagenet", required=True)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--each", type=int, default=5)
args = parser.parse_args()


def zennit(net, x):
    classes = net(x).argmax(1)

    def start(logits):
        return logits.detach() * torch.nn.functional.one_hot(classes, logits.shape[1])

    seconds = []
    for _ in range(args.each):
        began = time.perf_counter()
        with Gradient(model=net, composite=EpsilonPlusFlat()) as attributor:
            attributor(x.clone(), start)
        seconds.append(time.perf_counter() - began)
    return seconds


with tempfile.TemporaryDirectory() as folder:
    subprocess.run(["go", "build", "-o", folder + "/lrp", "./bench/attrib/lrp"], check=True)
    print("| network | loupe | zennit | ratio | loupe's first run |\n|---|---:|---:|---:|---:|")
    for name, kind, images, weights in (
        ("ResNet-20, 32 px", "cifar", *args.cifar),
        ("SqueezeNet, 224 px", "squeezenet", args.imagenet, "squeezenet"),
        ("EfficientNet-Lite0, 224 px", "efficientnet", args.imagenet, "efficientnet-lite0"),
    ):
        net, normalise, x, _ = canonical.load(kind, images, weights)
        x = torch.cat([normalise(x)] * (16 // len(x))).float()
        net = net.float()
        ours, theirs, first = [], [], []
        for _ in range(args.rounds):
            out = subprocess.run([folder + "/lrp", weights, images, str(args.each)], check=True, capture_output=True, text=True)
            lines = [float(s) for s in out.stdout.split()]
            first.append(lines[0])
            ours += lines[1:]
            theirs += zennit(net, x)[1:]
        a, b = statistics.median(ours), statistics.median(theirs)
        print(f"| {name} | {a:.2f} s | {b:.2f} s | {b / a:.1f} | {statistics.median(first):.1f} s |", flush=True)
