package compilecache

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/customcall"
	"github.com/loupeml/loupe/internal/testenv"
)

// Each process here is this test binary, told by the environment to run the programs below and say what came of it.
func TestMain(m *testing.M) {
	if plugin := os.Getenv("LOUPE_TEST_PLUGIN"); plugin != "" {
		child(plugin)
		return
	}
	os.Exit(m.Run())
}

// ran is what a process says.
type ran struct {
	Sums   []string // of the bits of all results, one a program
	Report Report
	Stderr string `json:"-"`
}

func child(plugin string) {
	if file := os.Getenv("LOUPE_TEST_CPUINFO"); file != "" {
		cpuinfo = file
	}
	if os.Getenv("LOUPE_TEST_SMALL_FILES") != "" { // a write of more than this much fails, as on a full disk
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 2000, Max: 2000}); err != nil {
			panic(err)
		}
	}
	cache, err := FromEnvironment()
	if err == nil {
		err = cache.Front(plugin, os.Getenv("LOUPE_TEST_OPTIONS"))
	}
	if err != nil {
		panic(err)
	}
	backend, err := xla.New(plugin)
	if err != nil {
		panic(err)
	}
	if flags := os.Getenv("LOUPE_TEST_LATE_FLAGS"); flags != "" {
		os.Setenv("XLA_FLAGS", flags)
	}
	var says ran
	n, err := strconv.Atoi(os.Getenv("LOUPE_TEST_PROGRAMS"))
	if err != nil {
		panic(err)
	}
	for _, program := range programs[:n] {
		h := sha256.New()
		for _, result := range program(backend) {
			if err := result.ConstBytes(func(bits []byte) { h.Write(bits) }); err != nil {
				panic(err)
			}
		}
		says.Sums = append(says.Sums, fmt.Sprintf("%x", h.Sum(nil)))
	}
	says.Report = cache.Report()
	json.NewEncoder(os.Stdout).Encode(says)
}

// noise is a tensor of numbers that look random.
func noise(dims ...int) *tensors.Tensor {
	t := tensors.FromShape(shapes.Make(dtypes.Float32, dims...))
	state := uint64(7)
	next := func() float64 {
		state = state*6364136223846793005 + 1442695040888963407
		return float64(state>>40)/(1<<23) - 1
	}
	tensors.MustMutableFlatData(t, func(flat []float32) {
		for i := range flat {
			flat[i] = float32(next())
		}
	})
	return t
}

// programs are of each kind that GoMLX makes, the quickly compiled first.
var programs = []func(b compute.Backend) []*tensors.Tensor{
	loop, donated, constant, double, random, forward, gradient,
}

// few of them do where a test is about the files and not about what XLA makes of them.
const few = 3

func network(x, kernel, weights *graph.Node) *graph.Node {
	h := graph.Max(graph.Convolve(x, kernel).PadSame().Done(), graph.ScalarZero(x.Graph(), x.DType()))
	return graph.Softmax(graph.MatMul(graph.Reshape(h, 4, -1), weights))
}

func networkInputs() []any {
	return []any{noise(4, 12, 12, 3), noise(3, 3, 3, 8), noise(12*12*8, 5)}
}

func forward(b compute.Backend) []*tensors.Tensor {
	return graph.MustNewExec(b, network).MustCall(networkInputs()...)
}

func gradient(b compute.Backend) []*tensors.Tensor {
	return graph.MustNewExec(b, func(in []*graph.Node) []*graph.Node {
		loss := graph.ReduceAllSum(graph.Square(network(in[0], in[1], in[2])))
		return append(graph.Gradient(loss, in...), loss)
	}).MustCall(networkInputs()...)
}

func loop(b compute.Backend) []*tensors.Tensor {
	return graph.MustNewExec(b, func(x *graph.Node) []*graph.Node {
		g := x.Graph()
		again := graph.NewClosure(g, func(g *graph.Graph) []*graph.Node {
			step := graph.Parameter(g, "step", shapes.Make(dtypes.Int32))
			graph.Parameter(g, "x", x.Shape())
			return []*graph.Node{graph.LessThan(step, graph.Const(g, int32(17)))}
		})
		once := graph.NewClosure(g, func(g *graph.Graph) []*graph.Node {
			step := graph.Parameter(g, "step", shapes.Make(dtypes.Int32))
			x := graph.Parameter(g, "x", x.Shape())
			return []*graph.Node{graph.AddScalar(step, 1), graph.Add(graph.Sin(x), graph.MulScalar(x, 0.5))}
		})
		return graph.While(again, once, graph.Const(g, int32(0)), x)
	}).MustCall(noise(100))
}

