package assets_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/assets"
)

// TestFullDisk runs [TestOnSmallDisk] on a disk of 256 kB of its own.
func TestFullDisk(t *testing.T) { testenv.OnSmallDisk(t, "256k", "TestOnSmallDisk") }

func TestOnSmallDisk(t *testing.T) {
	disk := testenv.SmallDisk(t, "TestFullDisk")
	big := make([]byte, 1<<20)
	archive := wheel(t, "tiny/weights.bin", big)
	known := tiny() // its size is known: refused before anything is downloaded
	known.Name, known.Files[0].Size, known.Files[0].SHA256 = "known", int64(len(big)), sum(big)
	unpacked := tiny() // fails when its file is written
	unpacked.Name, unpacked.Source, unpacked.Files[0].Size, unpacked.Files[0].SHA256 = "unpacked",
		assets.Source{Path: archive}, 0, ""
	client := tiny() // fails in the client
	client.Name, client.Files[0].Size, client.Files[0].SHA256 = "client", 0, ""
	calls := filepath.Join(t.TempDir(), "calls")
	place(t, map[string]string{"python3": fakePip(calls, fmt.Sprintf(`/bin/cp %s $DEST 2>&2 && exit 0
echo "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device" >&2; exit 1`, archive))},
		known, unpacked, client)
	cache := filepath.Join(disk, "cache")
	t.Setenv("LOUPE_CACHE", cache)

	_, err := fetch("known")
	wantError(t, err, "known needs", "MB left", "LOUPE_CACHE")
	if count(t, calls) != 0 {
		t.Error("something was downloaded that cannot be kept")
	}
	_, err = fetch("unpacked")
	wantError(t, err, "does not fit", "full", "LOUPE_CACHE")
	_, err = fetch("client")
	wantError(t, err, "does not fit", "full", "LOUPE_CACHE")
	wantOnly(t, cache)
}
