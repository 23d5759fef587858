package weightfile

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// long is an integer in a pickle.
func long(v int64) string {
	raw := binary.LittleEndian.AppendUint64(nil, uint64(v))
	return "\x8a\x08" + string(raw)
}

func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

// checkpoint is a PyTorch checkpoint of a tensor w, whose storage tells of so many numbers of four bytes.
func checkpoint(numbers int64, size, stride []int64) string {
	tuple := func(values []int64) string {
		s := "("
		for _, v := range values {
			s += long(v)
		}
		return s + "t"
	}
	return "\x80\x02}" + text("w") + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" +
		text("0") + text("cpu") + long(numbers) +
		"tQK\x00" + tuple(size) + tuple(stride) + "\x89}tRs."
}

// zipped puts a pickle and the bytes of its storage into an archive as PyTorch writes it.
func zipped(t testing.TB, pickle string, storage []byte) []byte {
	t.Helper()
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	for name, content := range map[string]string{"archive/data.pkl": pickle, "archive/data/0": string(storage)} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func written(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// six are the numbers 1 to 6.
func six() []byte {
	var raw []byte
	for i := range 6 {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(i+1)))
	}
	return raw
}

func TestCheckpointsThatAreGood(t *testing.T) {
	for _, c := range []struct {
		what         string
		size, stride []int64
		want         []float32
	}{
		{"row by row", []int64{2, 3}, []int64{3, 1}, []float32{1, 2, 3, 4, 5, 6}},
		{"column by column", []int64{3, 2}, []int64{1, 3}, []float32{1, 4, 2, 5, 3, 6}},
		{"repeated", []int64{2, 2}, []int64{0, 1}, []float32{1, 2, 1, 2}},
	} {
		weights, err := Read(written(t, "good.pth", zipped(t, checkpoint(6, c.size, c.stride), six())))
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		got := tensors.MustCopyFlatData[float32](weights["w"])
		if len(got) != len(c.want) {
			t.Fatalf("%s: %v", c.what, got)
		}
		for i, v := range got {
			if v != c.want[i] {
				t.Errorf("%s: %v, want %v", c.what, got, c.want)
			}
		}
	}
}

// Every half-precision number is the one that IEEE 754-2008 says, section 3.4, also the least ones.
func TestNumbersOfHalfPrecision(t *testing.T) {
	var raw []byte
	for bits := range 1 << 16 {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(bits))
	}
	header := `{"w":{"dtype":"F16","shape":[65536],"data_offsets":[0,131072]}}`
	for name, content := range map[string][]byte{
		"half.pth": zipped(t, strings.Replace(checkpoint(1<<16, []int64{1 << 16}, []int64{1}), "FloatStorage",
			"HalfStorage", 1), raw),
		"half.safetensors": append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), raw...),
	} {
		weights, err := Read(written(t, name, content))
		if err != nil {
			t.Fatal(err)
		}
		for bits, v := range tensors.MustCopyFlatData[float32](weights["w"]) {
			exponent, fraction := bits>>10&31, float64(bits&1023)
			want := math.Ldexp(1024+fraction, exponent-25)
			switch {
			case exponent == 0:
				want = math.Ldexp(fraction, -24)
			case exponent == 31 && fraction == 0:
				want = math.Inf(1)
			case exponent == 31:
				want = math.NaN()
			}
			if bits>>15 == 1 {
				want = -want
			}
			if float64(v) != want && !(math.IsNaN(want) && math.IsNaN(float64(v))) {
				t.Fatalf("%s: the bits %04x are %g, want %g", name, bits, v, want)
			}
		}
	}
}

// Of a checkpoint of several dictionaries the weights are taken, or it is refused by their names.
func TestWhichDictionaryIsTheWeights(t *testing.T) {
	of := func(size ...int64) string { // a dictionary of one tensor
		return strings.TrimSuffix(strings.TrimPrefix(checkpoint(6, size, []int64{3, 1}[2-len(size):]), "\x80\x02"), ".")
	}
	none := "}" + text("lr") + long(3) + "s"
	for name, c := range map[string]struct {
		entries []string
		shape   []int // of the tensor that is taken
		says    string
	}{
		"weights and their average": {[]string{"state_dict_ema", of(3), "state_dict", of(2, 3)}, []int{2, 3}, ""},
		"an average alone":          {[]string{"epoch", long(3), "model_ema", of(2, 3), "optimizer", none}, []int{2, 3}, ""},
		"a name of one's own":       {[]string{"optimizer", none, "weights_of_mine", of(2, 3)}, []int{2, 3}, ""},
		"a name, and an average":    {[]string{"params_ema", of(3), "params", of(2, 3)}, []int{2, 3}, ""},
		"teacher and student": {[]string{"student", of(2, 3), "teacher", of(3)}, nil,
			"holds several dictionaries of weights (student, teacher)"},
		"none": {[]string{"optimizer", none}, nil, "holds no weights by name"},
	} {
		pickle := "\x80\x02}"
		for i := 0; i < len(c.entries); i += 2 {
			pickle += text(c.entries[i]) + c.entries[i+1] + "s"
		}
		weights, err := Read(written(t, "some.pth", zipped(t, pickle+".", six())))
		switch {
		case c.says != "":
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case len(weights) != 1 || !slices.Equal(weights["w"].Shape().Dimensions, c.shape):
			t.Errorf("%s: %v", name, weights)
		}
	}
}