func random(b compute.Backend) []*tensors.Tensor {
	state, err := graph.RNGStateFromSeed(42)
	if err != nil {
		panic(err)
	}
	return graph.MustNewExec(b, func(state *graph.Node) []*graph.Node {
		state, uniform := graph.RandomUniform(state, shapes.Make(dtypes.Float32, 50))
		state, normal := graph.RandomNormal(state, shapes.Make(dtypes.Float64, 50))
		return []*graph.Node{state, uniform, normal}
	}).MustCall(state)
}

func double(b compute.Backend) []*tensors.Tensor {
	return graph.MustNewExec(b, func(x *graph.Node) []*graph.Node {
		x = graph.ConvertDType(x, dtypes.Float64)
		y := graph.Exp(graph.MatMul(x, graph.Transpose(x, 0, 1)))
		values, indices := graph.TopK(y, 3, -1)
		return []*graph.Node{graph.Sort(y, 0, true), values, indices, graph.ReduceAllSum(graph.Log1P(y))}
	}).MustCall(noise(20, 30))
}

// donated gives its argument's memory to the result, which is part of what is compiled.
func donated(b compute.Backend) []*tensors.Tensor {
	x := noise(64)
	step := graph.MustNewExec(b, func(x *graph.Node) *graph.Node {
		return graph.Sub(graph.MulScalar(x, 1.5),
			graph.Cos(x))
	})
	for range 10 {
		given, err := graph.DonateTensorBuffer(x, b, 0)
		if err != nil {
			panic(err)
		}
		x = step.MustCall(given)[0]
	}
	return []*tensors.Tensor{x}
}

// constant has a large constant in its text.
func constant(b compute.Backend) []*tensors.Tensor {
	table := noise(100, 100)
	return graph.MustNewExec(b, func(x *graph.Node) *graph.Node {
		return graph.MatMul(x, graph.ConstTensor(x.Graph(), table))
	}).MustCall(noise(3, 100))
}

// bed is a cache folder of a test's own, with the real plugin and some of the programs.
type bed struct {
	t      *testing.T
	cache  string
	plugin string
	all    int
}

func newBed(t *testing.T, programs int) bed {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(testenv.Asset(t, "xla-cpu"), "pjrt_c_api_cpu_plugin.*"))
	if len(found) != 1 {
		t.Skip("skipped: needs xla-cpu (loupe fetch xla-cpu)")
	}
	return bed{t, t.TempDir(), found[0], programs}
}

func (b bed) folder() string { return filepath.Join(b.cache, "programs") }

func (b bed) command(env ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append([]string{"LOUPE_TEST_PLUGIN=" + b.plugin, "LOUPE_TEST_PROGRAMS=" + strconv.Itoa(b.all),
		"LOUPE_CACHE=" + b.cache, "HOME=" + b.cache, "PATH=" + os.Getenv("PATH")}, env...)
	return cmd
}

// run starts a process and returns what it says.
func (b bed) run(env ...string) ran {
	b.t.Helper()
	return b.output(b.command(env...))
}

func (b bed) output(cmd *exec.Cmd) ran {
	b.t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		b.t.Fatalf("the process died: %v\n%s\n%s", err, out.String(), errs.String())
	}
	var says ran
	if err := json.Unmarshal(out.Bytes(), &says); err != nil {
		b.t.Fatalf("%v: %s\n%s", err, out.String(), errs.String())
	}
	says.Stderr = errs.String()
	return says
}

// entries returns the files of compiled programs.
func (b bed) entries() []string {
	found, _ := filepath.Glob(filepath.Join(b.folder(), "*"+suffix))
	return found
}

func (b bed) want(what string, r ran, compiled, loaded int) {
	b.t.Helper()
	if r.Report.Compiled != compiled || r.Report.Loaded != loaded {
		b.t.Errorf("%s: XLA compiled %d programs, wanted %d; %d were taken from the cache, wanted %d", what,
			r.Report.Compiled, compiled, r.Report.Loaded, loaded)
	}
}

