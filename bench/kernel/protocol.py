"""Times what a person waits for besides cells: completion, inspection, interrupts, the first result of a new kernel, many outputs.

    python bench/kernel/protocol.py [--rounds 100] [loupe] [ipykernel] [gonb] [gocell] [evcxr]

needs what cells.py needs. Prints medians in milliseconds, with the 95th percentiles, and the memory of each kernel at rest: of a
new one, five seconds after its first cell, the proportional set size (PSS) of its process and all below it, in MB.
"""
import argparse, os, queue, statistics, subprocess, sys, tempfile, time
from jupyter_client import KernelManager

from cells import run, specs

CELLS = {  # row: language: cell
    "trivial": {"python": "x = 1 + 1", "go": "x := 1 + 1", "gocell": "x := 1 + 1", "gonb": "%%\nx := 1\n_ = x", "rust": "let x = 1 + 1;"},
    "complete": {"python": "some_l", "go": "someL", "gocell": "someL", "gonb": "strings.HasPr", "rust": "some_l"},
    "inspect": {"python": "len", "go": "strings.Fields", "gocell": "someList", "gonb": "import \"strings\"\n%%\n_ = strings.Fields(\"a\")", "rust": "some_list"},
    "loop": {"python": "print('on')\nwhile True: pass", "go": "fmt.Println(\"on\")\nfor {}", "gocell": "import \"fmt\"\nfmt.Println(\"on\")\nfor {}", "gonb": "import \"fmt\"\n%%\nfmt.Println(\"on\")\nfor {}"},
    "prints": {"python": "for i in range(10_000): print(i)", "go": "for i := 0; i < 10_000; i++ { fmt.Println(i) }",
               "gocell": "import \"fmt\"\nfor i := 0; i < 10_000; i++ { fmt.Println(i) }",
               "gonb": "import \"fmt\"\n%%\nfor i := 0; i < 10_000; i++ { fmt.Println(i) }", "rust": "for i in 0..10_000 { println!(\"{}\", i); }"},
    "displays": {"python": "from IPython.display import display\nfor i in range(10_000): display(i)", "go": "for i := 0; i < 10_000; i++ { display.Show(i) }"},
}
SETUP = {"python": ["some_list = [1, 2, 3]"], "go": ["someList := []int{1, 2, 3}"], "gocell": ["someList := []int{1, 2, 3}"], "rust": ["let some_list = vec![1, 2, 3];"], "gonb": ["import \"strings\"\n%%\n_ = strings.Fields"]}

