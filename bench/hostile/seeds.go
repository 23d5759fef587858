package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	gomlx "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/checkpoint"
	"golang.org/x/image/bmp"

	"github.com/loupeml/loupe/lib/carry"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/networks"
	"github.com/loupeml/loupe/lib/save"
)

// makeSeeds makes the honest files, in dir where they have to be written first.
func makeSeeds(dir string) ([]specimen, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var all []specimen
	for _, make := range []func(dir string) ([]specimen, error){imageSeeds, arraySeeds, weightSeeds, onnxSeeds, savedSeeds,
		trainingSeeds, textSeeds, packageSeeds} {
		seeds, err := make(dir)
		if err != nil {
			return nil, err
		}
		all = append(all, seeds...)
	}
	slices.SortStableFunc(all, func(a, b specimen) int { // some came in an order of chance
		return cmp.Or(cmp.Compare(a.kind, b.kind), slices.Compare(slices.Sorted(maps.Keys(a.files)),
			slices.Sorted(maps.Keys(b.files))))
	})
	return all, nil
}

func only(kind, name string, content []byte) specimen {
	return specimen{kind: kind, files: map[string][]byte{name: content}}
}

// written is what a value is saved as.
func written(dir, name string, v any) ([]byte, error) {
	path := filepath.Join(dir, name)
	if err := save.Write(path, v); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// inArchive reads the files of an archive of the repository's testdata.
func inArchive(path string) (map[string][]byte, error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return nil, fmt.Errorf("%w (run in the repository's root)", err)
	}
	defer z.Close()
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// painting is an image that is not of one colour.
func painting(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, color.NRGBA{uint8(13 * x), uint8(29 * y), uint8(7 * x * y), 255 - uint8(x)})
		}
	}
	return img
}

func zipOf(files map[string][]byte, method uint16) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			w.Write(files[name]) // to memory
		}
	}
	z.Close()
	return b.Bytes()
}

func imageSeeds(string) ([]specimen, error) {
	var all []specimen
	in := map[string][]byte{}
	img := painting(19, 13)
	paletted := image.NewPaletted(img.Rect, color.Palette{color.Black, color.White, color.NRGBA{255, 0, 0, 255}})
	gray := image.NewGray16(img.Rect)
	for i := range gray.Pix {
		gray.Pix[i] = uint8(i * 31)
	}
	for _, e := range []struct {
		name  string
		write func(w io.Writer) error
	}{
		{"a.png", func(w io.Writer) error { return png.Encode(w, img) }},
		{"b.png", func(w io.Writer) error { return png.Encode(w, paletted) }},
		{"c.png", func(w io.Writer) error { return png.Encode(w, gray) }},
		{"d.jpg", func(w io.Writer) error { return jpeg.Encode(w, img, nil) }},
		{"e.jpg", func(w io.Writer) error { return jpeg.Encode(w, gray, nil) }},
		{"f.gif", func(w io.Writer) error { return gif.Encode(w, img, nil) }},
		{"g.bmp", func(w io.Writer) error { return bmp.Encode(w, img) }},
		{"h.bmp", func(w io.Writer) error { return bmp.Encode(w, paletted) }},
	} {
		var b bytes.Buffer
		if err := e.write(&b); err != nil {
			return nil, err
		}
		in["class "+e.name[:1]+"/"+e.name] = b.Bytes()
		all = append(all, only("image", e.name, b.Bytes()))
	}
	more, err := inArchive("lib/data/testdata/images.zip")
	if err != nil {
		return nil, err
	}
	for name, content := range more {
		all = append(all, only("image", name, content))
	}
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		all = append(all, only("zip", "images.zip", zipOf(in, method)))
	}
	// A folder, one of whose files is changed.
	return append(all, specimen{kind: "folder", files: in}), nil
}