func (b bed) equal(what string, r, first ran) {
	b.t.Helper()
	if !slices.Equal(r.Sums, first.Sums) {
		b.t.Errorf("%s: the results differ:\n%v\n%v", what, r.Sums, first.Sums)
	}
}

func (b bed) silent(what string, r ran) {
	b.t.Helper()
	if r.Stderr != "" || r.Report.Reason != "" {
		b.t.Errorf("%s: standard error %q, reason %q", what, r.Stderr, r.Report.Reason)
	}
}

func (b bed) saysOnce(what string, r ran, why string) {
	b.t.Helper()
	if strings.Count(r.Stderr, "\n") != 1 || !strings.Contains(r.Stderr, why) || !strings.Contains(r.Stderr, Variable) ||
		!strings.Contains(r.Report.Reason, why) {
		b.t.Errorf("%s: standard error %q, reason %q, and both should say %q", what, r.Stderr, r.Report.Reason, why)
	}
}

func TestASecondProcessCompilesNothing(t *testing.T) {
	b := newBed(t, len(programs))
	first := b.run()
	b.want("first", first, b.all, 0)
	b.silent("first", first)
	if r := first.Report; r.Stored != b.all || r.Programs != b.all || r.Bytes == 0 || r.Hits != 0 ||
		r.Folder != b.folder() || r.Limit != DefaultLimit || len(b.entries()) != b.all {
		t.Errorf("first: %+v", r)
	}
	second := b.run()
	b.want("second", second, 0, b.all)
	b.equal("second", second, first)
	b.silent("second", second)
	if r := second.Report; r.Stored != 0 || r.Hits != b.all || r.Damaged != 0 {
		t.Errorf("second: %+v", r)
	}
	// And as without a cache.
	off := b.run(Variable + "=off")
	b.want("off", off, b.all, 0)
	b.equal("off", off, first)
	if r := off.Report; off.Stderr != "" || !strings.Contains(r.Reason, Variable) {
		t.Errorf("off: %+v, %q", r, off.Stderr)
	}
}

// Two programs have what loupe's kernels compute: one a convolution, the other the same and its gradients by the images
// and by the kernel.
func TestProgramsWithLoupesKernelsAreKept(t *testing.T) {
	if customcall.Vectors() == "" {
		t.Skip("needs AVX2")
	}
	b := newBed(t, len(programs))
	first, second := b.run(), b.run()
	b.want("second", second, 0, b.all)
	b.equal("second", second, first)
	plain := b.run(customcall.Variable + "=1")
	b.want("plain", plain, 2, b.all-2) // the other text is another program
	for what, r := range map[string]struct{ got, want int }{
		"first": {first.Report.Replaced, 4}, "second": {second.Report.Replaced, 4}, "plain": {plain.Report.Replaced, 0},
	} {
		if r.got != r.want {
			t.Errorf("%s: loupe's kernels stand in %d places, want %d", what, r.got, r.want)
		}
	}
}

func TestOffTouchesNothing(t *testing.T) {
	b := newBed(t, few)
	b.run(Variable + "=off")
	if list, _ := os.ReadDir(b.cache); len(list) != 0 {
		t.Errorf("the cache folder has %v", list)
	}
}

func TestNoEntryIsTakenInOtherCircumstances(t *testing.T) {
	b := newBed(t, few)
	first := b.run()
	other := func(what string, r ran) {
		t.Helper()
		b.want(what, r, b.all, 0)
		b.silent(what, r)
	}

	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skip("skipped: needs /proc/cpuinfo")
	}
	for what, text := range map[string]string{
		"fewer features": strings.ReplaceAll(string(info), " sse2", ""),
		"another model":  strings.ReplaceAll(string(info), "model name\t: ", "model name\t: Other "),
	} {
		if text == string(info) {
			t.Logf("%s: this processor's description has nothing to change", what)
			continue
		}
		file := filepath.Join(t.TempDir(), "cpuinfo")
		os.WriteFile(file, []byte(text), 0o600)
		other(what, b.run("LOUPE_TEST_CPUINFO="+file))
	}
	other("other flags", b.run("XLA_FLAGS=--xla_cpu_enable_fast_math=true"))
	other("fewer threads", b.run("NPROC=1"))
	other("other options", b.run("LOUPE_TEST_OPTIONS=tf32=false"))

	again := b.run()
	b.want("as at first", again, 0, b.all)
	b.equal("as at first", again, first)
}

