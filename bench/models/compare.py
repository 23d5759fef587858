"""Imported networks beside onnxruntime and PyTorch: a forward pass, and the gradient by the images, in one run.

    go build -o models ./bench/models && python bench/models/compare.py ./models [--only resnet50 ...] [--batch 8] [--rounds 3]

Every network is exported by torch.onnx.export with random weights and a dynamic batch, and the three get the same images. The rounds alternate; told is the
fastest run of all rounds, by the clock and of the processors, and of loupe apart what loading takes and the first runs, which compile. onnxruntime and PyTorch
have two threads, PyTorch channels last where that is faster. That they agree is checked first: logits to 1e-4 of the largest, and gradients are as near to
those in double precision as PyTorch's (twice its distance in the norm).
Needs torch 2.15.0, torchvision 0.29.2, timm 1.0.31, onnx 1.23.2, onnxruntime 1.32.0 and onnxscript 0.7.2.
"""
import argparse
import copy
import os
import subprocess
import tempfile
import time
import zlib

import numpy as np
import onnxruntime
import timm
import torch
import torchvision

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("--only", nargs="*")
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--rounds", type=int, default=3)
args = parser.parse_args()
torch.set_num_threads(2)
torch.manual_seed(0)

NETWORKS = {
    "resnet50": torchvision.models.resnet50, "mobilenet_v2": torchvision.models.mobilenet_v2,
    "efficientnet_b0": torchvision.models.efficientnet_b0, "deit_small": lambda: timm.create_model("deit_small_patch16_224"),
}
SIDE = 224


def hashed(name, n):
    x = (np.uint64(zlib.crc32(name.encode())) + np.arange(n, dtype=np.uint64)) & np.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    return ((x ^ (x >> np.uint64(16))) / 2**32).astype(np.float32)


def timed(f):
    start, used = time.perf_counter(), time.process_time()
    out = f()
    return (time.perf_counter() - start, time.process_time() - used), out


def least(runs):
    return min(r[0] for r in runs), min(r[1] for r in runs)


def check(what, got, want, tolerance):
    off = np.abs(got.reshape(-1) - want.reshape(-1)).max() / np.abs(want).max()
    if not off < tolerance:
        raise SystemExit(f"{what} differs by {off:.2g} of the largest")


def check_gradient(what, got, single, double):
    """A sum that is rounded otherwise may take a ReLU over its kink, in PyTorch's single precision as in ours: ours may be off from double
    precision by twice what that is, in the norm."""
    ours, theirs = (np.linalg.norm(g.reshape(-1) - double.reshape(-1)) / np.linalg.norm(double) for g in (got, single))
    if not ours < max(2 * theirs, 1e-4):
        raise SystemExit(f"{what} is off by {ours:.2g} of its norm, PyTorch's by {theirs:.2g}")


print("| network | pass | loupe, ms | onnxruntime | PyTorch | loupe / onnxruntime | loupe / PyTorch | of processors | |")
print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
for name in args.only or NETWORKS:
    net = NETWORKS[name]().eval()
    x = torch.from_numpy(hashed("images", args.batch * SIDE * SIDE * 3).reshape(args.batch, SIDE, SIDE, 3)).permute(0, 3, 1, 2).contiguous()
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, name + ".onnx")
        torch.onnx.export(net, (x[:2],), file, dynamo=False, opset_version=17, input_names=["x"], dynamic_axes={"x": {0: "n"}})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

        def forward_there(last):
            with torch.inference_mode():
                return net(x.to(memory_format=torch.channels_last) if last else x)

        def gradient_there(last):
            image = (x.to(memory_format=torch.channels_last) if last else x).clone().requires_grad_(True)
            net(image)[:, 0].sum().backward()
            return image.grad

        for p in net.parameters():
            p.requires_grad_(False)
        runs = {k: [] for k in ("loupe forward", "loupe gradient", "onnxruntime forward", "PyTorch forward", "PyTorch gradient")}
        logits, gradient = forward_there(False).numpy(), gradient_there(False).permute(0, 2, 3, 1).numpy()
        precise = x.double().requires_grad_(True)
        copy.deepcopy(net).double()(precise)[:, 0].sum().backward()
        precise = precise.grad.permute(0, 2, 3, 1).numpy()
        check(name + " in onnxruntime", session.run(None, {"x": x.numpy()})[0], logits, 1e-4)
        for round in range(args.rounds):
            for last in (False, True):
                net.to(memory_format=torch.channels_last if last else torch.contiguous_format)
                for _ in range(3):
                    runs["PyTorch forward"].append(timed(lambda: forward_there(last))[0])
                    runs["PyTorch gradient"].append(timed(lambda: gradient_there(last))[0])
            for _ in range(5):
                runs["onnxruntime forward"].append(timed(lambda: session.run(None, {"x": x.numpy()}))[0])
            out = os.path.join(folder, "out.npz")
            told = subprocess.run([args.program, file, str(args.batch), "6", out], check=True, capture_output=True, text=True).stdout
            lines = {line.split()[0]: [tuple(map(float, r.split("/"))) for r in line.split()[1:]] for line in told.splitlines()}
            for what in ("forward", "gradient"):
                runs["loupe " + what] += lines[what][1:]
            found = np.load(out)
            check(f"{name}: logits", found["logits"], logits, 1e-4)
            check_gradient(f"{name}: gradient", found["gradient"], gradient, precise)
            if round == 0:
                first = {k: v[0][0] for k, v in lines.items()}
        for what in ("forward", "gradient"):
            ours, torch_s = least(runs["loupe " + what]), least(runs["PyTorch " + what])
            there = least(runs["onnxruntime forward"]) if what == "forward" else (float("nan"),) * 2
            print(f"| {name} | {what} | {1000 * ours[0]:.0f} | {1000 * there[0]:.0f} | {1000 * torch_s[0]:.0f} | {ours[0] / there[0]:.2f} | {ours[0] / torch_s[0]:.2f} "
                  f"| {ours[1] / there[1]:.2f} of onnxruntime's, {ours[1] / torch_s[1]:.2f} of PyTorch's | first {first[what]:.1f} s, load {first['load']:.1f} s |", flush=True)
