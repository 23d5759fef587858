package model

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/compilecache"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/backend"
)

// sums is what a process of TestANetworkIsCompiledOnce says: of the bits of the logits and of the gradient, and its
// report.
type sums struct {
	Logits, Gradient string
	Report           compilecache.Report
}

// A process has one cache, so each of these cases is a process of its own: this test binary, told by the environment to
// put two questions to a network.
func TestMain(m *testing.M) {
	if os.Getenv("LOUPE_TEST_NETWORK") != "" {
		askNetwork()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// askNetwork puts two questions to a network.
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
	info, err := backend.Describe()
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
		ask := exec.Command(os.Args[0])
		ask.Env = []string{"LOUPE_TEST_NETWORK=1", "LOUPE_CACHE=" + cache, "HOME=" + cache, "PATH=" + os.Getenv("PATH")}
		var errs strings.Builder
		ask.Stderr = &errs
		out, err := ask.Output()
		if err == nil {
			err = json.Unmarshal(out, &says)
		}
		if err != nil || errs.Len() > 0 {
			t.Fatalf("%v: %s\n%s", err, out, errs.String())
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
