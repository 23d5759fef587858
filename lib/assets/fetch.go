package assets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// Fetch gets an asset into the cache and returns its folder. An asset that is there and whole, by
// sha256, is left as it is; a damaged one is fetched again. A download that arrived but could not be unpacked
// is used by the next call. Two processes that fetch the same asset wait for each other. progress, which may
// be nil, counts the bytes downloaded and then those unpacked; total is 0 where it is not known.
func Fetch(ctx context.Context, name string, progress func(done, total int64)) (string, error) {
	a, err := Find(name)
	if err != nil {
		return "", err
	}
	if err := a.fits(); err != nil {
		return "", err
	}
	base, err := Dir()
	if err != nil {
		return "", err
	}
	dir, err := a.dir()
	if err != nil {
		return "", err
	}
	if progress == nil {
		progress = func(done, total int64) {}
	}
	f := &fetch{
		Asset: a, dir: dir, progress: progress,
		assets:    filepath.Dir(dir),
		downloads: filepath.Join(base, "downloads", a.folder()),
	}
	locks := filepath.Join(base, "locks")
	for _, d := range []string{f.assets, locks} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return "", diskError(a.Name, d, err)
		}
	}
	lock := flock.New(filepath.Join(locks, a.folder()+".lock"))
	if ok, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("assets: %s: stopped while another loupe was fetching it: %w", a.Name, ctx.Err())
		}
		return "", diskError(a.Name, locks, err)
	} else if ok {
		defer lock.Unlock()
	}
	// Another process may have fetched it while this one waited.
	if a.check(dir, true) == nil {
		return dir, nil
	}
	if err := f.run(ctx); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("assets: %s: stopped; `loupe fetch %s` goes on where it can: %w", a.Name, a.Name, ctx.Err())
		}
		return "", err
	}
	return dir, nil
}

// fetch is one asset on its way, with the lock held.
type fetch struct {
	Asset
	dir       string // where the asset will be
	assets    string // the folder that holds dir
	downloads string // where what the clients bring is kept until it is unpacked
	progress  func(done, total int64)
}

// total is what progress counts to.
func (f *fetch) total() int64 {
	if f.Download == 0 {
		return 0
	}
	return f.Download + f.Size()
}

func (f *fetch) run(ctx context.Context) error {
	if f.Source.Hub != "" {
		return f.fromHub(ctx)
	}
	if err := enoughSpace(f.Name, f.assets, f.Download+f.Size()); err != nil {
		return err
	}
	if err := os.MkdirAll(f.downloads, 0o755); err != nil {
		return diskError(f.Name, f.downloads, err)
	}
	if archive := f.arrived(); archive != "" {
		err := f.unpack(ctx, archive)
		var damaged contentError
		if !errors.As(err, &damaged) {
			return err
		}
		os.Remove(archive)
	}
	// What comes out of a client's cache can be damaged too: the second time goes past it.
	var err error
	for _, fresh := range []bool{false, true} {
		var archive string
		if archive, err = f.download(ctx, fresh); err != nil {
			return err
		}
		err = f.unpack(ctx, archive)
		var damaged contentError
		if !errors.As(err, &damaged) {
			return err
		}
		if !f.kept(archive) {
			break // not ours to delete and get again
		}
		os.Remove(archive)
	}
	return err
}

// kept reports whether the archive lies in the downloads folder, and not in a client's cache or with the user.
func (f *fetch) kept(archive string) bool { return filepath.Dir(archive) == f.downloads }

// arrived returns a whole download that an earlier fetch left.
func (f *fetch) arrived() string {
	entries, _ := os.ReadDir(f.downloads)
	for _, e := range entries {
		if e.Type().IsRegular() && filepath.Ext(e.Name()) != partial {
			return filepath.Join(f.downloads, e.Name())
		}
	}
	return ""
}

// unpack takes the asset's files out of the archive into a new folder and gives it its name.
func (f *fetch) unpack(ctx context.Context, archive string) error {
	scratch, err := os.MkdirTemp(f.assets, ".unpacking-")
	if err != nil {
		return diskError(f.Name, f.assets, err)
	}
	defer os.RemoveAll(scratch)
	if err := os.Chmod(scratch, 0o755); err != nil {
		return diskError(f.Name, f.assets, err)
	}
	if err := f.extract(ctx, archive, scratch); err != nil {
		return err
	}
	if err := f.check(scratch, false); err != nil {
		return contentError{err}
	}
	// Programs that have the old files open keep them: the folder is moved away, not written over.
	if _, err := os.Lstat(f.dir); err == nil {
		old, err := os.MkdirTemp(f.assets, ".replaced-")
		if err != nil {
			return diskError(f.Name, f.assets, err)
		}
		defer os.RemoveAll(old)
		if err := os.Rename(f.dir, filepath.Join(old, "old")); err != nil {
			return diskError(f.Name, f.assets, err)
		}
	}
	if err := os.Rename(scratch, f.dir); err != nil {
		return diskError(f.Name, f.assets, err)
	}
	os.RemoveAll(f.downloads)
	return nil
}

// contentError says that what arrived is not what the registry promises.
type contentError struct{ error }

func (e contentError) Unwrap() error { return e.error }
