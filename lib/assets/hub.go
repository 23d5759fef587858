package assets

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gomlx/go-huggingface/hub"
	"github.com/loupeml/loupe/lib/internal/failure"
)

var hubForm = regexp.MustCompile(
	`^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*(@[A-Za-z0-9][A-Za-z0-9._/-]*)?$`)

// hubAsset makes the entry of a model of a hub. The hub says which files there are and what their sums are.
func hubAsset(name, id string) (Asset, error) {
	if !hubForm.MatchString(id) {
		return Asset{}, fmt.Errorf("assets: %q is no model of a hub: write hf:OWNER/NAME or hf:OWNER/NAME@REVISION", name)
	}
	return Asset{Name: name, Kind: "model", Description: "from a model hub", Licence: "see the hub",
		Source: Source{Hub: id}}, nil
}

// fromHub downloads what loupe can load of a model, checks it, and makes the asset's folder a link
// to it. The files lie in the hub's own cache, which Python's libraries share; HF_ENDPOINT names another
// hub, HF_TOKEN is who asks.
func (f *fetch) fromHub(ctx context.Context) error {
	id, revision, _ := strings.Cut(f.Source.Hub, "@")
	repo := hub.New(id).WithExtraBlobsInfo(true)
	repo.Verbosity = 0
	if revision != "" {
		repo = repo.WithRevision(revision)
	}
	if token := os.Getenv("HF_TOKEN"); token != "" {
		repo = repo.WithAuth(token)
	}
	if err := repo.DownloadInfo(true); err != nil {
		return fmt.Errorf("assets: %s: the model hub does not answer for it (%s); check the name, that the network or the "+
			"hub that HF_ENDPOINT names can be reached, and HF_TOKEN where the model is not public", f.Name, cause(err))
	}
	var infos []*hub.FileInfo
	for info, err := range repo.IterFileInfos() {
		if err != nil {
			return fmt.Errorf("assets: %s: %s", f.Name, failure.FirstLine(err))
		}
		infos = append(infos, info)
	}
	chosen := loadable(infos)
	if len(chosen) == 0 {
		return fmt.Errorf("assets: %s has no file that loupe can load (.safetensors, .onnx, .pth, .pt, .th, .bin)", f.Name)
	}
	sizes := make(map[string]int64)
	var total, done int64
	for _, info := range chosen {
		size := info.Size
		if info.LFS != nil {
			size = info.LFS.Size
		}
		sizes[info.Name] = size
		total += size
	}
	cache, err := repo.CacheDir()
	if err != nil {
		return diskError(f.Name, hub.DefaultCacheDir(), err)
	}
	if err := enoughSpace(f.Name, cache, total); err != nil {
		return err
	}
	snapshot := ""
	for _, info := range chosen {
		stop := watch(cache, done, total, f.progress)
		file, err := repo.DownloadFileCtx(ctx, info.Name)
		stop()
		if err == nil {
			err = hubCheck(file, info, sizes[info.Name])
			if err != nil { // a link to a damaged blob, which would be believed next time
				if blob, e := filepath.EvalSymlinks(file); e == nil {
					os.Remove(blob)
				}
				os.Remove(file)
			}
		}
		if err != nil {
			return fmt.Errorf("assets: %s: %s: %s; `loupe fetch %s` goes on with what is missing", f.Name, info.Name,
				cause(err), f.Name)
		}
		done += sizes[info.Name]
		f.progress(done, total)
		// The file is SNAPSHOT/info.Name.
		snapshot = strings.TrimSuffix(file, string(filepath.Separator)+filepath.FromSlash(path.Clean(info.Name)))
	}
	if err := os.RemoveAll(f.dir); err != nil {
		return diskError(f.Name, f.assets, err)
	}
	if err := os.Symlink(snapshot, f.dir); err != nil {
		return diskError(f.Name, f.assets, err)
	}
	return nil
}

// loadable picks the files to fetch: weights in the safest of the forms there are, and the small files that describe
// them.
func loadable(infos []*hub.FileInfo) []*hub.FileInfo {
	with := func(extensions ...string) []*hub.FileInfo {
		var list []*hub.FileInfo
		for _, i := range infos {
			if slices.Contains(extensions, path.Ext(i.Name)) {
				list = append(list, i)
			}
		}
		return list
	}
	for _, weights := range [][]string{{".safetensors"}, {".onnx"}, {".pth", ".pt", ".th", ".bin"}} {
		if list := with(weights...); len(list) > 0 {
			return append(list, with(".json", ".txt")...)
		}
	}
	return nil
}

func hubCheck(file string, info *hub.FileInfo, size int64) error {
	got, err := os.Stat(file)
	if err != nil {
		return errors.New("the transfer broke off")
	}
	if size > 0 && got.Size() != size {
		return fmt.Errorf("it has %d bytes and should have %d", got.Size(), size)
	}
	if info.LFS == nil || info.LFS.SHA256 == "" {
		return nil
	}
	sum, err := fileSum(file)
	if err != nil {
		return err
	}
	if sum != info.LFS.SHA256 {
		return fmt.Errorf("its sha256 is %s and should be %s", sum, info.LFS.SHA256)
	}
	return nil
}

// cause is what lies behind the chain of calls that an error of the network tells.
func cause(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	return failure.FirstLine(err)
}
