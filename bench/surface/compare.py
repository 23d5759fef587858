"""What loupe.Evaluate answers about 5,000 images, beside the same by PyTorch, scikit-learn and cleanlab, each in a process of its own.

    PYTHONPATH=bench/oracles python bench/surface/compare.py CIFAR10-JPEG/test.zip CIFAR-RESNETS/resnet20.safetensors \
        [--imagenet IMAGENET-SAMPLE/images.zip] [--images 5000] [--rounds 3]

The networks are ResNet-20 on CIFAR-10, and EfficientNet-Lite0 on ImageNet's sample, over and over again to as many images. Asked is for accuracy and top-5, precision, recall and F1 of each
class, the confusion, areas under ROC and precision-recall curves of each class, the expected calibration error, the 20 most confident mistakes with their pictures, label issues, and the 20
images of the lowest largest logit. Timed is from opening the archive to the last answer, by the clock and by the processors, with the network loaded before; of loupe's rounds the first, which
compiles, is told apart. Python reads with Pillow in a DataLoader, at the better of none and two workers and of two batch sizes, and with channels last; the rounds alternate. The memory is the
most of a process, with the DataLoader's workers; what these share counts once. What both find is compared: figures by their difference, lists by what both have.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

THEIRS = r"""
import contextlib, io, json, os, sys, threading, time, warnings, zipfile
import numpy as np
import torch
from PIL import Image
from sklearn import metrics
from cleanlab.filter import find_label_issues
import torch_models
warnings.simplefilter("ignore")


class Photographs(torch.utils.data.Dataset):
    def __init__(self, path, n, size, crop_from, classes):
        self.path, self.size, self.crop_from, self.archive = path, size, crop_from, None
        with zipfile.ZipFile(path) as z:
            names = sorted(i.filename for i in z.infolist() if i.filename.lower().endswith((".jpg", ".jpeg", ".png")))
        if classes == 1000:
            labels = [int("".join(c for c in os.path.basename(name).split("_")[0].split(".")[0] if c.isdigit())) for name in names]
        else:
            folders = sorted({name.split("/")[-2] for name in names})
            labels = [folders.index(name.split("/")[-2]) for name in names]
        at = [i * len(names) // n if n < len(names) else i % len(names) for i in range(n)]
        self.names, self.labels = [names[i] for i in at], np.array([labels[i] for i in at])

    def __len__(self):
        return len(self.names)

    def __getitem__(self, i):
        if self.archive is None:  # one for each worker
            self.archive = zipfile.ZipFile(self.path)
        image = Image.open(io.BytesIO(self.archive.read(self.names[i]))).convert("RGB")
        if self.crop_from:
            scale = self.crop_from / min(image.size)
            image = image.resize([round(s * scale) for s in image.size], Image.BICUBIC)
            left, top = (image.width - self.size) // 2, (image.height - self.size) // 2
            image = image.crop((left, top, left + self.size, top + self.size))
        elif image.size != (self.size, self.size):
            image = image.resize((self.size, self.size), Image.BICUBIC)
        return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)


def answers(net, path, n, size, crop_from, classes, workers, batch):
    ds = Photographs(path, n, size, crop_from, classes)
    logits = []
    with torch.inference_mode():
        for x in torch.utils.data.DataLoader(ds, batch_size=batch, num_workers=workers):
            logits.append(net((x.float() / 255).contiguous(memory_format=torch.channels_last)))
        z = torch.cat(logits)
        p = torch.softmax(z, 1).numpy()
    z, y = z.numpy(), ds.labels
    predicted = p.argmax(1)
    top5 = (np.argsort(-z, axis=1, kind="stable")[:, :5] == y[:, None]).any(1).mean()
    report = metrics.precision_recall_fscore_support(y, predicted, average="macro", zero_division=0)
    metrics.precision_recall_fscore_support(y, predicted, zero_division=0)
    confusion = metrics.confusion_matrix(y, predicted, labels=np.arange(classes))
    there = [c for c in range(classes) if 0 < (y == c).sum() < len(y)]
    onehot = y[:, None] == np.array(there)
    roc = metrics.roc_auc_score(onehot, p[:, there], average="macro")
    precision = metrics.average_precision_score(onehot, p[:, there], average="macro")
    confidence, right = p.max(1), predicted == y
    bins = np.clip(np.ceil(confidence * 15).astype(int) - 1, 0, 14)
    ece = sum(abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in range(15) if (bins == b).any())
    wrong = np.flatnonzero(~right)
    mistakes = wrong[np.argsort(-confidence[wrong], kind="stable")][:20]
    [ds[i] for i in mistakes]
    issues = find_label_issues(y, p, return_indices_ranked_by="self_confidence", n_jobs=1)
    unlike = np.argsort(z.max(1), kind="stable")[:20]
    return dict(accuracy=float(right.mean()), top5=float(top5), macro_f1=float(report[2]), confused=int(confusion.sum() - np.trace(confusion)), roc=float(roc), precision=float(precision),
                ece=float(ece), mistakes=mistakes.tolist(), issues=issues.tolist(), unlike=unlike.tolist())


