package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// smallDisk is the variable by which a test knows that it has a small disk of its own.
const smallDisk = "LOUPE_TEST_SMALL_DISK"

// OnSmallDisk runs another test of the same package, by its name, in a process with a disk of its own of a size such as
// 256k, in a namespace where no root is needed to mount it. That test asks [SmallDisk] where the disk is.
func OnSmallDisk(t *testing.T, size, test string) {
	t.Helper()
	disk := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	mount := fmt.Sprintf(`mount -t tmpfs -o size=%s small "$1" || exit 77; exec "$2" -test.run='^%s$' -test.v`, size, test)
	cmd := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", disk, self)
	cmd.Env = append(os.Environ(), smallDisk+"="+disk)
	out, err := cmd.CombinedOutput()
	if !strings.Contains(string(out), "=== RUN") {
		t.Skipf("skipped: needs unshare and user namespaces, to mount a small disk: %v %s", err, out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+test) {
		t.Errorf("%v\n%s", err, out)
	}
}

// SmallDisk is the folder of the small disk that another test has mounted for this one, by the name of that test.
func SmallDisk(t *testing.T, by string) string {
	t.Helper()
	disk := os.Getenv(smallDisk)
	if disk == "" {
		t.Skipf("skipped: needs the small disk that %s mounts", by)
	}
	return disk
}
