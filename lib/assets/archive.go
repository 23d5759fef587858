package assets

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/loupeml/loupe/internal/regular"
)

// extract writes the asset's files from the archive, or folder, into the folder dir, and
// checks the size and sha256 of each on the way.
func (f *fetch) extract(ctx context.Context, archive, dir string) error {
	wanted := map[string]bool{} // exact names not seen yet
	for _, file := range f.Files {
		if !file.pattern() {
			wanted[file.From] = true
		}
	}
	exact := len(wanted) == len(f.Files) && len(f.Files) > 0
	written := int64(0)
	err := members(ctx, archive, func(name string, r io.Reader) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		file, ok := f.file(name)
		if !ok {
			return nil
		}
		to := filepath.Join(dir, file.name())
		if n := file.name(); n == "." || n == ".." || strings.ContainsAny(n, "/\x00") {
			return contentError{fmt.Errorf("assets: %s: %s has a file named %q", f.Name, archive, name)}
		}
		if len(f.Files) == 0 { // everything, in its folders
			if !filepath.IsLocal(filepath.FromSlash(name)) {
				return contentError{fmt.Errorf("assets: %s: %s has a file named %q, outside of its folder", f.Name, archive, name)}
			}
			to = filepath.Join(dir, filepath.FromSlash(name))
			err := os.MkdirAll(filepath.Dir(to), 0o755)
			if errors.Is(err, syscall.ENOTDIR) {
				return contentError{fmt.Errorf("assets: %s: %s has a file where the folder of %q is", f.Name, archive, name)}
			}
			if err != nil {
				return diskError(f.Name, dir, err)
			}
		}
		err := f.write(to, file, r, func(n int64) {
			written += n
			f.progress(f.Download+written, f.total())
		})
		if err != nil {
			return err
		}
		if delete(wanted, name); exact && len(wanted) == 0 {
			return io.EOF // seen all
		}
		return nil
	})
	var ours contentError
	switch {
	case err == nil, errors.Is(err, io.EOF) && exact && len(wanted) == 0:
	case errors.As(err, &ours), isDisk(err), ctx.Err() != nil:
		return err
	default:
		return contentError{
			fmt.Errorf("assets: %s: %s cannot be unpacked: %w; it is damaged or cut short: `loupe fetch %s` gets it again",
				f.Name, archive, err, f.Name)}
	}
	for name := range wanted {
		return contentError{
			fmt.Errorf("assets: %s: there is no %s in %s: the package has changed, and with it what loupe knows of it", f.Name,
				name, f.Source)}
	}
	return nil
}

// file returns the entry that a member of the archive belongs to.
func (f *fetch) file(member string) (File, bool) {
	if len(f.Files) == 0 {
		return File{From: member}, true
	}
	for _, file := range f.Files {
		if file.From == member {
			return file, true
		}
	}
	for _, file := range f.Files {
		if ok, _ := path.Match(file.From, member); ok && file.pattern() {
			return File{From: member}, true
		}
	}
	return File{}, false
}

// write copies one file and checks it.
func (f *fetch) write(to string, file File, r io.Reader, count func(n int64)) error {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return contentError{fmt.Errorf("assets: %s: it has two files named %s", f.Name, filepath.Base(to))}
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EINVAL):
		return contentError{fmt.Errorf("assets: %s: it has a file that cannot be called %.60q", f.Name, filepath.Base(to))}
	case err != nil:
		return diskError(f.Name, filepath.Dir(to), err)
	}
	h := sha256.New()
	disk := &diskWriter{out: out}
	n, err := io.Copy(io.MultiWriter(disk, h, counter(count)), r)
	if e := out.Close(); e != nil && disk.err == nil {
		disk.err = e
	}
	switch {
	case disk.err != nil:
		return diskError(f.Name, filepath.Dir(to), disk.err)
	case err != nil:
		return err
	case file.Size > 0 && n != file.Size:
		return contentError{fmt.Errorf("assets: %s: %s has %d bytes and should have %d", f.Name, file.From, n, file.Size)}
	}
	if sum := hex.EncodeToString(h.Sum(nil)); file.SHA256 != "" && sum != file.SHA256 {
		return contentError{
			fmt.Errorf("assets: %s: the sha256 of %s is %s and should be %s: what arrived is not what loupe knows, and it "+
				"was not kept", f.Name, file.From, sum, file.SHA256)}
	}
	return nil
}

// diskWriter remembers its own failure, so that it can be told from the reader's.
type diskWriter struct {
	out io.Writer
	err error
}

func (w *diskWriter) Write(p []byte) (int, error) {
	n, err := w.out.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

type counter func(n int64)

func (c counter) Write(p []byte) (int, error) {
	c(int64(len(p)))
	return len(p), nil
}

// members calls visit with every regular file in an archive (wheel or zip, gzipped or plain tar, .deb), in
// a folder, or with the file itself when it is none of these. An error of visit ends it.
func members(ctx context.Context, archive string, visit func(name string, r io.Reader) error) error {
	info, err := os.Stat(archive)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fs.WalkDir(os.DirFS(archive), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			return visitFile(filepath.Join(archive, filepath.FromSlash(name)), name, visit)
		})
	}
	f, _, err := regular.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	b := bufio.NewReaderSize(f, 1<<16)
	head, _ := b.Peek(512)
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), hasSuffix(archive, ".whl", ".zip"):
		z, err := zip.NewReader(f, info.Size())
		if err != nil {
			return err
		}
		for _, m := range z.File {
			if !m.Mode().IsRegular() {
				continue
			}
			r, err := m.Open()
			if err != nil {
				return err
			}
			err = visit(m.Name, r)
			r.Close()
			if err != nil {
				return err
			}
		}
		return nil
	case bytes.HasPrefix(head, []byte("!<arch>\n")), hasSuffix(archive, ".deb"):
		return debMembers(ctx, archive, visit)
	case hasSuffix(archive, ".tar.gz", ".tgz"):
		z, err := gzip.NewReader(b)
		if err != nil {
			return err
		}
		return tarMembers(z, visit)
	case hasSuffix(archive, ".tar"):
		return tarMembers(b, visit)
	}
	return visitFile(archive, filepath.Base(archive), visit)
}

func hasSuffix(name string, suffixes ...string) bool {
	for _, s := range suffixes {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	return false
}

func visitFile(path, name string, visit func(string, io.Reader) error) error {
	f, _, err := regular.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return visit(name, f)
}

func tarMembers(r io.Reader, visit func(string, io.Reader) error) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := visit(strings.TrimPrefix(h.Name, "./"), t); err != nil {
			return err
		}
	}
}

// debMembers reads a Debian package through dpkg-deb, which needs no root for it.
func debMembers(ctx context.Context, archive string, visit func(string, io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", archive)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("dpkg-deb, which unpacks Debian packages, cannot be run: %w", err)
	}
	visitErr := tarMembers(out, visit)
	cancel()
	waitErr := cmd.Wait()
	if visitErr != nil && stderr.Len() == 0 {
		return visitErr
	}
	if stderr.Len() > 0 {
		return errors.New(lastLine(stderr.String()))
	}
	if visitErr == nil && waitErr != nil && ctx.Err() == nil {
		return waitErr
	}
	return visitErr
}