// numbers makes a tensor.
func tensorOf[T float32 | float64 | uint8 | int64 | int32](f func(i int) T, dims ...int) *tensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	values := make([]T, n)
	for i := range values {
		values[i] = f(i)
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

func arraySeeds(dir string) ([]specimen, error) {
	unit := func(i int) float32 { return float32(i%17) / 17 }
	pixels := tensorOf(func(i int) uint8 { return uint8(7 * i) }, 3, 6, 5, 3)
	floats := tensorOf(unit, 2, 4, 4)
	labels := tensorOf(func(i int) int64 { return int64(i % 2) }, 3)
	shares := tensorOf(func(i int) float32 { return []float32{0.25, 0.75}[i%2] }, 3, 2)
	var all []specimen
	var errs []error
	add := func(kind, name string, v any) {
		content, err := written(dir, name, v)
		errs = append(errs, err)
		all = append(all, only(kind, name, content))
	}
	add("npy", "images.npy", pixels)
	add("npy", "images.npy", floats)
	add("labels", "labels.npy", labels)
	add("labels", "probabilities.npy", shares)
	add("npz", "images.npz", map[string]*tensors.Tensor{"images": pixels, "labels": labels})
	add("arrays", "arrays.npz", map[string]*tensors.Tensor{"a": floats, "b": labels})
	add("arrays", "arrays.safetensors", map[string]*tensors.Tensor{"a": floats, "b": labels, "c": shares})
	answers, err := model.AnswersFromLogits("net", shares, []int{0, 1, 1})
	errs = append(errs, err)
	add("answers", "answers.npz", answers)
	add("answers", "answers.safetensors", answers)

	idx := func(dims []int, values []byte) []byte {
		raw := []byte{0, 0, 8, byte(len(dims))}
		for _, d := range dims {
			raw = binary.BigEndian.AppendUint32(raw, uint32(d))
		}
		return append(raw, values...)
	}
	images, marks := idx([]int{3, 4, 4}, bytes.Repeat([]byte{0, 100, 200}, 16)), idx([]int{3}, []byte{2, 0, 1})
	all = append(all,
		specimen{kind: "idx", files: map[string][]byte{"images": images, "labels": marks}},
		specimen{kind: "idx", files: map[string][]byte{"images.gz": gzipped(images), "labels.gz": gzipped(marks)}},
		only("cifar", "batch10.bin", bytes.Repeat([]byte{3, 5, 8}, 3073*2/3+1)[:3073*2]),
		only("cifar", "batch100.bin", bytes.Repeat([]byte{3, 5, 8}, 3074*2/3+1)[:3074*2]))
	return all, errors.Join(errs...)
}

// pickled writes numbers and texts as a pickle has them.
type pickled struct{ bytes.Buffer }

func (p *pickled) text(s string) {
	p.WriteByte('X')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	p.WriteString(s)
}

func (p *pickled) long(v int) {
	p.WriteString("\x8a\x08")
	p.Write(binary.LittleEndian.AppendUint64(nil, uint64(v)))
}

func (p *pickled) tuple(values []int) {
	p.WriteByte('(')
	for _, v := range values {
		p.long(v)
	}
	p.WriteByte('t')
}

// torchPickle is a state_dict of weights, each with a storage of its own.
func torchPickle(names []string, weights map[string]*tensors.Tensor) []byte {
	p := &pickled{}
	p.WriteString("\x80\x02}(")
	for i, name := range names {
		w := weights[name]
		dims := w.Shape().Dimensions
		strides, step := make([]int, len(dims)), 1
		for a := len(dims) - 1; a >= 0; a-- {
			strides[a], step = step, step*dims[a]
		}
		p.text(name)
		p.WriteString("ctorch._utils\n_rebuild_tensor_v2\n((")
		p.text("storage")
		p.WriteString("ctorch\nFloatStorage\n")
		p.text(fmt.Sprint(i))
		p.text("cpu")
		p.long(w.Size())
		p.WriteString("tQK\x00")
		p.tuple(dims)
		p.tuple(strides)
		p.WriteString("\x89}tR")
	}
	p.WriteString("u.")
	return p.Bytes()
}

func rawOf(t *tensors.Tensor) []byte {
	var raw []byte
	if err := t.ConstBytes(func(data []byte) { raw = bytes.Clone(data) }); err != nil {
		panic(err)
	}
	return raw
}

// cifarWeights are those of a CIFAR ResNet of eight layers with few channels.
func cifarWeights() (names []string, weights map[string]*tensors.Tensor) {
	weights = map[string]*tensors.Tensor{}
	add := func(name string, dims ...int) {
		names = append(names, name)
		weights[name] = tensorOf(func(i int) float32 { return float32(math.Sin(float64(i+len(names)))) + 1.1 }, dims...)
	}
	norm := func(name string, n int) {
		for _, part := range []string{"weight", "bias", "running_mean", "running_var"} {
			add(name+"."+part, n)
		}
	}
	add("conv1.weight", 2, 3, 3, 3)
	norm("bn1", 2)
	in := 2
	for stage, n := range []int{2, 4, 8} {
		at := fmt.Sprintf("layer%d.0.", stage+1)
		add(at+"conv1.weight", n, in, 3, 3)
		norm(at+"bn1", n)
		add(at+"conv2.weight", n, n, 3, 3)
		norm(at+"bn2", n)
		in = n
	}
	add("linear.weight", 10, 8)
	add("linear.bias", 10)
	return names, weights
}

func weightSeeds(dir string) ([]specimen, error) {
	names, weights := cifarWeights()
	pickle := torchPickle(names, weights)
	files := map[string][]byte{"archive/data.pkl": pickle, "archive/version": []byte("3\n")}
	old := &pickled{}
	old.WriteString("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.")
	old.Write(pickle)
	old.WriteString("\x80\x02](")
	var storages []byte
	for i, name := range names {
		files[fmt.Sprintf("archive/data/%d", i)] = rawOf(weights[name])
		old.text(fmt.Sprint(i))
		storages = append(binary.LittleEndian.AppendUint64(storages, uint64(weights[name].Size())), rawOf(weights[name])...)
	}
	old.WriteString("e.")
	old.Write(storages)
	plain, err := written(dir, "weights.safetensors", weights)
	if err != nil {
		return nil, err
	}
	arrays, err := written(dir, "weights.npz", weights)
	if err != nil {
		return nil, err
	}
	// A pickle of NumPy arrays, in lists of kernel and bias.
	numpy := &pickled{}
	numpy.WriteString("\x80\x02}(")
	array := func(dims []int, raw []byte) {
		numpy.WriteString("cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01")
		numpy.tuple(dims)
		numpy.WriteString("cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89B")
		numpy.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(raw))))
		numpy.Write(raw)
		numpy.WriteString("tb")
	}
	for _, name := range []string{"conv1", "linear"} {
		numpy.text(name)
		numpy.WriteString("](")
		array([]int{2, 3}, rawOf(tensorOf(func(i int) float32 { return float32(i) }, 2, 3)))
		array([]int{3}, rawOf(tensorOf(func(i int) float32 { return float32(i) }, 3)))
		numpy.WriteString("e")
	}
	numpy.WriteString("u.")
	return []specimen{
		only("pth", "net.pth", zipOf(files, zip.Store)),
		only("pth", "net.pth", zipOf(files, zip.Deflate)),
		only("old pth", "net.pth", old.Bytes()),
		only("safetensors", "net.safetensors", plain),
		only("npz weights", "net.npz", arrays),
		only("pkl", "net.pkl", numpy.Bytes()),
	}, nil
}

