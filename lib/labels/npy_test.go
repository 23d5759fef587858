package labels

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes/float16"

	"github.com/loupeml/loupe/internal/approx"
)

// npyHeader is that of a NumPy file.
func npyHeader(descr, order, shape string) string {
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr, order, shape)
	text += strings.Repeat(" ", 63-(10+len(text))%64) + "\n"
	return "\x93NUMPY\x01\x00" + string(binary.LittleEndian.AppendUint16(nil, uint16(len(text)))) + text
}

func appendNumber(b []byte, descr string, v float64) []byte {
	switch descr {
	case "<f2":
		if v < 0x1p-14 { // FromFloat64 makes these 0
			return binary.LittleEndian.AppendUint16(b, uint16(math.RoundToEven(v*0x1p24)))
		}
		return binary.LittleEndian.AppendUint16(b, uint16(float16.FromFloat64(v)))
	case "<f4":
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
	}
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

// writeNPY writes probabilities as a NumPy file of a type of numbers.
func writeNPY(t testing.TB, file, descr string, p Probabilities) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	n, k := p.Dims()
	w.WriteString(npyHeader(descr, "False", fmt.Sprintf("(%d, %d)", n, k)))
	buffer := make([]float64, k)
	var line []byte
	for i := range n {
		line = line[:0]
		for _, v := range p.Row(i, buffer) {
			line = appendNumber(line, descr, v)
		}
		w.Write(line)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenReadsEveryPrecision(t *testing.T) {
	values := []float64{0, 0.25, 0.75, 1, 0.5, 0.5}
	p, err := Float64s(values, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, descr := range []string{"<f2", "<f4", "<f8"} {
		file := filepath.Join(t.TempDir(), "p.npy")
		writeNPY(t, file, descr, p)
		got, err := OpenProbabilities(file)
		if err != nil {
			t.Fatal(err)
		}
		if n, k := got.Dims(); n != 2 || k != 3 {
			t.Errorf("%s: [%d, %d]", descr, n, k)
		}
		for i := range 2 {
			if err := approx.All(got.Row(i, make([]float64, 3)), values[3*i:3*i+3], 0); err != nil {
				t.Errorf("%s, row %d: %v", descr, i, err)
			}
		}
		if err := got.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := FindLabelIssues(got, []int{0, 1}, Options{}); err == nil || !strings.Contains(err.Error(), "[0, 0]") {
			t.Errorf("closed: %v", err)
		}
	}
}

func TestHalvesAreExact(t *testing.T) {
	// From the definition: a sign, five bits of exponent, ten of mantissa.
	table := halfTable()
	for bits := range 1 << 16 {
		exponent, mantissa := bits>>10&31, float64(bits&1023)
		want := math.Ldexp(mantissa, -24)
		if exponent > 0 {
			want = math.Ldexp(1024+mantissa, exponent-25)
		}
		if exponent == 31 {
			if want = math.Inf(1); mantissa > 0 {
				want = math.NaN()
			}
		}
		if bits>>15 == 1 {
			want = -want
		}
		if got := float64(table[bits]); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("bits %04x are %v, want %v", bits, got, want)
		}
	}
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	numbers := string(make([]byte, 6*8))
	for what, c := range map[string]struct{ content, want string }{
		"empty":          {"", "is not a NumPy file"},
		"text":           {"class,probability\n", "is not a NumPy file"},
		"cut header":     {npyHeader("<f8", "False", "(2, 3)")[:40], "is not a NumPy file"},
		"damaged header": {strings.Replace(npyHeader("<f8", "False", "(2, 3)"), "descr", "decsr", 1), "is not a NumPy file"},
		"no line":        {"\x93NUMPY\x01\x00\x04\x00abcd" + numbers, "header is damaged"},
		"cut short":      {npyHeader("<f8", "False", "(2, 4)") + numbers, "cut short"},
		"huge":           {npyHeader("<f8", "False", "(4611686018427387904, 4)") + numbers, "cut short"},
		"fortran":        {npyHeader("<f8", "True", "(2, 3)") + numbers, "ascontiguousarray"},
		"big endian":     {npyHeader(">f8", "False", "(2, 3)") + numbers, "astype"},
		"integers":       {npyHeader("<i8", "False", "(2, 3)") + numbers, "float16, float32 or float64"},
		"one dimension":  {npyHeader("<f8", "False", "(6,)") + numbers, "[N, K]"},
		"one class":      {npyHeader("<f8", "False", "(6, 1)") + numbers, "two classes"},
		"no rows":        {npyHeader("<f8", "False", "(0, 3)"), "one example"},
	} {
		file := filepath.Join(t.TempDir(), "p.npy")
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := OpenProbabilities(file)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "labels: ") {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
		if err == nil {
			p.Close()
		}
	}
	if _, err := OpenProbabilities(filepath.Join(t.TempDir(), "none.npy")); err == nil {
		t.Error("a file that there is not is opened")
	}
}

func TestReadLabels(t *testing.T) {
	for descr, bits := range map[string]string{
		"|u1": "\x01\x00\x02", "|i1": "\x01\x00\x02", "<u2": "\x01\x00\x00\x00\x02\x00", ">i2": "\x00\x01\x00\x00\x00\x02",
		"<i4": "\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00", "<u4": "\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00",
		">i8": "\x00\x00\x00\x00\x00\x00\x00\x01" + string(make([]byte, 15)) + "\x02", "<u8": "\x01" +
			string(make([]byte, 15)) + "\x02" + string(make([]byte, 7)),
	} {
		file := filepath.Join(t.TempDir(), "y.npy")
		if err := os.WriteFile(file, []byte(npyHeader(descr, "False", "(3,)")+bits), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadLabels(file)
		if err != nil || fmt.Sprint(got) != "[1 0 2]" {
			t.Errorf("%s: %v, %v", descr, got, err)
		}
		if err := os.WriteFile(file, []byte(npyHeader(descr, "False", "(4,)")+bits), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadLabels(file); err == nil || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("%s, cut short: %v", descr, err)
		}
	}
	for _, h := range []string{npyHeader("<f4", "False", "(1,)"), npyHeader("<i4", "False", "(1, 1)")} {
		file := filepath.Join(t.TempDir(), "y.npy")
		if err := os.WriteFile(file, []byte(h+"\x00\x00\x00\x00"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadLabels(file); err == nil {
			t.Errorf("%q is read", h)
		}
	}
	file := filepath.Join(t.TempDir(), "y.npy")
	if err := os.WriteFile(file, []byte(npyHeader("<i8", "False", "(2,)")+"\xff\xff\xff\xff\xff\xff\xff\xff"+
		string(make([]byte, 8))), 0o600); err != nil {
		t.Fatal(err)
	}
	y, err := ReadLabels(file)
	if err != nil || y[0] != -1 {
		t.Fatalf("%v, %v", y, err)
	}
	p, _ := Float64s([]float64{1, 0, 0, 1}, 2)
	if _, err := FindLabelIssues(p, y, Options{}); err == nil ||
		!strings.Contains(err.Error(), "example 0 has the label -1") {
		t.Errorf("a label of -1: %v", err)
	}
}
