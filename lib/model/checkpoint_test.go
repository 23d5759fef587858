package model

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	gomlx "github.com/gomlx/gomlx/ml/model"
)

// variables is what a checkpoint says of its variable w and its counter, beside the 24 bytes of w and 8 of the counter.
func variables(dims string, length int) string {
	return fmt.Sprintf(
		`{"Params": null, "Variables": [{"ParameterName": "var:/w", "Dimensions": %s, "DType": "Float32", "Pos": 0, "Length": %d},
		{"ParameterName": "var:/global_step", "Dimensions": null, "DType": "Int64", "Pos": %[2]d, "Length": 8}], "BinFormat": "gzip"}`, dims, length)
}

// checkpointFolder writes a checkpoint.
func checkpointFolder(t testing.TB, about string, values []byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string][]byte{".json": []byte(about), ".bin": values} {
		if err := os.WriteFile(filepath.Join(dir, "checkpoint-n0000000-20261130-120000-initial"+name), content,
			0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// checkpointValues are the numbers 1 to 6 and a counter, packed.
func checkpointValues(t testing.TB, more int) []byte {
	t.Helper()
	var raw []byte
	for i := range 6 {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(i+1)))
	}
	return packedValues(t, append(raw, make([]byte, 8+more)...))
}

func packedValues(t testing.TB, raw []byte) []byte {
	t.Helper()
	packed := bytes.NewBufferString(checkpointMark + "\x04gzip")
	z := gzip.NewWriter(packed)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// checkpointModel is the model of such a checkpoint: its logits are its weights' products with the mean colour.
func checkpointModel(dir string) (*Model, error) {
	return FromCheckpoint(dir, Spec{Name: "checkpoint", Height: 2, Width: 2, Channels: 3},
		func(scope *gomlx.Scope, x *graph.Node) *graph.Node {
			w := scope.VariableWithShape("w", shapes.Make(dtypes.Float32, 3, 2)).NodeValue(x.Graph())
			return graph.Einsum("nc,ck->nk", graph.ReduceMean(x, 1, 2), w)
		})
}

// What a checkpoint tells of and has not is an error of one sentence, and takes no memory.
func TestHostileCheckpoints(t *testing.T) {
	good := variables("[3, 2]", 24)
	m, err := checkpointModel(checkpointFolder(t, good, checkpointValues(t, 0)))
	if err != nil {
		t.Fatal(err)
	}
	logits, err := m.Logits(flat([3]float32{1, 0.5, 0}))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "the honest one", logits, 2.5, 4)
	for name, c := range map[string]struct {
		about  string
		values []byte
		want   string
	}{
		"less than none": {variables("[-3, -2]", 24), checkpointValues(t, 0), "the shape [-3 -2]"},
		"large":          {variables("[2147483648, 3]", 24), checkpointValues(t, 0), "takes 25769803776 bytes"},
		"larger":         {variables("[1099511627776]", 24), checkpointValues(t, 0), "takes 4398046511104 bytes"},
		"as it says":     {variables("[1099511627776]", 1<<42), checkpointValues(t, 0), "take 4398046511112 bytes"},
		"overflows": {variables("[4294967296, 4294967296]", 24), checkpointValues(t, 0),
			"the shape [4294967296 4294967296]"},
		"null":          {"null", checkpointValues(t, 0), "no variables"},
		"no type":       {strings.Replace(good, "Float32", "Floaty", 1), checkpointValues(t, 0), "Floaty"},
		"twice":         {strings.Replace(good, "global_step", "w", 1), checkpointValues(t, 0), "var:/w twice"},
		"cut":           {good, checkpointValues(t, 0)[:40], "EOF"},
		"too few":       {good, packedValues(t, make([]byte, 20)), "take 32 bytes, and there are 20"},
		"bomb":          {good, checkpointValues(t, 1<<28), "take 32 bytes"},
		"packed twice":  {good, packedValues(t, append([]byte(checkpointMark), make([]byte, 14)...)), "packed twice"},
		"other packing": {good, []byte(checkpointMark + "\x04lzma"), "take 32 bytes"},
		"params": {strings.Replace(good, `"Params": null`, `"Params": [{"Scope": "", "Key": "", "Value": {}}]`, 1),
			checkpointValues(t, 0), ""},
	} {
		dir := checkpointFolder(t, c.about, c.values)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := checkpointModel(dir)
		runtime.ReadMemStats(&after)
		if c.want == "" {
			continue // that it does not panic
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if made := after.TotalAlloc - before.TotalAlloc; made > 64<<20 {
			t.Errorf("%s: %d MB", name, made>>20)
		}
	}
	dir := checkpointFolder(t, good, checkpointValues(t, 0))
	bin := filepath.Join(dir, "checkpoint-n0000000-20261130-120000-initial.bin")
	if err := os.Remove(bin); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(bin, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = checkpointModel(dir)
	wantError(t, err, "not a regular file")
	// Numbers that are not packed.
	var raw []byte
	for i := range 6 {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(i+1)))
	}
	if _, err := checkpointModel(checkpointFolder(t, good, append(raw, make([]byte, 8)...))); err != nil {
		t.Error(err)
	}
}

// go test -fuzz FuzzCheckpoint ./lib/model goes on from the seeds.
func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte(variables("[3, 2]", 24)), make([]byte, 32))
	f.Add([]byte(variables("[3, 2]", 24)), checkpointValues(f, 0))
	f.Add([]byte(variables("[2147483648, 3]", 24)), checkpointValues(f, 0))
	f.Fuzz(func(t *testing.T, about, values []byte) {
		text, numbers, err := readCheckpoint(checkpointFolder(t, string(about), values))
		if err != nil {
			return
		}
		if !json.Valid(text) {
			t.Error("it is no JSON")
		}
		_ = loadCheckpoint(gomlx.NewStore(), text, numbers) // which says what is wrong, and does not panic
	})
}
