// Package issues asks what is wrong with the pictures of a dataset, whatever a model makes of them.
//
//	found, err := issues.Find(photos, issues.Options{Model: m})
//	found.Of("dark")
//
// One pass over the dataset finds pictures that are there twice, nearly or exactly, dark, light, blurry and empty ones,
// those of an odd size or shape, and by a model's features those that are far from all others. Names, scores and
// thresholds are those of the packages cleanvision 0.3.7 and, for what features tell, cleanlab 2.9.0 (Datalab): a score
// lies in 0..1, and the lower, the worse. Where this departs from them, the kind's comment says so.
package issues

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Kind is what may be wrong with a picture.
type Kind string

const (
	// ExactDuplicates are pictures whose size and pixels are the same as others'. The score is 1 over how many there
	// are of it. cleanvision compares the pixels without the size.
	ExactDuplicates Kind = "exact_duplicates"
	// NearDuplicates are pictures that look as others do, whatever their size and format: their perceptual hash is the
	// same, the signs of the 64 lowest frequencies of the picture in grey at 32 x 32 pixels. The score is 1 over how
	// many there are. A set that is one of exact duplicates is left out.
	NearDuplicates Kind = "near_duplicates"
	// Dark is of pictures whose 99th percentile of brightness, the score, lies below 0.32. The brightness of a pixel is
	// √(0.241 R² + 0.691 G² + 0.068 B²).
	Dark Kind = "dark"
	// Light is of pictures whose 5th percentile of brightness lies above 0.95; the score is 1 less that.
	Light Kind = "light"
	// Blurry is of pictures whose score lies below 0.29: 1 - exp(-σ/100) of the standard deviation σ of their edges at 64
	// pixels and, added to it where it is more than 0.18, the same of the standard deviation of how often each of 256
	// tones occurs. So a drawing of a few tones is not blurry, however few its edges are.
	Blurry Kind = "blurry"
	// LowInformation is of pictures whose entropy of values lies below 3 bits; the score is a tenth of it. A picture
	// whose channels are all equal has one channel here; to cleanvision only where the file says so.
	LowInformation Kind = "low_information"
	// Grayscale is of pictures whose channels are all equal; the score is 0 or 1. cleanvision goes by what the file
	// says it is.
	Grayscale Kind = "grayscale"
	// OddSize is of pictures whose size, the root of their area, is far from the others': outside of the quartiles by
	// more than three times the distance between them. The score is 1 less how far the size is from the middle of that
	// range, over its width, and the threshold 0.5. Where half of the pictures have one size, each other size is odd.
	OddSize Kind = "odd_size"
	// OddAspectRatio is of pictures whose shorter side is less than 0.35 of the longer one; the score is that share.
	OddAspectRatio Kind = "odd_aspect_ratio"

	// Outlier is of pictures whose features are far from the nearest others', by the mean of 1 - cosine over the ten
	// nearest: more than the third quartile and 1/0.37037 - 1 of the distance between the quartiles. The score is
	// exp(-mean/median of the means). It needs a model. Features of up to three numbers are compared by their cosine
	// too; cleanlab takes their distance.
	Outlier Kind = "outlier"
	// NearDuplicatesByFeatures are pictures whose features are nearer to each other's than 0.13 of the median distance
	// of a picture from its nearest: Datalab's near_duplicate. The score is 1 - exp(-distance/median). It needs a
	// model.
	NearDuplicatesByFeatures Kind = "near_duplicates_by_features"
)

// ofPictures are the kinds that are found without a model, and ofFeatures those that need one.
var (
	ofPictures = []Kind{ExactDuplicates, NearDuplicates, Dark, Light, Blurry, LowInformation, Grayscale, OddSize,
		OddAspectRatio}
	ofFeatures = []Kind{Outlier, NearDuplicatesByFeatures}
)

// thresholds are the scores below which pictures of a kind are an issue, where a kind has one. Those of [ofFeatures]
// are not scores: see there.
var thresholds = map[Kind]float64{
	Dark: 0.32, Light: 0.05, Blurry: 0.29, LowInformation: 0.3, OddSize: 0.5, OddAspectRatio: 0.35,
	Outlier: 0.37037, NearDuplicatesByFeatures: 0.13,
}

