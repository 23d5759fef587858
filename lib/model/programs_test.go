package model

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/compilecache"
	"github.com/loupeml/loupe/internal/testenv"
)

// sums is what a process of TestANetworkIsCompiledOnce says: of the bits of the logits and of the gradient, and its
// report.
type sums struct {
	Logits, Gradient string
	Report           compilecache.Report
}

// askNetwork puts two questions to a network, in a process that TestMain has been told to run it in.
func askNetwork() {
	m, err := Load("efficientnet-lite0")
	if err != nil {
		panic(err)
	}
	spec := m.Spec()
	pixels := make([]float32, spec.Height*spec.Width*spec.Channels)
	for i := range pixels {
		pixels[i] = float32(i*7919%1000)/500 - 1
	}
	images := tensors.FromFlatDataAndDimensions(pixels, 1, spec.Height, spec.Width, spec.Channels)
	of := func(t *tensors.Tensor, err error) (sum string) {
		if err != nil {
			panic(err)
		}
		if err := t.ConstBytes(func(bits []byte) { sum = fmt.Sprintf("%x", sha256.Sum256(bits)) }); err != nil {
			panic(err)
		}
		return sum
	}
	says := sums{Logits: of(m.Logits(images)), Gradient: of(m.InputGradient(images, []int{243}))}
	info, err := DescribeBackend()
	if err != nil {
		panic(err)
	}
	says.Report = info.Programs
	json.NewEncoder(os.Stdout).Encode(says)
}

func TestANetworkIsCompiledOnce(t *testing.T) {
	testenv.Asset(t, "efficientnet-lite0")
	assets := filepath.Dir(testenv.Asset(t, "xla-cpu"))
	cache := t.TempDir()
	if err := os.Symlink(assets, filepath.Join(cache, "assets")); err != nil {
		t.Fatal(err)
	}
	ask := func() (says sums) {
		t.Helper()
		out, errs := startBackend(t, "LOUPE_TEST_BACKEND=network", "LOUPE_CACHE="+cache)
		if err := json.Unmarshal([]byte(out), &says); err != nil || errs != "" {
			t.Fatalf("%v: %s\n%s", err, out, errs)
		}
		return says
	}
	first := ask()
	if r := first.Report; r.Compiled == 0 || r.Stored != r.Compiled || r.Loaded != 0 {
		t.Errorf("the first process: %+v", r)
	}
	second := ask()
	if r := second.Report; r.Compiled != 0 || r.Loaded != first.Report.Compiled || r.Damaged != 0 {
		t.Errorf("the second process: %+v", r)
	}
	if second.Logits != first.Logits || second.Gradient != first.Gradient {
		t.Errorf("the results differ: %+v, %+v", first, second)
	}
}
