"""loupe's corruptions beside those that it stands for: the accuracy of one network, and seconds and memory.

    python bench/shift/corruptions.py accuracy HENDRYCKS_ROBUSTNESS CIFAR10-JPEG/test.zip CIFAR-RESNETS/resnet20.safetensors OUT.md [--severities 1 3 5] [--draws 3] [--only snow ...]
    python bench/shift/corruptions.py speed IMAGENET-SAMPLE/images.zip [--rounds 3] [--threads 1] [--only glass_blur ...]

accuracy: 2,000 of CIFAR-10's test images under the authors' make_cifar_c.py (what it needs stands in bench/oracles/corruptions.py), written in 8 bits
as the authors do, and ResNet-20 in PyTorch; beside it loupe's images and loupe's network. Where there is chance, several draws on either side, seeded 0, 1 and so on, of which the table has the mean
and each; OUT.md.csv has the means for all images and for every fourth, for lib/shift/testdata/corruption_accuracy.csv. OUT.md.authors and OUT.md.loupe get a line a draw as they come; with --who one of the two is run and the other's lines are taken as they are.

speed: ten photographs, 224 x 224 pixels, at severity 3 by the PyPI package imagecorruptions and by loupe with Benchmark ImageCorruptions. Each corruption is a
process of its own on either side, which handles the photographs once before the clock starts, then ten times; the best of the rounds counts. Memory is the process's peak. With --threads 1 both take one photograph after the other
in one thread, and the clock is the processor time of the process, on which other work on the machine tells less than on the time of day. With more, OpenCV, OpenMP and OpenBLAS may have as many, loupe gets
the ten as a batch, as a program that has many would hand them over, and the clock is the time of day.
"""
import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

root = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "bench" / "oracles"))
NAMES = ["gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow", "frost", "fog", "brightness", "contrast",
         "elastic_transform", "pixelate", "jpeg_compression", "speckle_noise", "gaussian_blur", "spatter", "saturate"]
