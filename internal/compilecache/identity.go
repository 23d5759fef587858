package compilecache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// stamp is what the file system says of a file: it differs where the contents do, unless they have changed twice in a
// moment.
func stamp(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("%s: its system keeps no inodes", path)
	}
	return fmt.Sprintf("%s %d %d %d %d %d", path, s.Dev, s.Ino, info.Size(), info.ModTime().UnixNano(), changed(s)), nil
}

// moment is longer than any file system's clock takes from one tick to the next.
const moment = 3 * time.Second

// identity returns a SHA-256 of the plugin's file, which was stamped before it was loaded. To read hundreds of
// megabytes takes as long as all else that starts does, so the hash is kept beside the programs, with the stamp of
// the file that it is of.
func (c *Cache) identity(path, stamped string) (string, error) {
	name := fmt.Sprintf("plugin-%.8x", sha256.Sum256([]byte(path)))
	if record, err := c.read(name); err == nil {
		if was, hash, ok := strings.Cut(strings.TrimSuffix(string(record), "\n"), "\n"); ok && was == stamped &&
			len(hash) == 2*sha256.Size {
			return hash, nil
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	if now, err := stamp(path); err != nil || now != stamped {
		return "", fmt.Errorf("%s has changed since it was loaded", path)
	}
	hash := hex.EncodeToString(h.Sum(nil))
	if info, err := f.Stat(); err == nil && time.Since(time.Unix(0, changed(info.Sys().(*syscall.Stat_t)))) > moment {
		c.write(name, []byte(stamped+"\n"+hash+"\n")) // where it cannot be written, the next process reads the plugin again
	}
	return hash, nil
}
