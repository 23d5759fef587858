package jobs

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/internal/scratch"
	"github.com/loupeml/loupe/internal/wholefile"
	"github.com/loupeml/loupe/lib/sweep"
)

// manifest says which files a model or data consist of, so that a worker can tell whether its own are the same.
type manifest struct {
	Files  []sweep.File `json:"files"`
	Folder bool         `json:"folder"` // the files lie below one that is opened
}

func manifestObject(identity string) string { return "manifest." + identity }
func archiveObject(identity string) string  { return "files." + identity }
func labelsObject(labelling string) string  { return "labels." + labelling }

// depot is the coordinator's side: it lays manifests out, and files for the workers that ask for them.
type depot struct {
	subjects
	has    map[string]manifest       // by identity
	labels map[string]sweep.Labelled // by digest
	lock   sync.Mutex
	store  jetstream.ObjectStore // guarded by lock
}

// openDepot lays out the manifests, and how labels are numbered, by their digests.
func openDepot(ctx context.Context, q *queue, manifests map[string]manifest, labels map[string]sweep.Labelled,
	replicas int) (*depot, error) {
	d := &depot{subjects: q.subjects, has: manifests, labels: labels}
	return d, d.open(ctx, q, replicas)
}

// open lays them out on a server that does not have them.
func (d *depot) open(ctx context.Context, q *queue, replicas int) error {
	d.lock.Lock()
	defer d.lock.Unlock()
	store, err := q.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: q.files(), Replicas: replicas})
	if err != nil {
		return noJetStream(err)
	}
	put := func(name string, v any) error {
		if _, err := store.GetInfo(ctx, name); err == nil {
			return nil // its name says what it is
		}
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, flate.BestSpeed) // a level that there is
		if err := json.NewEncoder(w).Encode(v); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		within, cancel := context.WithTimeout(ctx, 5*time.Minute)
		defer cancel()
		if _, err := store.PutBytes(within, name, b.Bytes()); err != nil {
			return fmt.Errorf("jobs: a list of files cannot be handed out: %w", err)
		}
		return nil
	}
	for identity, m := range d.has {
		if err := put(manifestObject(identity), m); err != nil {
			return err
		}
	}
	for labelling, l := range d.labels {
		if err := put(labelsObject(labelling), l); err != nil {
			return err
		}
	}
	d.store = store
	return nil
}

// finalHeader is in an answer that will be the same however often one asks.
const finalHeader = "Loupe-Final"

// serve answers workers that lack files. An answer is empty where the files are laid out, else why they are not.
func (d *depot) serve(ctx context.Context, conn *nats.Conn) (*nats.Subscription, error) {
	return conn.Subscribe(d.need(), func(m *nats.Msg) {
		go func() {
			answer := nats.NewMsg("")
			if err := d.lay(ctx, string(m.Data)); err != nil {
				answer.Data = []byte(err.Error())
				var unlike unlikePlanned
				if errors.As(err, &unlike) {
					answer.Header.Set(finalHeader, "1")
				}
			}
			m.RespondMsg(answer) // whoever does not hear it asks again
		}()
	})
}

// unlikePlanned is an error of files that are not as they were when the sweep was planned.
type unlikePlanned struct{ error }

func (u unlikePlanned) Unwrap() error { return u.error }

// lay puts the files of a model or of data where workers can get them.
func (d *depot) lay(ctx context.Context, identity string) error {
	d.lock.Lock() // one at a time
	defer d.lock.Unlock()
	m, ok := d.has[identity]
	if !ok {
		return unlikePlanned{errors.New("the sweep has no such files any more")}
	}
	if _, err := d.store.GetInfo(ctx, archiveObject(identity)); err == nil {
		return nil
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(pack(w, m.Files)) }()
	ctx, cancel := carried(ctx, m.Files)
	defer cancel()
	_, err := d.store.Put(ctx, jetstream.ObjectMeta{Name: archiveObject(identity)}, r)
	r.CloseWithError(err)
	return err
}

// pack writes files as a tar archive; names are numbers in the manifest.
func pack(w io.Writer, files []sweep.File) error {
	t := tar.NewWriter(w)
	for i, f := range files {
		if err := packOne(t, i, f); err != nil {
			return err
		}
	}
	return t.Close()
}

func packOne(t *tar.Writer, i int, f sweep.File) error {
	file, err := os.Open(f.Path)
	if err != nil {
		return unlikePlanned{err}
	}
	defer file.Close()
	if err := t.WriteHeader(&tar.Header{Name: fmt.Sprint(i), Mode: 0o600, Size: f.Size}); err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(t, h), io.LimitReader(file, f.Size))
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	if n < f.Size || hex.EncodeToString(h.Sum(nil)) != f.Digest {
		return unlikePlanned{fmt.Errorf("%s has changed since the sweep was planned", f.Path)}
	}
	return nil
}

