package model

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
)

// zooNetwork is an exported network of bench/oracles/zoo.py.
type zooNetwork struct {
	Name     string // with the exporter and the opset
	Side     int
	Dynamic  bool    // whether the batch is
	Weights  [][]any // name, how many, centre and scale of those that weights.bin has, in order
	Logits   []float64
	Every    int // of the gradient's values one is kept
	Class    int
	Gradient []float64 // of the first image's logit of that class
}

// zoo opens the archive of networks.
func zoo(t *testing.T) (*zip.ReadCloser, []zooNetwork) {
	t.Helper()
	archive, err := zip.OpenReader("testdata/zoo.zip")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { archive.Close() })
	f, err := archive.Open("networks.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []zooNetwork
	if err := json.NewDecoder(f).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return archive, all
}

// unpack writes the graph, and beside it the weights that it says are there.
func (n *zooNetwork) unpack(t *testing.T, archive *zip.ReadCloser) (path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, n.Name+".onnx")
	graph, err := archive.Open(n.Name + ".onnx")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(graph)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(dir, "weights.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	for _, weight := range n.Weights {
		name, count, centre, scale := weight[0].(string), int(weight[1].(float64)), weight[2].(float64), weight[3].(float64)
		bytes := make([]byte, 0, 4*count)
		for _, u := range oracle.Hashed(name, count) {
			bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(float32(centre+scale*(2*u-1))))
		}
		if _, err := w.Write(bytes); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return path
}

// zooAnswer is what a network says of the oracle's two images.
type zooAnswer struct {
	logits, gradient     []float64 // [2, K]; [H, W, C], of the first image's logit of the class
	features, byFeatures []float64 // [2, D], and the gradient of the class's logits by them; nil where there are none
}

type zooKey struct{ class int }

// images are the two that the oracle gave it.
func (n *zooNetwork) images() []float32 {
	images := make([]float32, 2*n.Side*n.Side*3)
	for i, u := range oracle.Hashed("images", len(images)) {
		images[i] = float32(0.5 + 0.5*(2*u-1))
	}
	return images
}

// answer computes all that is asked in one program.
func (n *zooNetwork) answer(t *testing.T, m *Model) zooAnswer {
	t.Helper()
	images := n.images()
	results, err := m.Map("an exported network", zooKey{n.Class}, func(in []*graph.Node) []*graph.Node {
		out := m.Call(in[0])
		logit := graph.ReduceAllSum(graph.SliceAxis(out.Logits, 1, graph.AxisElem(n.Class)))
		if out.Features == nil {
			return []*graph.Node{out.Logits, graph.Gradient(logit, in[0])[0]}
		}
		by := graph.Gradient(logit, in[0], out.Features)
		return []*graph.Node{out.Logits, by[0], out.Features, by[1]}
	}, tensors.FromFlatDataAndDimensions(images, 2, n.Side, n.Side, 3))
	if err != nil {
		t.Fatal(err)
	}
	all := make([][]float64, 4)
	for i, r := range results {
		if all[i], err = floats(r); err != nil {
			t.Fatal(err)
		}
	}
	return zooAnswer{all[0], all[1][:len(all[1])/2], all[2], all[3]}
}

// off is how far values, one of so many, are from those wanted, as a share of the largest.
func off(t *testing.T, all []float64, every int, want []float64) float64 {
	t.Helper()
	if (len(all)+every-1)/every != len(want) {
		t.Fatalf("one of %d of %d values are not the oracle's %d", every, len(all), len(want))
	}
	worst, largest := 0.0, 0.0
	for i, v := range want {
		d := math.Abs(all[i*every] - v)
		if math.IsNaN(d) {
			return math.NaN()
		}
		worst, largest = max(worst, d), max(largest, math.Abs(v))
	}
	return worst / largest
}

// parted is how far the difference of two rows of logits is from that wanted, as a share of the largest, but for what
// rounding makes of the logits themselves.
func parted(all, want []float64) float64 {
	k := len(want) / 2
	worst, largest, rounding := 0.0, 0.0, 0.0
	for i := range k {
		d := want[i] - want[i+k]
		largest, rounding = max(largest, math.Abs(d)), max(rounding, 1e-6*math.Abs(want[i]))
		worst = max(worst, math.Abs(all[i]-all[i+k]-d))
	}
	return max(worst-rounding, 0) / largest
}

// unlinear is how far a class's logits are from a linear function of the features: what two images' differ by, as a
// share of its largest part, and the two gradients, as a share of the largest value. It is 0 where there are no
// features.
func (a zooAnswer) unlinear(class int) float64 {
	d := len(a.features) / 2
	sum, part, difference, steepest := a.logits[len(a.logits)/2+class]-a.logits[class], 1e-30, 0.0, 1e-30
	for i := range d {
		w := a.byFeatures[i]
		sum += w*a.features[i] - w*a.features[d+i]
		part = max(part, math.Abs(w*a.features[i]))
		difference, steepest = max(difference, math.Abs(w-a.byFeatures[d+i])), max(steepest, math.Abs(w))
	}
	if d == 0 {
		return 0
	}
	return max(math.Abs(sum)/part, difference/steepest)
}