func onnxSeeds(string) ([]specimen, error) {
	forms, err := inArchive("lib/model/testdata/forms.zip")
	if err != nil {
		return nil, err
	}
	var all []specimen
	for name, content := range forms {
		if len(content) < 1<<15 {
			all = append(all, only("onnx", name, content))
		}
	}
	for name, content := range madeGraphs() {
		all = append(all, only("made onnx", name+".onnx", content))
	}
	model, weights := externalGraph()
	return append(all, specimen{kind: "onnx data", files: map[string][]byte{"net.onnx": model, "net.bin": weights}}), nil
}

func savedSeeds(dir string) ([]specimen, error) {
	var all []specimen
	spec := model.Spec{Name: "net", Height: 8, Width: 8, Channels: 3, Mean: []float64{0.5, 0.5, 0.5},
		Std: []float64{0.2, 0.2, 0.2}, Classes: []string{"a", "b", "c"}}
	cnn, err := learn.SmallCNN(spec, 3, 1, 4, 8)
	if err != nil {
		return nil, err
	}
	mlp, err := learn.MLP(spec, 3, 1, 5)
	if err != nil {
		return nil, err
	}
	bag, err := learn.SmallBag(spec, 3, 1, 3, 4)
	if err != nil {
		return nil, err
	}
	vit, err := learn.ViT{Width: 8, Depth: 1, Heads: 2, Patch: 4}.Make(spec, 3, 1)
	if err != nil {
		return nil, err
	}
	paper, err := networks.CIFARResNet{Depth: 8}.Make(model.Spec{Height: 16, Width: 16, Channels: 3}, 3, 1)
	if err != nil {
		return nil, err
	}
	small, err := networks.ViT{Patch: 4, Width: 8, Depth: 1, Heads: 2}.Make(spec, 3, 1)
	if err != nil {
		return nil, err
	}
	for _, m := range []*model.Model{cnn, mlp, bag, vit, paper, small} {
		for _, name := range []string{"net.safetensors", "net.npz"} {
			content, err := written(dir, name, m)
			if err != nil {
				return nil, err
			}
			all = append(all, only("saved", name, content))
		}
	}
	// With what says more of it beside it.
	config := []byte(`{"architecture": "mlp", "label_names": ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"], ` +
		`"pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "input_size": [3, 32, 32], "crop_pct": 0.875}}`)
	names, weights := cifarWeights()
	pth := map[string][]byte{"archive/data.pkl": torchPickle(names, weights)}
	for i, name := range names {
		pth[fmt.Sprintf("archive/data/%d", i)] = rawOf(weights[name])
	}
	net := zipOf(pth, zip.Store)
	return append(all,
		specimen{"config", map[string][]byte{"net.pth": net, "config.json": config}, map[string]bool{"net.pth": true}},
		specimen{"config", map[string][]byte{"net.pth": net,
			"config.json": []byte(`{"id2label": {"0": "a", "1": "b", "2": "c", "3": "d", "4": "e", "5": "f", "6": "g", "7": ` +
				`"h", "8": "i", "9": "j"}}`)}, map[string]bool{"net.pth": true}},
		specimen{"names", map[string][]byte{"net.pth": net,
			"names.json": []byte(`["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]`)}, map[string]bool{"net.pth": true}},
		specimen{"names", map[string][]byte{"net.pth": net, "names.txt": []byte("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n")},
			map[string]bool{"net.pth": true}}), nil
}