CHANCELESS = {"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "gaussian_blur", "saturate"}


def build(folder):
    for name, package in (("dump", "./bench/oracles/dump"), ("shift", "./bench/shift")):
        subprocess.run(["go", "build", "-o", f"{folder}/{name}", package], cwd=root, check=True)


def authors(args, folder):
    """Yields the accuracy of ResNet-20 in PyTorch for each draw of each corruption by the authors' program."""
    import torch
    import torch_models
    from PIL import Image

    import corruptions

    with np.load(f"{folder}/images.npz") as z:
        x, labels = np.round(z["x"].reshape(-1, 32, 32, 3) * 255).astype(np.uint8), z["labels"]
    model = torch_models.cifar_resnet(str(Path(args.weights).resolve())).to(memory_format=torch.channels_last)
    space = corruptions.authors(Path(args.robustness).resolve() / "ImageNet-C" / "create_c", "make_cifar_c.py")
    for severity in args.severities:
        for name in args.only or NAMES:
            for draw in range(1 if name in CHANCELESS else args.draws):
                np.random.seed(draw)
                changed = np.stack([np.uint8(space[name](Image.fromarray(i), severity)) for i in x])
                with torch.no_grad():
                    batches = torch.from_numpy(changed.astype(np.float32) / 255).permute(0, 3, 1, 2).split(250)
                    right = (torch.cat([model(b) for b in batches]).argmax(1).numpy() == labels)
                yield name, severity, draw, right.mean(), right[::4].mean()


def loupe(args, folder):
    """Yields the same for loupe's images and loupe's network."""
    program = subprocess.Popen([f"{folder}/shift", "accuracy", f"{folder}/images.npz", Path(args.weights).resolve(), str(args.draws), ",".join(args.only or NAMES), *map(str, args.severities)],
                               stdout=subprocess.PIPE, text=True)
    for line in program.stdout:
        yield line.strip().split(",")
    if program.wait():
        sys.exit(program.returncode)


def accuracy(args):
    out = Path(args.out).resolve()
    with tempfile.TemporaryDirectory() as folder:
        build(folder)
        subprocess.run([f"{folder}/dump", "cifar10", Path(args.images).resolve(), "5", "2000", f"{folder}/images.npz"], check=True)
        for who in args.who:
            with open(f"{out}.{who}", "w", newline="") as f:
                for row in {"authors": authors, "loupe": loupe}[who](args, folder):
                    print(*row, sep=",", file=f, flush=True)
    found = {}
    for who in ("authors", "loupe"):
        if not os.path.exists(f"{out}.{who}"):
            return print(f"the table needs {out}.{who} too")
        with open(f"{out}.{who}") as f:
            for name, severity, _, *right in csv.reader(f):
                found.setdefault((int(severity), name), {}).setdefault(who, []).append([100 * float(v) for v in right])
    text = lambda v: f"{np.mean(v):.2f}" + (f" ({', '.join(f'{x:.2f}' for x in v)})" if len(v) > 1 else "")
    with open(f"{out}.csv", "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(["corruption", "severity", "authors_2000", "authors_500", "loupe_2000", "loupe_500"])
        for (severity, name), sides in sorted(found.items(), key=lambda item: (NAMES.index(item[0][1]), item[0][0])):
            if len(sides) == 2:
                w.writerow([name, severity, *(f"{v / 100:.4f}" for who in ("authors", "loupe") for v in np.mean(sides[who], 0))])
    with open(out, "w") as f:
        for severity in args.severities:
            print(f"\nSeverity {severity}:\n\n| corruption | authors | loupe | points apart |\n|---|---:|---:|---:|", file=f)
            for name in args.only or NAMES:
                a, b = (np.array(found[severity, name][who])[:, 0] for who in ("authors", "loupe"))
                print(f"| {name} | {text(a)} | {text(b)} | {np.mean(b) - np.mean(a):+.2f} |", file=f)
    print(open(out).read())


PASSES = 50


def child(name, file, threads):
    """One corruption by the package, in this process."""
    import cv2

    import corruptions
    cv2.setNumThreads(int(threads))
    space = corruptions.package()
    from PIL import Image
    with np.load(file) as z:
        x = np.round(z["x"].reshape(-1, 224, 224, 3) * 255).astype(np.uint8)
    function = space[name]
    clock = time.process_time if threads == "1" else time.perf_counter
    passes = 1 if name == "glass_blur" else PASSES
    for i in x[:1] if name == "glass_blur" else x:
        np.uint8(function(Image.fromarray(i), 3))
    start = clock()
    for _ in range(passes):
        for i in x:
            np.uint8(function(Image.fromarray(i), 3))
    print((clock() - start) / len(x) / passes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def speed(args):
    with tempfile.TemporaryDirectory() as folder:
        build(folder)
        file, threads = f"{folder}/images.npz", str(args.threads)
        subprocess.run([f"{folder}/dump", "imagenet", args.images, "50", "10", file], check=True)
        limits = {name: threads for name in ("GOMAXPROCS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        print("| corruption | imagecorruptions, ms | loupe, ms | times as fast | imagecorruptions, MB | loupe, MB | of memory |\n|---|---:|---:|---:|---:|---:|---:|")
        total = np.zeros(2)
        for name in args.only or NAMES:
            best = {}
            for _ in range(args.rounds):
                for who, command in (("package", [sys.executable, __file__, "child", name, file, threads]),
                                     ("loupe", [f"{folder}/shift", "speed", file, name, "3", threads, str(PASSES)])):
                    text = subprocess.run(command, env={**os.environ, **limits}, stdout=subprocess.PIPE, text=True, check=True).stdout
                    seconds, memory = map(float, text.split()[-2:])
                    s, m = best.get(who, (np.inf, 0))
                    best[who] = min(s, seconds), max(m, memory)
            (theirs, their_mb), (ours, our_mb) = best["package"], best["loupe"]
            total += theirs, ours
            print(f"| {name} | {theirs * 1e3:.2f} | {ours * 1e3:.2f} | {theirs / ours:.1f} | {their_mb:.0f} | {our_mb:.0f} | {our_mb / their_mb:.2f} |", flush=True)
        print(f"| all | {total[0] * 1e3:.1f} | {total[1] * 1e3:.1f} | {total[0] / total[1]:.1f} | | | |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:])
        sys.exit()
    parser = argparse.ArgumentParser()
    which = parser.add_subparsers(required=True)
    p = which.add_parser("accuracy")
    for name in ("robustness", "images", "weights", "out"):
        p.add_argument(name)
    p.add_argument("--severities", type=int, nargs="+", default=[1, 3, 5])
    p.add_argument("--draws", type=int, default=3)
    p.add_argument("--only", nargs="*")
    p.add_argument("--who", nargs="+", choices=["authors", "loupe"], default=["authors", "loupe"])
    p.set_defaults(run=accuracy)
    p = which.add_parser("speed")
    p.add_argument("images")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--only", nargs="*")
    p.set_defaults(run=speed)
    args = parser.parse_args()
    args.run(args)
