"""Times cells through Jupyter's own client, from execute_request to idle, on several kernels in one run.

    python bench/kernel/cells.py [--rounds 40] [loupe] [ipykernel] [gonb] [gocell] [evcxr]

needs jupyter_client and ipykernel; loupe and gonb from ./install.sh; evcxr_jupyter in PATH, where it is installed; and for gocell
(github.com/alexispires/gocell) GOCELL_MODULE_ROOT, the folder of its source with gocell-kernel built in it. Prints a table of
medians in milliseconds, with the 10th and 90th percentiles. Each round of a "compiled" row is a cell that has not been seen before.
"""
import argparse, json, os, shutil, statistics, subprocess, sys, tempfile, time
from pathlib import Path
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpec

ROOT = Path(__file__).resolve().parents[2]

def specs():
    out = {"ipykernel": KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], language="python")}
    if (ROOT / "bin/loupe").exists():
        out["loupe"] = KernelSpec(argv=[str(ROOT / "bin/loupe"), "kernel", "-f", "{connection_file}"], language="go")
    if (ROOT / "bin/gonb").exists():
        out["gonb"] = KernelSpec(argv=[str(ROOT / "bin/gonb"), "--kernel", "{connection_file}"], env={"PATH": str(ROOT / "bin") + os.pathsep + os.environ["PATH"]}, language="gonb")
    gocell = os.environ.get("GOCELL_MODULE_ROOT")
    if gocell:
        out["gocell"] = KernelSpec(argv=[str(Path(gocell) / "gocell-kernel"), "{connection_file}"], env={"GOCELL_MODULE_ROOT": gocell}, language="gocell")
    if shutil.which("evcxr_jupyter"):
        out["evcxr"] = KernelSpec(argv=["evcxr_jupyter", "--control_file", "{connection_file}"], language="rust")
    return out

GO_TYPED = """type record%(i)d struct{ id, value int }
func (r record%(i)d) sum() int { return r.id + r.value + %(salt)d }
func twice%(i)d[T int | float64](x T) T { return 2 * x }
fmt.Println(twice%(i)d(record%(i)d{%(i)d, 1}.sum()))"""
GOCELL = "import \"fmt\"\n" + GO_TYPED  # it has no automatic imports
GO_GRAPH = """import "github.com/gomlx/gomlx/core/graph"
func cube%(i)d(x *graph.Node) *graph.Node { return graph.MulScalar(graph.Mul(x, graph.Mul(x, x)), %(salt)d) }
type holder%(i)d struct{ f func(*graph.Node) *graph.Node }
h%(i)d := holder%(i)d{cube%(i)d}"""
CELLS = {  # row: language: cell
    "trivial, kept variable": {"python": "x = %(i)d + 1", "go": "x := %(i)d + 1", "gocell": "x := %(i)d + 1", "gonb": "%%%%\nx := %(i)d + 1\n_ = x", "rust": "let x = %(i)d + 1;"},
    "a struct, a method, a generic function, compiled": {
        "python": "class R%(i)d:\n    def __init__(s, a, b): s.a, s.b = a, b\n    def sum(s): return s.a + s.b\nprint(2 * R%(i)d(%(i)d, 1).sum())",
        "go": GO_TYPED, "gocell": GOCELL,
        "gonb": "import \"fmt\"\n" + GO_TYPED.rsplit("\n", 1)[0] + "\n%%%%\nfmt.Println(twice%(i)d(record%(i)d{%(i)d, 1}.sum()))",
        "rust": "struct R%(i)d { a: i64, b: i64 }\nimpl R%(i)d { fn sum(&self) -> i64 { self.a + self.b } }\nfn twice%(i)d<T: std::ops::Add<Output = T> + Copy>(x: T) -> T { x + x }\nprintln!(\"{}\", twice%(i)d(R%(i)d { a: %(i)d, b: 1 }.sum()));"},
    "the same with GoMLX imported, compiled": {
        "gonb": GO_GRAPH.rsplit("\n", 1)[0] + "\n%%%%\nh%(i)d := holder%(i)d{cube%(i)d}\n_ = h%(i)d",
        "go": GO_GRAPH},
    "fib(38)": {"python": None, "go": "fib(38)", "gocell": "fib(38)", "gonb": "%%\nfib(38)", "rust": "fib(38)"},
    "check alone: ten lines, an error in the last": {
        "gonb": "import \"strings\"\n%%%%\na%(i)d := 1\n" + "\n".join("b%d := strings.Repeat(\"x\", a%%(i)d+%d)" % (k, k) for k in range(8)) + "\nc := undefinedName",
        "rust": "let a%(i)d = 1;\n" + "\n".join("let b%d = \"x\".repeat(a%%(i)d + %d);" % (k, k) for k in range(8)) + "\nlet c = undefined_name;",
        "go": "a%(i)d := 1\n" + "\n".join("b%d := strings.Repeat(\"x\", a%%(i)d+%d)" % (k, k) for k in range(8)) + "\nc := undefinedName"},
}
SETUP = {
    "gonb": ["!*go get github.com/gomlx/gomlx@v0.28.0", "func fib(n int) int { if n < 2 { return n }; return fib(n-1) + fib(n-2) }"],
    "go": ["func fib(n int) int { if n < 2 { return n }; return fib(n-1) + fib(n-2) }", "fib(10)", "%%go\nfib(10)"],
    "gocell": ["func fib(n int) int { if n < 2 { return n }; return fib(n-1) + fib(n-2) }", "fib(10)"],
    "rust": ["fn fib(n: u32) -> u64 { if n < 2 { n as u64 } else { fib(n - 1) + fib(n - 2) } }"],
}

