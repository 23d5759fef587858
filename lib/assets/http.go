package assets

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
)

// partial is the extension of a download that has not ended; beside it lies its validator, which tells
// whether the rest still belongs to it.
const partial = ".part"

// byHTTP downloads an address of the user's own, and goes on where an earlier call was broken off.
func (f *fetch) byHTTP(ctx context.Context) (string, error) {
	address, err := url.Parse(f.Source.URL)
	if err != nil {
		return "", fmt.Errorf("assets: %s: %w", f.Name, err)
	}
	name := path.Base(address.Path)
	if name == "." || name == "/" {
		name = "download"
	}
	whole := filepath.Join(f.downloads, name)
	part, validatorFile := whole+partial, whole+".validator"+partial
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.Source.URL, nil)
	if err != nil {
		return "", fmt.Errorf("assets: %s: %w", f.Name, err)
	}
	var have int64
	if info, err := os.Stat(part); err == nil && info.Size() > 0 {
		if validator, err := os.ReadFile(validatorFile); err == nil && len(validator) > 0 {
			have = info.Size()
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
			req.Header.Set("If-Range", string(validator))
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("assets: %s: %w; check the network, or %s", f.Name, err, f.otherWays())
	}
	defer resp.Body.Close()
	flags := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	switch resp.StatusCode {
	case http.StatusOK:
		have = 0
	case http.StatusPartialContent:
		flags = os.O_WRONLY | os.O_APPEND
	case http.StatusRequestedRangeNotSatisfiable:
		os.Remove(part)
		os.Remove(validatorFile)
		return f.byHTTP(ctx)
	default:
		return "", fmt.Errorf("assets: %s: %s answers %s; check its url, or %s", f.Name, f.Source.URL, resp.Status, f.otherWays())
	}
	validator := resp.Header.Get("ETag")
	if validator == "" || len(validator) > 1 && validator[:2] == "W/" { // a weak one does not go with ranges
		validator = resp.Header.Get("Last-Modified")
	}
	if err := os.WriteFile(validatorFile, []byte(validator), 0o644); err != nil {
		return "", diskError(f.Name, f.downloads, err)
	}
	out, err := os.OpenFile(part, flags, 0o644)
	if err != nil {
		return "", diskError(f.Name, f.downloads, err)
	}
	total := f.total()
	if total == 0 && resp.ContentLength > 0 {
		total = have + resp.ContentLength
	}
	done := have
	disk := &diskWriter{out: out}
	n, err := io.Copy(io.MultiWriter(disk, counter(func(n int64) { done += n; f.progress(done, total) })), resp.Body)
	if e := out.Close(); e != nil && disk.err == nil {
		disk.err = e
	}
	switch {
	case disk.err != nil:
		return "", diskError(f.Name, f.downloads, disk.err)
	case err == nil && resp.ContentLength >= 0 && n != resp.ContentLength:
		err = io.ErrUnexpectedEOF
		fallthrough
	case err != nil:
		return "", fmt.Errorf("assets: %s: the download broke off after %d bytes: %w; `loupe fetch %s` goes on from there", f.Name, have+n, err, f.Name)
	}
	os.Remove(validatorFile)
	if err := os.Rename(part, whole); err != nil {
		return "", diskError(f.Name, f.downloads, err)
	}
	return whole, nil
}
