package assets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode"
)

// partial is the extension of a download that has not ended; beside it lies its validator, which tells
// whether the rest still belongs to it.
const partial = ".part"

// patience is how long a server may send nothing.
var patience = time.Minute

// keepFree is how much of the disk a download of unknown length leaves.
const keepFree = 256 << 20

// byHTTP downloads an address of the user's own, and goes on where an earlier call was broken off.
func (f *fetch) byHTTP(ctx context.Context) (string, error) {
	address, err := url.Parse(f.Source.URL)
	if err != nil {
		return "", fmt.Errorf("assets: %s: %w", f.Name, err)
	}
	name, err := fileName(address)
	if err != nil {
		return "", fmt.Errorf("assets: %s: %s %w", f.Name, f.Source.URL, err)
	}
	d := &download{fetch: f, name: name, part: filepath.Join(f.downloads, name+partial),
		validator: filepath.Join(f.downloads, name+".validator"+partial)}
	again, err := d.run(ctx)
	if again { // what is there does not go with what the server has: from the beginning, once
		os.Remove(d.part)
		os.Remove(d.validator)
		if again, err = d.run(ctx); again {
			err = fmt.Errorf("assets: %s: %s answers a plain request with a part of the file; check its url, or %s", f.Name,
				f.Source.URL, f.otherWays())
		}
	}
	if err != nil {
		return "", err
	}
	whole := filepath.Join(f.downloads, name)
	os.Remove(d.validator)
	if err := os.Rename(d.part, whole); err != nil {
		return "", diskError(f.Name, f.downloads, err)
	}
	return whole, nil
}

// fileName is what the file at an address is called; one that ends in no name is called download.
func fileName(address *url.URL) (string, error) {
	name := path.Base(address.Path)
	switch {
	case name == "." || name == "/", strings.HasSuffix(name, partial):
		return "download", nil
	case name == "..", strings.ContainsRune(name, '\\'), strings.ContainsFunc(name, unicode.IsControl), len(name) > 200:
		return "", fmt.Errorf("ends in %q, which is no name for a file", name)
	}
	return name, nil
}

// download is a file on its way from an address.
type download struct {
	*fetch
	name            string
	part, validator string // paths
}

// run asks for the file, or for the rest of it. again says that there is nothing to go on from.
func (d *download) run(ctx context.Context) (again bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := fmt.Errorf("the server has sent nothing for %v", patience)
	silent := time.AfterFunc(patience, func() { cancel(late) })
	defer silent.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.Source.URL, nil)
	if err != nil {
		return false, fmt.Errorf("assets: %s: %w", d.Name, err)
	}
	req.Header.Set("Accept-Encoding", "identity") // places and lengths are those of the file itself
	var have int64
	if info, err := os.Stat(d.part); err == nil && info.Size() > 0 {
		if validator, err := os.ReadFile(d.validator); err == nil && len(validator) > 0 {
			have = info.Size()
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
			req.Header.Set("If-Range", string(validator))
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, late) {
			err = cause
		}
		return false, fmt.Errorf("assets: %s: %w; check the network, or %s", d.Name, err, d.otherWays())
	}
	defer resp.Body.Close()
	flags, total := os.O_CREATE|os.O_WRONLY|os.O_TRUNC, resp.ContentLength
	switch resp.StatusCode {
	case http.StatusOK:
		have = 0
	case http.StatusPartialContent:
		if have == 0 || !goesOn(resp, have, req.Header.Get("If-Range"), &total) {
			return true, nil
		}
		flags = os.O_WRONLY | os.O_APPEND
	case http.StatusRequestedRangeNotSatisfiable:
		if have > 0 {
			return true, nil
		}
		fallthrough
	default:
		return false, fmt.Errorf("assets: %s: %s answers %s; check its url, or %s", d.Name, d.Source.URL, resp.Status,
			d.otherWays())
	}
	if total < 0 && !d.endsKnown(resp) {
		return false, fmt.Errorf("assets: %s: %s does not say how long the file is, so that one cut short would pass for "+
			"whole: give its size or sha256 in sources.json, or %s",
			d.Name, d.Source.URL, d.otherWays())
	}
	if err := enoughSpace(d.Name, d.downloads, max(total-have, keepFree)); err != nil && total != 0 {
		return false, err
	}
	out, err := os.OpenFile(d.part, flags, 0o644)
	if err != nil {
		return false, diskError(d.Name, d.downloads, err)
	}
	// Behind the file's beginning anew, so that an old part has never a new validator.
	if err := os.WriteFile(d.validator, []byte(validatorOf(resp)), 0o644); err != nil {
		out.Close()
		return false, diskError(d.Name, d.downloads, err)
	}
	shown := d.total()
	if shown == 0 && total > 0 {
		shown = total
	}
	done, checked := have, have
	disk := &diskWriter{out: out}
	_, err = io.Copy(io.MultiWriter(disk, counter(func(n int64) {
		silent.Reset(patience)
		done += n
		if total < 0 && disk.err == nil && done-checked > keepFree/4 { // it may have no end
			checked = done
			if disk.err = enoughSpace(d.Name, d.downloads, keepFree); disk.err != nil {
				cancel(disk.err)
			}
		}
		d.progress(done, shown)
	})), resp.Body)
	if e := out.Close(); e != nil && disk.err == nil {
		disk.err = e
	}
	switch {
	case disk.err != nil:
		return false, diskError(d.Name, d.downloads, disk.err)
	case err == nil && total >= 0 && done != total:
		err = io.ErrUnexpectedEOF
		fallthrough
	case err != nil:
		if cause := context.Cause(ctx); errors.Is(cause, late) {
			err = cause
		}
		return false, fmt.Errorf("assets: %s: the download broke off after %d bytes: %w; `loupe fetch %s` goes on from there",
			d.Name, done, err, d.Name)
	}
	return false, nil
}

// goesOn tells whether a part is what comes behind the bytes that are there, of the same file, and sets its total.
func goesOn(resp *http.Response, have int64, validator string, total *int64) bool {
	var from, to, all int64
	said := resp.Header.Get("Content-Range")
	if n, err := fmt.Sscanf(said, "bytes %d-%d/%d", &from, &to, &all); err != nil || n != 3 {
		if n, err := fmt.Sscanf(said, "bytes %d-%d/*", &from, &to); err != nil || n != 2 {
			return false
		}
		all = to + 1
	}
	if from != have || to < from || to+1 != all || resp.ContentLength >= 0 && resp.ContentLength != all-have {
		return false
	}
	if now := validatorOf(resp); now != "" && now != validator {
		return false
	}
	*total = all
	return true
}

// validatorOf is what tells one version of a file from another, as far as the server says it.
func validatorOf(resp *http.Response) string {
	validator := resp.Header.Get("ETag")
	if validator == "" || strings.HasPrefix(validator, "W/") { // a weak one does not go with ranges
		validator = resp.Header.Get("Last-Modified")
	}
	return validator
}

// endsKnown tells whether a file that breaks off would be found out without a length: its pieces have an end, it is an
// archive, which has one, or its files are checked.
func (d *download) endsKnown(resp *http.Response) bool {
	if resp.ProtoMajor > 1 || len(resp.TransferEncoding) > 0 ||
		hasSuffix(d.name, ".zip", ".whl", ".tar.gz", ".tgz", ".deb") {
		return true
	}
	for _, file := range d.Files {
		if file.Size == 0 && file.SHA256 == "" {
			return false
		}
	}
	return len(d.Files) > 0
}