def run(client, code):
    start = time.perf_counter()
    # A kernel may wait a little for further cells to abort when one has failed, which is not what is timed.
    reply = client.execute_interactive(code, output_hook=lambda m: None, timeout=120, stop_on_error=False)
    return (time.perf_counter() - start) * 1e3, reply["content"]["status"]

def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=40)
    p.add_argument("kernels", nargs="*")
    args = p.parse_args()
    known = specs()
    clients = {}
    for name in args.kernels or known:
        if name not in known:
            print(f"{name} is not installed here", file=sys.stderr)
            continue
        km = KernelManager()
        km._kernel_spec = known[name]
        start = time.perf_counter()
        env = dict(os.environ, LOUPE_HISTORY="off")
        km.start_kernel(env=env, cwd=tempfile.mkdtemp(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        kc = km.client()
        kc.start_channels()
        kc.wait_for_ready(timeout=60)
        clients[name] = (km, kc, known[name].language)
        print(f"{name}: ready after {(time.perf_counter() - start) * 1e3:.0f} ms", file=sys.stderr)
        for code in SETUP.get(known[name].language, []):
            run(kc, code)
    salt = int(time.time()) % 100000  # no cell has been built before
    print("| cell | " + " | ".join(clients) + " |\n|---|" + "---:|" * len(clients))
    for row, cells in CELLS.items():
        line = []
        for name, (km, kc, language) in clients.items():
            template = cells.get(language)
            if template is None:
                line.append("")
                continue
            rounds = 5 if "fib" in row else args.rounds
            times, failed = [], 0
            for i in range(rounds + 3):
                ms, status = run(kc, template % {"i": i, "salt": salt} if "%(" in template else template)
                failed += status != "ok"
                if i >= 3:
                    times.append(ms)
            times.sort()
            text = f"{statistics.median(times):.1f} ({times[len(times) // 10]:.1f}–{times[len(times) * 9 // 10]:.1f})"
            if failed and "error" not in row:
                text += f" {failed} failed"
            line.append(text)
        print(f"| {row} | " + " | ".join(line) + " |", flush=True)
    for km, kc, _ in clients.values():
        kc.stop_channels()
        km.shutdown_kernel(now=True)

if __name__ == "__main__":
    main()