// What torch's two exporters make of torchvision's and timm's networks is loaded as it is, and says what onnxruntime
// says of it; the gradient is PyTorch's. The numbers in the networks are made up, and so the graph alone is kept.
func TestExportedNetworks(t *testing.T) {
	// What is to be found in those that always run: the length of the features, and the last activation that has
	// places; of transformers the patches. A file for one image takes several.
	type found struct {
		features int
		spatial  []int
		grid     Grid
	}
	always := map[string]found{
		"resnet18_ts13":           {512, []int{512, 2, 2}, Grid{}},
		"mobilenet_v2_dyn20":      {1280, []int{1280, 2, 2}, Grid{}},
		"efficientnet_b0_dyn20":   {1280, []int{1280, 2, 2}, Grid{}},
		"squeezenet1_1_ts13":      {0, []int{10, 3, 3}, Grid{}}, // its logits are means of a convolution behind a ReLU
		"shufflenet_v2_x0_5_ts13": {1024, []int{1024, 2, 2}, Grid{}},
		"densenet121_ts17":        {84, []int{84, 2, 2}, Grid{}},
		"convnext_raw20":          {320, []int{320, 2, 2}, Grid{}},
		"vit_ts17":                {96, []int{96, 4, 4}, Grid{4, 4}},
		"deit_distilled_dyn20":    {192, []int{96, 4, 4}, Grid{4, 4}}, // both heads', side by side
		"resmlp_dyn20":            {96, []int{96, 4, 4}, Grid{}},
	}
	archive, all := zoo(t)
	for _, n := range all {
		want, small := always[n.Name]
		delete(always, n.Name)
		t.Run(n.Name, func(t *testing.T) {
			if !small {
				testenv.Heavy(t)
			}
			start := time.Now()
			m, err := Load(n.unpack(t, archive), Unnormalized)
			if err != nil {
				t.Fatal(err)
			}
			loaded := time.Since(start)
			start = time.Now()
			answer := n.answer(t, m)
			answered := time.Since(start)
			logitsOff := off(t, answer.logits, 1, n.Logits)
			if !(logitsOff <= 1e-4) {
				t.Errorf("its logits differ from onnxruntime's by %.2g of the largest", logitsOff)
			}
			// Some networks with made-up numbers say nearly the same of all images: what they say differently is right
			// too.
			if e := parted(answer.logits, n.Logits); !(e <= 1e-2) {
				t.Errorf("what its logits of two images differ by differs from onnxruntime's by %.2g of the largest", e)
			}
			if e := answer.unlinear(n.Class); !(e <= 1e-4) {
				t.Errorf("its logits are no linear function of its features: off by %.2g", e)
			}
			gradientOff := off(t, answer.gradient, n.Every, n.Gradient)
			precision := "single"
			if !(gradientOff <= 1e-3) { // a ReLU's kink between two roundings, or wrong
				precision = "double"
				double, err := m.Double()
				if err != nil {
					t.Fatal(err)
				}
				if gradientOff = off(t, n.answer(t, double).gradient, n.Every, n.Gradient); !(gradientOff <= 1e-4) {
					t.Errorf("its gradient differs from PyTorch's by %.2g of the largest value", gradientOff)
				}
			}
			t.Logf("loaded in %.1f s, run in %.1f s; logits off by %.1e, gradient off by %.1e (%s precision); %d weights, %d "+
				"layers, %d features, spatial layer %s, %s",
				loaded.Seconds(), answered.Seconds(), logitsOff, gradientOff, precision, len(m.Weights()), len(m.Layers()),
				m.features, m.SpatialLayer(), m.grid)
			// torchvision's attention lays images between tokens in one axis, from where they are not told apart.
			if oneByOne := n.Name == "vit_tv_ts17"; oneByOne != (m.BatchSize == 1) {
				t.Errorf("that its images go through it one by one is %t", !oneByOne)
			}
			if !small {
				return
			}
			layer, err := m.Layer(m.SpatialLayer())
			if err != nil {
				t.Fatal(err)
			}
			if m.features != want.features || !slices.Equal(layer.Shape, want.spatial) || m.grid != want.grid {
				t.Errorf("it has %d features, the spatial layer %s %v and %s, want %+v", m.features, layer.Name, layer.Shape,
					m.grid, want)
			}
		})
	}
	for name := range always {
		t.Errorf("there is no network %s", name)
	}
}

// Weights keep the names that they have in PyTorch wherever the exporter keeps them.
func TestExportedNetworksKeepTheirNames(t *testing.T) {
	archive, all := zoo(t)
	for name, want := range map[string][]string{
		"mobilenet_v2_dyn20": {"features.0.0.weight", "features.18.0.weight", "classifier.1.weight", "classifier.1.bias"},
		"convnext_raw20":     {"stem.0.weight", "stages.3.blocks.0.mlp.fc2.weight", "head.fc.weight"},
		"vit_ts17":           {"cls_token", "pos_embed", "patch_embed.proj.weight", "head.weight"},
	} {
		i := slices.IndexFunc(all, func(n zooNetwork) bool { return n.Name == name })
		if i < 0 {
			t.Fatalf("there is no network %s", name)
		}
		m, err := Load(all[i].unpack(t, archive), Unnormalized)
		if err != nil {
			t.Fatal(err)
		}
		for _, weight := range want {
			if m.weights[weight] == nil {
				t.Errorf("%s has no weight %s", name, weight)
			}
		}
		if unused := m.UnusedWeights(); len(unused) > 0 {
			t.Errorf("%s has no use for %q", name, unused)
		}
		for _, layer := range m.Layers() {
			if strings.TrimSpace(layer.Name) == "" {
				t.Errorf("%s has a layer without a name", name)
			}
		}
	}
}