def memory(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Pss:")) / 1024


def watch(most, stop):
    # The process and its children, the DataLoader's workers; a page that some of them share is divided among them.
    while not stop.wait(0.05):
        pids = [os.getpid()]
        try:
            with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children") as f:
                pids += f.read().split()
            most[0] = max(most[0], sum(memory(pid) for pid in pids))
        except OSError:
            pass  # one has just ended


if __name__ == "__main__":
    kind, weights, path, n, workers, batch, rounds = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):  # one of them says that it has loaded its weights
        net = torch_models.cifar_resnet(weights) if kind == "cifar" else torch_models.efficientnet_lite0()
    net = net.to(memory_format=torch.channels_last)
    size, crop_from, classes = (32, 0, 10) if kind == "cifar" else (224, 256, 1000)
    most, stop = [0], threading.Event()
    threading.Thread(target=watch, args=(most, stop), daemon=True).start()
    for _ in range(int(rounds)):
        start, busy = time.perf_counter(), sum(os.times()[:4])
        said = answers(net, path, int(n), size, crop_from, classes, int(workers), int(batch))
        print(time.perf_counter() - start, sum(os.times()[:4]) - busy, most[0])
    stop.set()
    print(json.dumps(said))
"""


def run(command):
    """The rounds' seconds by the clock and of the processors and MB, and the answers, that a program prints."""
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip().split("\n")
    return [[float(v) for v in line.split()] for line in lines[:-1]], json.loads(lines[-1])


def compare(kind, weights, archive, ours, theirs, args):
    n = str(args.images)
    few = str(min(args.images, 500))
    settings = [(str(w), str(b)) for w in (0, 2) for b in (64, 256)]
    best = min(settings, key=lambda s: run([sys.executable, theirs, kind, weights, archive, few, *s, "2"])[0][-1][0])
    print(f"{kind}: {n} images, PyTorch with {best[0]} workers in batches of {best[1]}")
    network = weights if kind == "cifar" else "efficientnet-lite0"
    rows = {"loupe, the first round": [], "loupe": [], "Python": []}
    for _ in range(args.rounds):
        rounds, mine = run([ours, network, archive, n, "2"])
        rows["loupe, the first round"].append(rounds[0])
        rows["loupe"].append(rounds[1])
        rounds, other = run([sys.executable, theirs, kind, weights, archive, n, *best, "1"])
        rows["Python"].append(rounds[0])
    best_of = {name: [min(r[i] for r in of) for i in range(3)] for name, of in rows.items()}
    for name, (clock, busy, megabytes) in best_of.items():
        print(f"  {name:24} {clock:8.2f} s   {busy:8.2f} s of processors   {megabytes:7.0f} MB")
    mine_, other_ = best_of["loupe"], best_of["Python"]
    print(f"  Python / loupe           {other_[0] / mine_[0]:8.2f}     {other_[1] / mine_[1]:8.2f}                     {other_[2] / mine_[2]:7.2f}")
    for name, value in mine.items():
        if isinstance(value, list):
            a, b = set(value), set(other[name])
            print(f"  {name}: {len(a)} and {len(b)}, {len(a & b)} in both")
        else:
            print(f"  {name}: {value:.6g} and {other[name]:.6g}, {abs(value - other[name]):.1e} apart")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("cifar")
    parser.add_argument("weights")
    parser.add_argument("--imagenet")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = os.path.join(folder, "surface"), os.path.join(folder, "theirs.py")
        subprocess.run(["go", "build", "-o", ours, "./bench/surface"], cwd=root, check=True)
        with open(theirs, "w") as f:
            f.write(THEIRS)
        compare("cifar", args.weights, args.cifar, ours, theirs, args)
        if args.imagenet:
            compare("efficientnet", "-", args.imagenet, ours, theirs, args)
        else:
            print("without --imagenet the photographs are left out")