// Options says what is looked for, and by what.
type Options struct {
	// Model is asked for features; nil leaves out what needs them. The dataset is given as it was opened: the model's
	// preparation is applied to a picture once it has been looked at.
	Model *model.Model
	// Kinds are what is looked for; nil means all, of those that need a model only where there is one.
	Kinds []Kind
	// Thresholds replace those of the kinds.
	Thresholds map[Kind]float64
	// Neighbors is how many nearest pictures tell an outlier; 0 means 10, or all others where there are fewer.
	Neighbors int
}

// check fills in what is not said.
func (o *Options) check() error {
	all := slices.Concat(ofPictures, ofFeatures)
	if o.Kinds == nil {
		if o.Kinds = all; o.Model == nil {
			o.Kinds = ofPictures
		}
	}
	if len(o.Kinds) == 0 {
		return fmt.Errorf("issues: no kind of issue is looked for: leave Kinds out for all of them")
	}
	for i, kind := range o.Kinds {
		switch {
		case !slices.Contains(all, kind):
			return unknown(kind, all)
		case slices.Contains(o.Kinds[:i], kind):
			return fmt.Errorf("issues: %s is named twice", kind)
		case o.Model == nil && slices.Contains(ofFeatures, kind):
			return fmt.Errorf("issues: %s is told by a model's features: set Options.Model", kind)
		}
	}
	limits := maps.Clone(thresholds)
	for kind, limit := range o.Thresholds {
		if _, has := thresholds[kind]; !has && slices.Contains(all, kind) {
			return fmt.Errorf("issues: %s has no threshold: a picture is or is not", kind)
		} else if !has {
			return unknown(kind, all)
		}
		if !(limit >= 0 && limit <= 1) || kind == Outlier && limit == 0 {
			return fmt.Errorf("issues: the threshold of %s is %v: it lies between 0 and 1", kind, limit)
		}
		limits[kind] = limit
	}
	o.Thresholds = limits
	if o.Neighbors == 0 {
		o.Neighbors = 10
	}
	if o.Neighbors < 1 {
		return fmt.Errorf("issues: %d nearest pictures: there is one at least", o.Neighbors)
	}
	return nil
}

func unknown(kind Kind, all []Kind) error {
	var names []string
	for _, k := range all {
		names = append(names, string(k))
	}
	return fmt.Errorf("issues: there is no kind of issue %q%s; the kinds are %q", kind,
		nearest.DidYouMean(string(kind), names), names)
}