// What a file tells of and has not is an error of one sentence, and takes no memory.
func TestHostileFiles(t *testing.T) {
	safe := func(header, data string) string {
		return string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header + data
	}
	const two = `{"dtype":"F32","shape":[2],"data_offsets":`
	for name, c := range map[string]struct{ content, want string }{
		"large_storage.pth": {string(zipped(t, checkpoint(1<<33, []int64{2, 3}, []int64{3, 1}), six())),
			"24 bytes for 8589934592 numbers"},
		"storage_wraps.pth":  {string(zipped(t, checkpoint(1<<62, []int64{2, 3}, []int64{3, 1}), six())), "24 bytes for"},
		"less_than_none.pth": {string(zipped(t, checkpoint(-6, []int64{2, 3}, []int64{3, 1}), six())), "unknown type"},
		"large_view.pth": {string(zipped(t, checkpoint(6, []int64{1 << 40}, []int64{0}), six())),
			"cannot be in 6 numbers"},
		"wrapped_view.pth": {string(zipped(t, checkpoint(6, []int64{1 << 32, 1 << 32}, []int64{0, 0}), six())),
			"cannot be in 6 numbers"},
		"wrapped_stride.pth": {string(zipped(t, checkpoint(6, []int64{2, 3}, []int64{1 << 62, 1 << 62}), six())),
			"cannot be in 6 numbers"},
		"one_past.pth": {string(zipped(t, checkpoint(6, []int64{2, 3}, []int64{4, 1}), six())),
			"cannot be in 6 numbers"},
		"cut.pth": {string(zipped(t, checkpoint(6, []int64{2, 3}, []int64{3, 1}), six()[:20])),
			"20 bytes for 6 numbers"},
		"text.pth":           {"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.", "cut short"},
		"frame.pth":          {"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.", "cut short"},
		"memory.pth":         {"\x80\x02Nr\xff\xff\xff\x7f.", "where nothing can be"},
		"no_operation.pth":   {"\x80\x02\xff.", "operation 0xff"},
		"bytes.pkl":          {"\x80\x03B\xff\xff\xff\x7f.", "cut short"},
		"twice.safetensors":  {safe(`{"w":`+two+`[0,8]},"w":`+two+`[8,16]}}`, "0123456789abcdef"), "has w twice"},
		"shared.safetensors": {safe(`{"v":`+two+`[0,8]},"w":`+two+`[4,12]}}`, "0123456789ab"), "v and w share bytes"},
		"hole.safetensors": {safe(`{"v":`+two+`[0,8]},"w":`+two+`[12,20]}}`, "0123456789abcdefghij"),
			"from 8 to 12 are no tensor's"},
		"end.safetensors":  {safe(`{"v":`+two+`[0,8]}}`, "0123456789ab"), "from 8 to 12 are no tensor's"},
		"null.safetensors": {safe(`{"v":null}`, ""), "no type"},
		"program.pt2":      {"PK", "torch.export wrote"},
	} {
		path := written(t, name, []byte(c.content))
		var err error
		bytes := testing.AllocsPerRun(1, func() { _, err = Read(path) })
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), name) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if bytes > 1e4 {
			t.Errorf("%s: %g allocations", name, bytes)
		}
	}
}

// A bomb is an archive that unpacks to far more than it is.
func TestACheckpointThatUnpacksToMuch(t *testing.T) {
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	for name, content := range map[string][]byte{"archive/data.pkl": []byte(checkpoint(6, []int64{2, 3}, []int64{3, 1})),
		"archive/data/0": make([]byte, 300<<20)} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(written(t, "bomb.pth", file.Bytes())); err == nil ||
		!strings.Contains(err.Error(), "unpacks to more than 256 MB") {
		t.Error(err)
	}
}

// go test -fuzz FuzzRead ./lib/weightfile goes on from the seeds.
func FuzzRead(f *testing.F) {
	endings := []string{".pth", ".pkl", ".safetensors", ".npz"}
	f.Add(0, zipped(f, checkpoint(6, []int64{2, 3}, []int64{3, 1}), six()))
	f.Add(0, []byte("\x80\x02}"+text("w")+"K\x01s."))
	f.Add(1, []byte("\x80\x03}q\x00X\x05\x00\x00\x00conv1q\x01]q\x02s."))
	f.Add(2, []byte("\x3a\x00\x00\x00\x00\x00\x00\x00"+
		`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}    01234567`))
	f.Fuzz(func(t *testing.T, ending int, content []byte) {
		if ending < 0 || ending >= len(endings) {
			return
		}
		weights, err := Read(written(t, "file"+endings[ending], content))
		if (err == nil) != (weights != nil) {
			t.Errorf("%d weights, %v", len(weights), err)
		}
	})
}

// A pickle is copied to its end, and what comes behind it stays.
func TestOnePickle(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("\x80\x02" + text("first") + ".\x80\x02K\x07.rest"))
	for _, want := range []string{"\x80\x02" + text("first") + ".", "\x80\x02K\x07."} {
		if got, err := onePickle(r, 100); err != nil || string(got) != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	if rest, err := r.ReadString('t'); err != nil || rest != "rest" {
		t.Errorf("behind them is %q, %v", rest, err)
	}
}