// colours are the logits of a GoMLX model: products of its weights with the mean colour.
func colours(scope *gomlx.Scope, x *graph.Node) *graph.Node {
	w := scope.In("dense").VariableWithShape("weights", shapeOf(dtypes.Float32, 3, 2)).NodeValue(x.Graph())
	return graph.Einsum("nc,ck->nk", graph.ReduceMean(x, 1, 2), w)
}

// steps is a run of training whose checkpoint is a file.
func steps(file string, n int) (learn.Run, error) {
	m, err := learn.MLP(model.Spec{Height: 3, Width: 2, Channels: 1}, 4, 1)
	if err != nil {
		return learn.Run{}, err
	}
	images, err := learn.FromTensors(tensorOf(func(i int) float32 { return float32(i%9) / 9 }, 8, 3, 2, 1),
		[]int{0, 1, 2, 3, 0, 1, 2, 3})
	if err != nil {
		return learn.Run{}, err
	}
	return learn.Run{Nets: map[string]*model.Model{"net": m}, Data: images, Sampler: learn.Shuffled(4), Steps: n,
		Optimizer:  learn.SGD{LearningRate: 0.1, Momentum: 0.9},
		Step:       func(s *learn.Step) learn.Loss { return s.Classification(s.Call("net", s.Images()).Logits) },
		Checkpoint: file}, nil
}

