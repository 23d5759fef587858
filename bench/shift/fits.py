"""loupe's logistic regression beside scikit-learn's, and its calibration beside netcal's.

    python bench/shift/fits.py logistic [--sizes 10000x1280x10 5000x512x100] [--lambdas 45] [--rounds 3]
    python bench/shift/fits.py calibration [--sizes 50000x1000 10000x10] [--rounds 3]

logistic: features like those of a network's last layer (drawn from a seed, with a spectrum that falls, of classes that overlap, not negative), for the grid of 45 λ of Kornblith et al., 2019, from the largest down, each fit begun at the last
one's, or with --lambdas 1 for λ = 1 alone. Both stop where the largest derivative of the mean objective is below 1e-4, or after 1,000 iterations. scikit-learn (lbfgs, warm_start) runs in single and in double precision, with one
thread and with two (--threads), of which the fastest counts; its coefficients' objective is computed in double precision. loupe has all processors, and what compiling adds to its first call is told apart. "apart" is how far loupe's objective lies above (+) or
below (-) scikit-learn's, in parts of it, at the λ where that is most.

calibration: logits of a network that is too sure of itself, drawn from a seed. The expected calibration error in 15 bins of equal width and of equal mass (netcal has the first only; there NumPy's array_split of the sorted confidences stands in), from
probabilities, and the temperature: netcal's TemperatureScaling by maximum likelihood from probabilities, and loupe's from logits. netcal runs with one thread and with two, of which the faster counts.

Each side is a process of its own; the rounds alternate, and the median counts. The clock starts when the data are loaded and libraries imported. Wanted: pip install scikit-learn netcal
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

SKLEARN = """
import json, sys, time, os, warnings
import numpy as np
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
warnings.simplefilter("ignore")
folder, precision, *lambdas = sys.argv[1:]
load = lambda name: np.load(os.path.join(folder, name))
x, y, others, others_y = load("x.npy"), load("y.npy"), load("others.npy"), load("others_y.npy")
x, others = x.astype(precision), others.astype(precision)
start, busy = time.perf_counter(), time.process_time()
model, fits, accuracies, iterations = LogisticRegression(tol=1e-4, max_iter=1000, warm_start=True), [], [], 0
for text in lambdas:
    model.set_params(C=1 / float(text)).fit(x, y)
    fits.append((model.coef_.astype(float), model.intercept_.astype(float)))
    accuracies.append(float(model.score(others, others_y)))
    iterations += int(model.n_iter_[0])
out = {"clock": time.perf_counter() - start, "busy": time.process_time() - busy}
out["memory"] = int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))) / 1024
x = x.astype(float)
out["objectives"] = [float(-log_softmax(x @ w.T + b, 1)[np.arange(len(y)), y].sum() + float(text) / 2 * (w * w).sum()) for (w, b), text in zip(fits, lambdas)]
print(json.dumps({**out, "accuracies": accuracies, "iterations": iterations}))
"""

NETCAL = """
import json, sys, time, os, warnings
import numpy as np
warnings.simplefilter("ignore")
import torch
from netcal.metrics import ECE
from netcal.scaling import TemperatureScaling
from scipy.special import softmax
folder, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
z, y = np.load(os.path.join(folder, "z.npy")), np.load(os.path.join(folder, "y.npy"))
out = {}
def work(name, do):
    start, busy = time.perf_counter(), time.process_time()
    value = do()
    out[name] = [time.perf_counter() - start, time.process_time() - busy, float(value)]
p = softmax(z, 1)
double = p.astype(float)  # from single precision, netcal's optimizer returns what it began with
def predictions():
    softmax(z, 1)
    return 0
def mass():
    confidence = p.max(1)
    right = p.argmax(1) == y
    order = np.argsort(confidence, kind="stable")
    return sum(abs(confidence[part].mean(dtype=float) - right[part].mean()) * len(part) for part in np.array_split(order, 15)) / len(y)
def temperature():
    scaling = TemperatureScaling()
    scaling.fit(double, y)
    return 1 / np.asarray(scaling.temperature).ravel()[0]  # its temperature is what logits are multiplied by
