"""loupe's label issues beside cleanlab's, on the same files, each in a process of its own.

    python bench/labels/compare.py [--sizes 10000x10 50000x1000 1000000x100] [--filters prune_by_noise_rate ...] [--rounds 3]

The probabilities are drawn at random, float32 as a network gives them, with 3% of the labels changed. Timed is from opening the files to the ranked indices, without what Python and
its packages take to start: by the clock, and by the processors' own time, which work beside it changes less. The memory is the most that the process had, of cleanlab's several jobs that of the
first. cleanlab runs at the better of one job and one for each core. The rounds alternate. What both find is compared. cleanlab computes with the file's single precision, loupe with double: the
last column is the share of the indices that only one of them has, of which double precision and a stable numpy.argsort leave none.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np

THEIRS = """
import os, sys, time
import numpy as np
from cleanlab.filter import find_label_issues
import warnings
warnings.simplefilter("ignore")
if __name__ == "__main__":
    probabilities, labels, name, jobs, out = sys.argv[1:]
    start, busy = time.perf_counter(), sum(os.times()[:4])
    found = find_label_issues(np.load(labels), np.load(probabilities), return_indices_ranked_by="self_confidence", filter_by=name, n_jobs=int(jobs))
    memory = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(time.perf_counter() - start, sum(os.times()[:4]) - busy, int(memory) / 1024)
    np.save(out, found)
"""


def draw(folder, n, k):
    """Writes random probabilities, some rows at a time, and labels."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, k, n)
    p = np.lib.format.open_memmap(os.path.join(folder, "p.npy"), mode="w+", dtype=np.float32, shape=(n, k))
    for lo in range(0, n, 10000):
        rows = rng.exponential(size=(min(10000, n - lo), k)).astype(np.float32) ** 3
        at = np.arange(len(rows))
        rows[at, true[lo : lo + len(rows)]] += rows.sum(1) * rng.exponential(size=len(rows)).astype(np.float32) * 2
        p[lo : lo + len(rows)] = rows / rows.sum(1, keepdims=True)
    p.flush()
    del p
    wrong = rng.random(n) < 0.03
    labels = np.where(wrong, rng.integers(0, k, n), true)
    np.save(os.path.join(folder, "y.npy"), labels)


def run(command):
    """The seconds by the clock and of the processors, and the MB, that a program prints."""
    return [float(v) for v in subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", nargs="*", default=["10000x10", "50000x1000", "1000000x100"])
    parser.add_argument("--filters", nargs="*", default=["prune_by_noise_rate", "prune_by_class", "confident_learning", "low_normalized_margin"])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "labels")
        subprocess.run(["go", "build", "-o", program, "./bench/labels"], cwd=root, check=True)
        script = os.path.join(folder, "theirs.py")
        with open(script, "w") as f:
            f.write(THEIRS)
        p, y, out = (os.path.join(folder, name) for name in ("p.npy", "y.npy", "out.npy"))
        print("| size | filter | cleanlab, s | of processors | jobs | MB | loupe, s | of processors | MB | ratio by the clock | of processors | of memory | issues | differ |\n"
              "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
        for size in args.sizes:
            draw(folder, *(int(v) for v in size.split("x")))
            for name in args.filters:
                command = lambda jobs: [sys.executable, script, p, y, name, str(jobs), out]
                jobs = min((1, os.cpu_count()), key=lambda j: run(command(j))[0])
                theirs, ours = [], []
                for _ in range(args.rounds):
                    theirs.append(run(command(jobs)))
                    want = np.load(out)
                    ours.append(run([program, p, y, name, "1", out]))
                    got = np.load(out)
                a, b = np.median(theirs, 0), np.median(ours, 0)
                differ = 1 - len(np.intersect1d(got, want)) / max(len(got), len(want), 1)
                print(f"| {size} | {name} | {a[0]:.3f} | {a[1]:.3f} | {jobs} | {a[2]:.0f} | {b[0]:.3f} | {b[1]:.3f} | {b[2]:.0f} | "
                      f"{a[0] / b[0]:.1f} | {a[1] / b[1]:.1f} | {a[2] / b[2]:.1f} | {len(got)} | {differ:.1e} |", flush=True)