// fetcher is a worker's side: it finds files here, or gets them.
type fetcher struct {
	subjects
	js     jetstream.JetStream
	cache  string // the folder that fetched files go to
	say    func(format string, args ...any)
	listed map[string]manifest
	found  map[string]sweep.Local
	labels map[string]sweep.Labelled
}

// outOfReach is an error that says nothing of the cell: whoever meets it waits.
type outOfReach struct{ error }

func (e outOfReach) Unwrap() error { return e.error }

// patiently does something again until it is no longer out of reach.
func (f *fetcher) patiently(ctx context.Context, do func() error) error {
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		err := do()
		var away outOfReach
		if !errors.As(err, &away) {
			return err
		}
		f.say("%v: trying again", err)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// manifest is what files a model or data consist of.
func (f *fetcher) manifest(ctx context.Context, identity string) (m manifest, err error) {
	if m, ok := f.listed[identity]; ok {
		return m, nil
	}
	if err := f.object(ctx, manifestObject(identity), &m); err != nil {
		return m, err
	}
	f.listed[identity] = m
	return m, nil
}

// labelled is how labels are numbered.
func (f *fetcher) labelled(ctx context.Context, labelling string) (l sweep.Labelled, err error) {
	if l, ok := f.labels[labelling]; ok {
		return l, nil
	}
	if err := f.object(ctx, labelsObject(labelling), &l); err != nil {
		return l, err
	}
	f.labels[labelling] = l
	return l, nil
}

// object reads what the coordinator has laid out under a name.
func (f *fetcher) object(ctx context.Context, name string, into any) error {
	var raw []byte
	err := f.patiently(ctx, func() error {
		within, cancel := context.WithTimeout(ctx, 5*time.Minute)
		defer cancel()
		store, err := f.js.ObjectStore(within, f.files())
		if err == nil {
			raw, err = store.GetBytes(within, name)
		}
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			return errors.New("the sweep is no longer on the server")
		}
		if err != nil {
			return outOfReach{fmt.Errorf("what the sweep says of its files is out of reach: %w", err)}
		}
		return nil
	})
	if err != nil {
		return err
	}
	const most = 1 << 30
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(raw)), most))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("what the sweep says of its files is damaged: %w", err)
	}
	return nil
}

// local finds the files of a model or of data, and gets them where they are not here.
func (f *fetcher) local(ctx context.Context, identity, path string) (at sweep.Local, err error) {
	if at, ok := f.found[identity]; ok {
		return at, nil
	}
	m, err := f.manifest(ctx, identity)
	if err != nil {
		return at, err
	}
	at.Path = path // where there are no files, it is a name that each worker fetches for itself
	if different := differing(m.Files); different == "" {
		for _, file := range m.Files {
			at = at.With(file, file.Path)
		}
	} else if at, err = f.fetched(ctx, identity, m); err != nil {
		return at, fmt.Errorf("%s is not here as the sweep has it, and could not be got: %w", different, err)
	}
	f.found[identity] = at
	return at, nil
}

// differing is the first file that is not here as it was where the sweep was planned; empty if all are.
func differing(files []sweep.File) string {
	for _, file := range files {
		info, err := os.Stat(file.Path)
		if err != nil || !info.Mode().IsRegular() || info.Size() != file.Size {
			return file.Path
		}
		if info.ModTime().UnixNano() == file.Modified {
			continue
		}
		if digest, err := wholefile.Digest(file.Path); err != nil || digest != file.Digest {
			return file.Path
		}
	}
	return ""
}

// fetched are the files in the cache, which they are got into where they are not there.
func (f *fetcher) fetched(ctx context.Context, identity string, m manifest) (at sweep.Local, err error) {
	if !isHex(identity) {
		return at, fmt.Errorf("its identity %q is none", identity)
	}
	folder := filepath.Join(f.cache, identity)
	at.Path = filepath.Join(folder, roleFolder(""))
	var total int64
	for i, file := range m.Files {
		below, err := placeOf(file)
		if err != nil {
			return at, err
		}
		at = at.With(file, filepath.Join(folder, below))
		if i == 0 && !m.Folder {
			at.Path = filepath.Join(folder, below)
		}
		total += file.Size
	}
	if _, err := os.Stat(folder); err == nil {
		damaged := differing(placed(folder, m.Files))
		if damaged == "" {
			return at, nil
		}
		f.say("%s has changed since it was got: getting all of it again", damaged)
		if err := discard(f.cache, folder); err != nil {
			return at, err
		}
	}
	f.say("getting %s, %.1f MB", plural.Of(len(m.Files), "file"), float64(total)/1e6)
	return at, f.patiently(ctx, func() error { return f.fetch(ctx, identity, folder, m.Files) })
}