// otherPlugin builds a plugin file that hands on the real one.
func (b bed) otherPlugin(padding string) string {
	b.t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		b.t.Skip("skipped: needs a C compiler")
	}
	path := filepath.Join(b.t.TempDir(), "pjrt_c_api_cpu_plugin.so")
	out, err := exec.Command(cc, "-shared", "-fPIC", "-I.", fmt.Sprintf("-DPADDING=%q", padding), "-o", path,
		"testdata/other_plugin.c", "-ldl").CombinedOutput()
	if err != nil {
		b.t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func TestAnotherPluginTakesNoEntry(t *testing.T) {
	b := newBed(t, few)
	real := b.plugin
	first := b.run()
	run := func(what, plugin, version string, compiled int) {
		t.Helper()
		b.plugin = plugin
		r := b.run("TEST_REAL_PLUGIN="+real, "TEST_PLATFORM_VERSION="+version)
		b.want(what, r, compiled, b.all-compiled)
		b.equal(what, r, first)
		b.silent(what, r)
	}
	one, two := b.otherPlugin("one"), b.otherPlugin("two")
	run("another file", one, "cpu", b.all)
	run("the same", one, "cpu", 0)
	run("another platform version", one, "cpu 2", b.all)
	run("another file again", two, "cpu", b.all)
	// An update in place, with the date of the old file.
	info, err := os.Stat(one)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(b.otherPlugin("six"))
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(one, data, 0o700)
	os.Chtimes(one, info.ModTime(), info.ModTime())
	run("an update in place", one, "cpu", b.all)
	run("the real one", real, "cpu", 0)
}

func TestDamagedEntriesAreCompiledAnew(t *testing.T) {
	b := newBed(t, few)
	first := b.run()
	damage := map[string]func(path string, data []byte){
		"a changed byte": func(path string, data []byte) { data[len(data)/2] ^= 4; os.WriteFile(path, data, 0o600) },
		"cut short":      func(path string, data []byte) { os.WriteFile(path, data[:len(data)*2/3], 0o600) },
		"empty":          func(path string, data []byte) { os.WriteFile(path, nil, 0o600) },
		"open to others": func(path string, data []byte) { os.Chmod(path, 0o666) },
	}
	for what, do := range damage {
		for _, path := range b.entries() {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			do(path, data)
		}
		r := b.run()
		b.want(what, r, b.all, 0)
		b.equal(what, r, first)
		b.silent(what, r)
		if r.Report.Damaged != b.all || r.Report.Stored != b.all {
			t.Errorf("%s: %+v", what, r.Report)
		}
		b.want(what+", again", b.run(), 0, b.all)
	}
}

// TestWhatXLARefusesIsCompiledAnew has entries that are whole by all that loupe can check, and are no programs.
func TestWhatXLARefusesIsCompiledAnew(t *testing.T) {
	b := newBed(t, len(programs))
	first := b.run()
	c := &Cache{dir: b.folder(), limit: DefaultLimit}
	for _, path := range b.entries() {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var head header
		if err := decode(data, &head); err != nil {
			t.Fatal(err)
		}
		circumstances := string(data[headerSize : headerSize+int(head.Circumstance)])
		if err := c.store(head.Key, circumstances, []byte("no program"), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	r := b.run()
	b.want("no programs", r, b.all, 0)
	b.equal("no programs", r, first)
	b.want("again", b.run(), 0, b.all)
}

func TestProcessesAtOnce(t *testing.T) {
	b := newBed(t, few)
	const n = 4
	cmds := make([]*exec.Cmd, n)
	outs := make([]bytes.Buffer, n)
	for i := range cmds {
		cmds[i] = b.command()
		cmds[i].Stdout, cmds[i].Stderr = &outs[i], os.Stderr
		if err := cmds[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	var first ran
	for i := range cmds {
		if err := cmds[i].Wait(); err != nil {
			t.Fatal(err)
		}
		var r ran
		if err := json.Unmarshal(outs[i].Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = r
		}
		b.equal("at once", r, first)
		if r.Report.Compiled+r.Report.Loaded != b.all || r.Report.Damaged != 0 {
			t.Errorf("process %d: %+v", i, r.Report)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(b.folder(), unfinish+"*")); len(left) != 0 || len(b.entries()) != b.all {
		t.Errorf("%d entries, and %v", len(b.entries()), left)
	}
	b.want("afterwards", b.run(), 0, b.all)
}

func TestAFullDisk(t *testing.T) {
	b := newBed(t, few)
	r := b.run("LOUPE_TEST_SMALL_FILES=1")
	b.want("full", r, b.all, 0)
	b.saysOnce("full", r, "file too large")
	if left, _ := filepath.Glob(filepath.Join(b.folder(), unfinish+"*")); len(left) != 0 || len(b.entries()) != 0 {
		t.Errorf("%v and %v are left", b.entries(), left)
	}
	b.want("with room again", b.run(), b.all, 0)
	b.want("again", b.run("LOUPE_TEST_SMALL_FILES=1"), 0, b.all)
}

func TestAReadOnlyFolder(t *testing.T) {
	b := newBed(t, few)
	// In a namespace of its own, where root may not write there either.
	run := func() ran {
		t.Helper()
		const mount = `mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$2"`
		cmd := b.command()
		unshare, err := exec.LookPath("unshare")
		if err != nil {
			t.Skip("skipped: needs unshare, to mount a folder that is read-only")
		}
		cmd.Path, cmd.Args = unshare, []string{"unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh",
			b.folder(), cmd.Path}
		if exec.Command(unshare, "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", b.folder(),
			"true").Run() != nil {
			t.Skip("skipped: needs user namespaces, to mount a folder that is read-only")
		}
		return b.output(cmd)
	}
	if err := os.Mkdir(b.folder(), 0o700); err != nil {
		t.Fatal(err)
	}
	r := run()
	b.want("read-only and empty", r, b.all, 0)
	b.saysOnce("read-only and empty", r, "read-only")
	b.want("writable", b.run(), b.all, 0)
	r = run()
	b.want("read-only", r, 0, b.all)
	b.silent("read-only", r)
}

func TestAFolderThatCannotBe(t *testing.T) {
	b := newBed(t, few)
	os.WriteFile(b.folder(), nil, 0o600) // a file is in its place
	r := b.run()
	b.want("no folder", r, b.all, 0)
	b.saysOnce("no folder", r, "not a directory")

	os.Remove(b.folder())
	os.Mkdir(b.folder(), 0o700)
	os.Chmod(b.folder(), 0o777)
	r = b.run()
	b.want("open to others", r, b.all, 0)
	b.saysOnce("open to others", r, "others than its owner may write it")
}

func TestASizeLimit(t *testing.T) {
	b := newBed(t, len(programs))
	b.run()
	var largest int64
	for _, path := range b.entries() {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, info.Size())
	}
	os.RemoveAll(b.folder())
	r := b.run(fmt.Sprintf("%s=%fKB", Variable, 1.5*float64(largest)/1e3))
	b.want("small", r, b.all, 0)
	b.silent("small", r)
	if r.Report.Programs == 0 || r.Report.Programs == b.all || r.Report.Bytes > r.Report.Limit ||
		r.Report.Stored != b.all {
		t.Errorf("%+v", r.Report)
	}
	// The last ones are there.
	again := b.run()
	b.want("again", again, b.all-r.Report.Programs, r.Report.Programs)
}

func TestWhatCannotBeToldIsNotKept(t *testing.T) {
	b := newBed(t, few)
	dumps := filepath.Join(t.TempDir(), "dumps")
	for what, c := range map[string]struct{ env, why string }{
		"flags changed after the start": {"LOUPE_TEST_LATE_FLAGS=--xla_cpu_enable_fast_math=true", "changed"},
		"a dump":                        {"XLA_FLAGS=--xla_dump_to=" + dumps, "dump"},
		"an unknown processor":          {"LOUPE_TEST_CPUINFO=/nowhere", "processor"},
	} {
		r := b.run(c.env)
		b.want(what, r, b.all, 0)
		b.saysOnce(what, r, c.why)
		if n := len(b.entries()); n != 0 {
			t.Errorf("%s: %d entries", what, n)
		}
	}
}