def start(spec):
    km = KernelManager()
    km._kernel_spec = spec
    km.start_kernel(env=dict(os.environ, LOUPE_HISTORY="off"), cwd=tempfile.mkdtemp(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kc = km.client()
    kc.start_channels(hb=False)
    return km, kc

def stop(km, kc):
    kc.stop_channels()
    km.shutdown_kernel(now=True)

def reply(kc, msg_id, timeout=60):
    while True:
        m = kc.get_shell_msg(timeout=timeout)
        if m["parent_header"].get("msg_id") == msg_id:
            return m

def drain(kc):
    try:
        while True:
            kc.get_iopub_msg(timeout=0.05)
    except queue.Empty:
        pass

def asked(kc, ask):
    begin = time.perf_counter()
    reply(kc, ask())
    return (time.perf_counter() - begin) * 1e3

def interrupt(km, kc, code):
    msg_id = kc.execute(code)
    while True:  # until it runs
        m = kc.get_iopub_msg(timeout=60)
        if m["parent_header"].get("msg_id") == msg_id and m["msg_type"] == "stream":
            break
    time.sleep(0.05)
    begin = time.perf_counter()
    km.interrupt_kernel()
    reply(kc, msg_id)
    took = (time.perf_counter() - begin) * 1e3
    drain(kc)
    return took

def first_result(spec, code):
    begin = time.perf_counter()
    km, kc = start(spec)
    reply(kc, kc.execute(code))
    took = (time.perf_counter() - begin) * 1e3
    stop(km, kc)
    return took

def tree(pid):
    """Returns a process and all below it."""
    below = {}
    for folder in os.listdir("/proc"):
        if folder.isdigit():
            try:
                with open(f"/proc/{folder}/stat") as f:
                    below.setdefault(int(f.read().rpartition(")")[2].split()[1]), []).append(int(folder))
            except OSError:
                pass  # it has ended
    found = [pid]
    for p in found:
        found += below.get(p, [])
    return found

def at_rest(spec, code):
    km, kc = start(spec)
    reply(kc, kc.execute(code))
    time.sleep(5)
    kilobytes = 0
    for pid in tree(km.provisioner.process.pid):
        with open(f"/proc/{pid}/smaps_rollup") as f:
            kilobytes += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    stop(km, kc)
    return kilobytes / 1e3

def told(times):
    times = sorted(times)
    return f"{statistics.median(times):.1f} ({times[min(len(times) - 1, len(times) * 95 // 100)]:.1f})"

def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=100)
    p.add_argument("kernels", nargs="*")
    args = p.parse_args()
    known = specs()
    names = [n for n in args.kernels or known if n in known]
    kernels = {}
    for name in names:
        km, kc = start(known[name])
        kc.wait_for_ready(timeout=60)
        kernels[name] = km, kc, known[name].language
        for code in SETUP[known[name].language]:
            run(kc, code)
    def row(title, measure, rounds):
        line = []
        for name, (km, kc, language) in kernels.items():
            try:
                drain(kc)
                for _ in range(2):
                    measure(name, km, kc, language)
                line.append(told([measure(name, km, kc, language) for _ in range(rounds)]))
            except (KeyError, queue.Empty):
                line.append("")
        print(f"| {title} | " + " | ".join(line) + " |", flush=True)
    print("| | " + " | ".join(kernels) + " |\n|---|" + "---:|" * len(kernels))
    row("trivial cell", lambda n, km, kc, l: run(kc, CELLS["trivial"][l])[0], args.rounds)
    row("completion", lambda n, km, kc, l: asked(kc, lambda: kc.complete(CELLS["complete"][l])), args.rounds)
    row("inspection", lambda n, km, kc, l: asked(kc, lambda: kc.inspect(CELLS["inspect"][l], len(CELLS["inspect"][l].rstrip("(\"a)")))), args.rounds)
    row("10,000 prints in a cell", lambda n, km, kc, l: run(kc, CELLS["prints"][l])[0], 10)
    row("10,000 displays in a cell", lambda n, km, kc, l: run(kc, CELLS["displays"][l])[0], 5)
    row("interrupt of an endless loop", lambda n, km, kc, l: interrupt(km, kc, CELLS["loop"][l]), args.rounds // 2)
    row("from start to the first result", lambda n, km, kc, l: first_result(known[n], CELLS["trivial"][l]), 10)
    row("memory at rest", lambda n, km, kc, l: at_rest(known[n], CELLS["trivial"][l]), 3)
    if "loupe" in kernels and "gonb" in kernels:
        loupe, plain = kernels["loupe"][1], kernels["gonb"][1]
        cell = "import \"fmt\"\n%%%%\nfmt.Println(%d)"
        times = {"a GoNB cell by loupe": [], "the same by GoNB": []}
        for i in range(3 + args.rounds // 2):  # in turn, each a program that has not been built before
            a, b = run(loupe, "%%gonb\n" + cell % (2 * i))[0], run(plain, cell % (2 * i + 1))[0]
            if i >= 3:
                times["a GoNB cell by loupe"].append(a)
                times["the same by GoNB"].append(b)
        for title, measured in times.items():
            print(f"\n{title}: {told(measured)}")
    for km, kc, _ in kernels.values():
        stop(km, kc)

main()