work("predictions", predictions)
work("width", lambda: ECE(15).measure(p, y))
work("mass", mass)
work("temperature", temperature)
out["memory"] = int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))) / 1024
print(json.dumps(out))
"""


def call(command, threads=None):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    env = {**os.environ, **({name: str(threads) for name in names} if threads else {})}
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout.splitlines()[-1])


def save(folder, **arrays):
    for name, values in arrays.items():
        np.save(os.path.join(folder, f"{name}.npy"), values)


def features(n, d, k):
    rng = np.random.default_rng(0)
    inner = min(d, 128)
    scale = np.arange(1, inner + 1) ** -0.5
    centres, mix = rng.normal(size=(k, inner)) * 0.35, rng.normal(size=(inner, d)) / np.sqrt(inner) * 3

    def some(n):
        y = rng.integers(0, k, n)
        hidden = (centres[y] + rng.normal(size=(n, inner))) * scale
        return np.maximum(hidden @ mix + 0.3 * rng.normal(size=(n, d)), 0).astype(np.float32), y.astype(np.int64)

    x, y = some(n)
    y[:k] = np.arange(k)  # every class is there
    others, others_y = some(n // 5)
    return {"x": x, "y": y, "others": others, "others_y": others_y}


def logistic(args, folder, program, script):
    with open(script, "w") as f:
        f.write(SKLEARN)
    lambdas = [repr(float(v)) for v in np.logspace(5, -6, 45)] if args.lambdas == 45 else ["1.0"]
    settings = [(precision, threads) for precision in ("float32", "float64") for threads in args.threads]
    print("| features | λ | scikit-learn, s | of processors | at | iterations | MB | loupe, s | of processors | iterations | MB | compiles, s | ratio by the clock | with compiling | of processors | of memory | apart | accuracies differ by |\n"
          "|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for size in args.sizes or ["10000x1280x10", "5000x512x100"]:
        n, d, k = map(int, size.split("x"))
        save(folder, **features(n, d, k))
        files = [os.path.join(folder, f"{name}.npy") for name in ("x", "y", "others", "others_y")]
        theirs = lambda s: call([sys.executable, script, folder, s[0], *lambdas], s[1])
        first = {s: theirs(s) for s in settings}
        best = min(settings, key=lambda s: first[s]["clock"])
        a, b = [first[best]], []
        for i in range(args.rounds):
            b.append(call([program, "logistic", *files, str(k), *lambdas]))
            if i > 0:
                a.append(theirs(best))
        m = lambda runs, name: np.median([r[name] for r in runs])
        apart = np.array(b[0]["objectives"]) / np.array(a[0]["objectives"]) - 1
        worst = apart[np.argmax(np.abs(apart))]
        accuracy = np.abs(np.array(b[0]["accuracies"]) - np.array(a[0]["accuracies"])).max()
        print(f"| {size} | {len(lambdas)} | {m(a, 'clock'):.2f} | {m(a, 'busy'):.2f} | {best[0]}, {best[1]} thread{'s' * (best[1] > 1)} | {a[0]['iterations']} | {m(a, 'memory'):.0f} | {m(b, 'clock'):.2f} | {m(b, 'busy'):.2f} | "
              f"{b[0]['iterations']} | {m(b, 'memory'):.0f} | {m(b, 'compile'):.2f} | {m(a, 'clock') / m(b, 'clock'):.1f} | {m(a, 'clock') / (m(b, 'clock') + m(b, 'compile')):.1f} | {m(a, 'busy') / m(b, 'busy'):.1f} | "
              f"{m(a, 'memory') / m(b, 'memory'):.1f} | {worst:+.1e} | {accuracy:.4f} |", flush=True)


def calibration(args, folder, program, script):
    with open(script, "w") as f:
        f.write(NETCAL)
    print("| logits | work | Python, ms | of processors | loupe, ms | of processors | ratio by the clock | of processors | Python finds | loupe finds |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for size in args.sizes or ["50000x1000", "10000x10"]:
        n, k = map(int, size.split("x"))
        rng = np.random.default_rng(0)
        y = rng.integers(0, k, n).astype(np.int64)
        z = rng.normal(size=(n, k)).astype(np.float32)
        z[np.arange(n), y] += np.float32(np.sqrt(2 * np.log(k)))
        save(folder, z=z * np.float32(2.5), y=y)
        theirs = lambda threads: call([sys.executable, script, folder, str(threads)], threads)
        first = {threads: theirs(threads) for threads in args.threads}
        best = min(args.threads, key=lambda t: first[t]["temperature"][0])
        a, b = [first[best]], []
        for i in range(args.rounds):
            b.append(call([program, "calibration", os.path.join(folder, "z.npy"), os.path.join(folder, "y.npy")]))
            if i > 0:
                a.append(theirs(best))
        for name, text in (("predictions", "probabilities of logits (SciPy's softmax)"), ("width", "ECE, equal width (netcal)"), ("mass", "ECE, equal mass (NumPy)"), ("temperature", f"temperature (netcal, threads: {best})")):
            p, q = np.median([r[name] for r in a], 0), np.median([r[name] for r in b], 0)
            print(f"| {size} | {text} | {p[0] * 1e3:.1f} | {p[1] * 1e3:.1f} | {q[0] * 1e3:.1f} | {q[1] * 1e3:.1f} | {p[0] / q[0]:.1f} | {p[1] / max(q[1], 1e-6):.1f} | {p[2]:.6f} | {q[2]:.6f} |", flush=True)
        p, q = np.median([r["memory"] for r in a]), np.median([r["memory"] for r in b])
        print(f"| {size} | peak of memory | {p:.0f} MB | | {q:.0f} MB | | {p / q:.1f} | | | |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["logistic", "calibration"])
    parser.add_argument("--sizes", nargs="*")
    parser.add_argument("--lambdas", type=int, default=45, choices=[1, 45])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of scikit-learn and netcal; on a busy machine two wait for each other")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "fits")
        subprocess.run(["go", "build", "-o", program, "./bench/shift/fits"], cwd=root, check=True)
        {"logistic": logistic, "calibration": calibration}[args.what](args, folder, program, os.path.join(folder, "theirs.py"))