func trainingSeeds(dir string) ([]specimen, error) {
	file := filepath.Join(dir, "run.safetensors")
	run, err := steps(file, 2)
	if err == nil {
		_, err = run.Do()
	}
	if err != nil {
		return nil, err
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all := []specimen{only("run", "run.safetensors", kept)}
	for _, format := range []checkpoint.BinFormat{checkpoint.BinGZIP, checkpoint.BinUncompressed} {
		to := filepath.Join(dir, format.String())
		store := gomlx.NewStore()
		handler, err := checkpoint.Build(store).Dir(to).WithCompression(format).Done()
		if err != nil {
			return nil, err
		}
		store.Scope("/dense").VariableWithValue("weights", tensorOf(func(i int) float32 { return float32(i) }, 3, 2))
		store.SetParam("/dropout", 0.5)
		store.SetParam("/widths", []int{1, 2})
		if err := handler.Save(); err != nil {
			return nil, err
		}
		files, err := readAll(to)
		if err != nil {
			return nil, err
		}
		all = append(all, specimen{kind: "checkpoint", files: files})
	}
	return all, nil
}

func textSeeds(dir string) ([]specimen, error) {
	verdict := `{"id": %d, "given_original_label": 2, "our_guessed_label": 3, "given_original_label_name": "a", ` +
		`"our_guessed_label_name": "b", "mturk": {"given": 1, "guessed": 3, "neither": 0, "both": 1}}`
	file := filepath.Join(dir, "value.carry")
	if err := carry.Save(file, map[string][]float64{"a": {1, 2}, "b": {3}}); err != nil {
		return nil, err
	}
	value, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	sources, err := json.Marshal(map[string]any{"assets": []map[string]any{{"name": "mine", "kind": "model",
		"description": "d", "licence": "MIT",
		"source": map[string]any{"url": "http://localhost/weights.bin"},
		"files":  []map[string]any{{"from": "weights.bin", "size": 3, "sha256": strings.Repeat("0", 64)}}}}})
	if err != nil {
		return nil, err
	}
	return []specimen{
		only("table", "t.csv", []byte("index,file,score\n0,a.png,0.5\n1,\"b, c.png\",NaN\n2,d.png,-3\n")),
		only("table", "t.json",
			[]byte(`[{"index": 0, "score": null, "names": ["a", "b"]}, {"index": 1, "score": 0.25, "names": []}]`)),
		only("review", "r.json", []byte(`[{"index": 0, "given": 0, "suggested": 1, "decision": "keep"}, {"index": 1, `+
			`"given": 1, "suggested": 0, "decision": "both"}]`)),
		only("review", "r.csv", []byte("index,given,suggested,decision\n0,0,1,keep\n1,1,0,both\n")),
		only("verdicts", "v.json", []byte("["+fmt.Sprintf(verdict, 1)+","+fmt.Sprintf(verdict, 7)+"]")),
		only("predictions", "net.json", []byte("[1, 2, 3, 0]")),
		only("accuracies", "a.csv", []byte("model,clean,fog\nnet,75.0,50.0\nother,100,25\n")),
		only("carry", "value", value),
		only("sources", "sources.json", sources),
	}, nil
}

func packageSeeds(string) ([]specimen, error) {
	files := map[string][]byte{"pkg/weights.bin": bytes.Repeat([]byte("weights "), 20),
		"pkg/more/notes.txt": []byte("notes")}
	var tarred bytes.Buffer
	w := tar.NewWriter(&tarred)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content := files[name]
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			return nil, err
		}
		w.Write(content) // to memory
	}
	w.Close()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(tarred.Bytes()) // to memory
	z.Close()
	return []specimen{
		only("package", "a.zip", zipOf(files, zip.Deflate)), only("package", "a.tar.gz", packed.Bytes()),
		only("package", "a.tar", tarred.Bytes()),
	}, nil
}