// never is when no file was changed, so that it is told by its contents whether it is the same.
const never = math.MinInt64

// placed are files as they lie below a folder of the cache.
func placed(folder string, files []sweep.File) []sweep.File {
	here := slices.Clone(files)
	for i, file := range here {
		below, err := placeOf(file)
		if err != nil {
			below = "" // a folder, which is no such file
		}
		here[i].Path, here[i].Modified = filepath.Join(folder, below), never
	}
	return here
}

// begin makes a folder in the cache for what is not whole yet.
func begin(cache string) (string, error) {
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	scratch.CleanIn(cache, partKind) // of workers that were killed
	return os.MkdirTemp(cache, scratch.Name(partKind))
}

const partKind = "part-"

// discard takes a folder out of the cache, at once for others that look for it.
func discard(cache, folder string) error {
	aside, err := begin(cache)
	if err != nil {
		return err
	}
	defer os.RemoveAll(aside)
	if err := os.Rename(folder, filepath.Join(aside, "discarded")); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// fetch gets files into a folder. They come into one beside it at first, so that what is there is whole. What another
// try may mend is an error out of reach.
func (f *fetcher) fetch(ctx context.Context, identity, folder string, files []sweep.File) error {
	for { // until they are laid out, which takes its time
		reply, err := f.js.Conn().Request(f.need(), []byte(identity), 10*time.Second)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, nats.ErrTimeout) {
			continue
		}
		if err != nil {
			return outOfReach{fmt.Errorf("the coordinator, which has the files, does not answer: %w", err)}
		}
		if len(reply.Data) == 0 {
			break
		}
		err = fmt.Errorf("the coordinator says: %s", inALine(string(reply.Data)))
		if reply.Header.Get(finalHeader) == "" {
			err = outOfReach{err}
		}
		return err
	}
	store, err := f.js.ObjectStore(ctx, f.files())
	if err != nil {
		return outOfReach{err}
	}
	within, cancel := carried(ctx, files)
	defer cancel()
	object, err := store.Get(within, archiveObject(identity))
	if err != nil {
		return outOfReach{err}
	}
	defer object.Close()
	begun, err := begin(f.cache)
	if err != nil {
		return err
	}
	defer os.RemoveAll(begun)
	from := &source{Reader: object}
	if err := unpack(from, begun, files); err != nil {
		if from.failed != nil {
			return outOfReach{from.failed}
		}
		return err
	}
	if err := os.Rename(begun, folder); err != nil {
		if _, there := os.Stat(folder); there != nil { // or else another worker was first
			return err
		}
	}
	return nil
}

// source knows whether it was the reading that failed.
type source struct {
	io.Reader
	failed error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.failed = err
	}
	return n, err
}

// carried gives files as long as they take on a network of 50 kB a second. Without a deadline of its own, what is
// asked of an object store ends after a few seconds.
func carried(ctx context.Context, files []sweep.File) (context.Context, context.CancelFunc) {
	var total int64
	for _, f := range files {
		total += f.Size
	}
	return context.WithTimeout(ctx, time.Minute+time.Duration(total/50e3)*time.Second)
}

// unpack writes the files of an archive and checks that they are those that are listed.
func unpack(r io.Reader, folder string, files []sweep.File) error {
	t := tar.NewReader(r)
	for i, file := range files {
		header, err := t.Next()
		if err != nil {
			return err
		}
		if header.Name != fmt.Sprint(i) || header.Size != file.Size {
			return fmt.Errorf("%s came as %q with %d bytes, and has %d", file.Name, header.Name, header.Size, file.Size)
		}
		below, err := placeOf(file)
		if err != nil {
			return err
		}
		path := filepath.Join(folder, below)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		// The disk need not have it before the next one is written: whoever uses it looks at its contents first.
		to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(io.MultiWriter(to, h), t)
		if err := errors.Join(err, to.Close()); err != nil {
			return err
		}
		if hex.EncodeToString(h.Sum(nil)) != file.Digest {
			return fmt.Errorf("%s came with other contents than the sweep has", file.Name)
		}
	}
	return nil
}

// placeOf is where a file goes below the folder of what it belongs to.
func placeOf(file sweep.File) (string, error) {
	name := filepath.FromSlash(file.Name)
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("a file is called %q, which leads out of its folder", file.Name)
	}
	return filepath.Join(roleFolder(file.Role), name), nil
}

// roleFolder keeps a table of labels apart from pictures beside which it would be a file too many.
func roleFolder(role string) string {
	switch role {
	case sweep.LabelsRole, sweep.NamesRole:
		return role
	}
	return "files"
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && s != ""
}