// Find looks at every picture of a dataset once, a batch at a time. A picture that cannot be read is an error that
// names it: open the dataset with data.Options{OnBad: data.Skip} to leave such out. With a model the features of all
// pictures are held, [N, D] float32.
//
// Interrupted, it returns what there is to say of the pictures that are done beside the error, without what features
// tell; nil if none is.
func Find(ds *data.Dataset, o Options) (*Issues, error) {
	if ds == nil {
		return nil, fmt.Errorf("issues: there is no dataset: it is nil")
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if ds.Len() == 0 {
		return nil, fmt.Errorf("issues: %s has no images", ds.Title())
	}
	if name, how := ds.PreparedFor(); name != "" {
		return nil, fmt.Errorf(
			"issues: %s was prepared for %s (%s), which hides what its pictures are like: give it as it was opened",
			ds.Title(), name, how)
	}
	looked, stopped := look(ds, o)
	if stopped != nil && (!interrupt.Is(stopped) || len(looked.seen) == 0) {
		return nil, stopped
	}
	r := &Issues{ds: ds, n: len(looked.seen), thresholds: o.Thresholds, of: map[Kind]*marks{}}
	for _, kind := range o.Kinds {
		if slices.Contains(ofPictures, kind) {
			r.kinds = append(r.kinds, kind)
			r.of[kind] = looked.marks(kind, o.Thresholds[kind])
		}
	}
	if stopped != nil || len(r.kinds) == len(o.Kinds) {
		return r, stopped
	}
	byFeatures, err := looked.neighbors(o)
	if interrupt.Is(err) {
		return r, interrupt.After(err, "issues: what features tell of "+ds.Title()+", which is left out", r.n, r.n, "images")
	}
	if err != nil {
		return nil, err
	}
	for _, kind := range o.Kinds {
		if slices.Contains(ofFeatures, kind) {
			r.kinds = append(r.kinds, kind)
			r.of[kind] = byFeatures[kind]
		}
	}
	return r, nil
}

// looked is what has been seen of pictures.
type looked struct {
	seen     []seen
	features []float32 // [N, D]; nil without a model
}

// part is a batch of pictures that has been looked at.
type part struct {
	seen     []seen
	prepared *tensors.Tensor // as the model wants them; nil without one
	err      error
}

// look goes through the pictures. While the model is asked about a batch, the next is read.
func look(ds *data.Dataset, o Options) (l looked, stopped error) {
	n, size := ds.Len(), 64
	if o.Model != nil {
		size = o.Model.ChunkSize(n)
	}
	work := "issues: looking at " + ds.Title()
	bar := progress.New(work, n)
	defer bar.Close()
	defer interrupt.Busy(work)()
	read := func(lo int) chan part {
		done := make(chan part, 1)
		go func() { done <- readPart(work, ds, o.Model, lo, min(lo+size, n)) }()
		return done
	}
	next := read(0)
	for lo := 0; lo < n; lo += size {
		now := <-next
		if now.err == nil {
			now.err = interrupt.Err()
		}
		if now.err != nil {
			return l, interrupt.After(now.err, work, lo, n, "images")
		}
		if lo+size < n {
			next = read(lo + size)
		}
		if o.Model != nil {
			features, err := featuresOf(o.Model, now.prepared, lo)
			if err != nil {
				return l, interrupt.After(err, work, lo, n, "images")
			}
			l.features = append(l.features, features...)
		}
		l.seen = append(l.seen, now.seen...)
		bar.Add(len(now.seen))
	}
	return l, nil
}

// readPart looks at the pictures from lo to hi (excluded), several at a time.
func readPart(work string, ds *data.Dataset, m *model.Model, lo, hi int) part {
	p := part{seen: make([]seen, hi-lo)}
	var preparation []data.Transform
	if m != nil {
		preparation = m.Prepare()
	}
	prepared := make([]data.Image, hi-lo)
	_, p.err = parallel.Each(work, hi-lo, func(i int) error {
		img, err := ds.Image(lo + i)
		if err != nil {
			return err
		}
		if p.seen[i], err = see(img); err != nil {
			return fmt.Errorf("issues: %s: %w", ds.Name(lo+i), err)
		}
		for _, t := range preparation {
			if img, err = t.Apply(img); err != nil {
				return fmt.Errorf("issues: %s: %s: %w", ds.Name(lo+i), t.Name, err)
			}
		}
		prepared[i] = img
		return nil
	})
	if p.err != nil || m == nil {
		return p
	}
	first := prepared[0]
	var flat []float32
	for _, img := range prepared { // of one size, which the model's preparation makes
		flat = append(flat, img.Pix...)
	}
	if len(flat) != len(prepared)*len(first.Pix) {
		p.err = fmt.Errorf("issues: what %s is prepared for %s to is not of one size", ds.Title(), m.Name())
		return p
	}
	p.prepared = tensors.FromFlatDataAndDimensions(flat, len(prepared), first.Height, first.Width, first.Channels)
	return p
}

// featuresOf asks a model about a batch, whose first picture has the number lo.
func featuresOf(m *model.Model, images *tensors.Tensor, lo int) ([]float32, error) {
	t, err := m.Features(images)
	if err != nil {
		return nil, err
	}
	flat, err := tensors.CopyFlatData[float32](t)
	if err != nil {
		return nil, fmt.Errorf("issues: %w", err)
	}
	d := len(flat) / t.Shape().Dimensions[0]
	for i, v := range flat {
		if v-v != 0 { // no finite number
			return nil, fmt.Errorf("issues: feature %d of image %d is %v: %s overflows on it", i%d, lo+i/d, v, m.Name())
		}
	}
	return flat, nil
}

// marks are what is said of all pictures of one kind of issue.
type marks struct {
	scores []float64
	is     []bool
	sets   [][]int // of duplicates, by their first picture
}

// below marks the pictures whose score lies below a limit.
func below(scores []float64, limit float64) *marks {
	m := &marks{scores: scores, is: make([]bool, len(scores))}
	for i, score := range scores {
		m.is[i] = score < limit
	}
	return m
}

// marks are those of a kind that needs no model.
func (l looked) marks(kind Kind, limit float64) *marks {
	scores := make([]float64, len(l.seen))
	of := func(score func(s seen) float64) []float64 {
		for i, s := range l.seen {
			scores[i] = score(s)
		}
		return scores
	}
	switch kind {
	case ExactDuplicates:
		return duplicates(l.exact())
	case NearDuplicates:
		exact := l.exact()
		near := groups(len(l.seen), func(i int) uint64 { return l.seen[i].look })
		for i, set := range near {
			if slices.Equal(set, exact[i]) {
				near[i] = nil
			}
		}
		return duplicates(near)
	case Dark:
		return below(of(func(s seen) float64 { return s.bright99 }), limit)
	case Light:
		return below(of(func(s seen) float64 { return 1 - s.bright5 }), limit)
	case Blurry:
		return below(of(seen.sharpness), limit)
	case LowInformation:
		return below(of(func(s seen) float64 { return min(s.entropy/10, 1) }), limit)
	case Grayscale:
		return below(of(func(s seen) float64 {
			if s.gray {
				return 0
			}
			return 1
		}), 1)
	case OddAspectRatio:
		return below(of(func(s seen) float64 {
			w, h := float64(s.width), float64(s.height)
			return min(w/h, h/w)
		}), limit)
	}
	return oddSizes(of(func(s seen) float64 { return math.Sqrt(float64(s.width)) * math.Sqrt(float64(s.height)) }), limit)
}

func (l looked) exact() [][]int {
	return groups(len(l.seen), func(i int) [32]byte { return l.seen[i].pixels })
}

// groups are the sets of two and more that have one key, each at the place of its first, and nil elsewhere.
func groups[K comparable](n int, key func(i int) K) [][]int {
	first, sets := map[K]int{}, make([][]int, n)
	for i := range n {
		at, known := first[key(i)]
		if !known {
			at, first[key(i)] = i, i
		}
		sets[at] = append(sets[at], i)
	}
	for i, set := range sets {
		if len(set) < 2 {
			sets[i] = nil
		}
	}
	return sets
}

// duplicates marks the pictures of sets, which are nil in between.
func duplicates(sets [][]int) *marks {
	m := &marks{scores: slices.Repeat([]float64{1}, len(sets)), is: make([]bool, len(sets))}
	for _, set := range sets {
		if set == nil {
			continue
		}
		m.sets = append(m.sets, set)
		for _, i := range set {
			m.scores[i], m.is[i] = 1/float64(len(set)), true
		}
	}
	return m
}

// oddSizes scores sizes by the range about their quartiles.
func oddSizes(sizes []float64, limit float64) *marks {
	const factor = 3
	low, high := percentile(sizes, 25), percentile(sizes, 75)
	width := (1 + 2*factor) * (high - low)
	middle := (low + high) / 2
	if width == 0 {
		width, limit = middle, 1
	}
	for i, size := range sizes {
		sizes[i] = 1 - min(math.Abs(size-middle)/width, 1)
	}
	return below(sizes, limit)
}

// percentile is that of values, interpolated as NumPy does.
func percentile(values []float64, percent float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := percent / 100 * float64(len(sorted)-1)
	lo := int(at)
	return sorted[lo] + (at-float64(lo))*(sorted[min(lo+1, len(sorted)-1)]-sorted[lo])
}
