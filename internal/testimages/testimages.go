// Package testimages decodes the real photographs that tests and their oracles are given. Decoders of JPEG differ in
// the last bit, so the oracles get these pixels (bench/oracles/dump) and not their own.
package testimages

import (
	"archive/zip"
	"fmt"
	"image"
	_ "image/jpeg"
	"path"
	"sort"
	"strconv"
	"strings"
)

// Set is a number of images of one size.
type Set struct {
	Pixels        []float32 // [N, Height, Width, 3] in 0..1
	Names         []string
	Labels        []int
	Height, Width int
}

// CIFAR10 reads the test images of CIFAR-10 from the JPEG archive, sorted by name: every step-th, up to limit of them
// (0 for all).
func CIFAR10(archive string, step, limit int) (Set, error) {
	classes := []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
	return read(archive, step, limit, func(name string) (int, error) {
		folder := path.Base(path.Dir(name))
		for i, c := range classes {
			if c == folder {
				return i, nil
			}
		}
		return 0, fmt.Errorf("%s is in no folder of a class", name)
	})
}

// ImageNet reads the sample of one image a class, whose names start with the class's number.
func ImageNet(archive string, step, limit int) (Set, error) {
	return read(archive, step, limit, func(name string) (int, error) {
		number, _, _ := strings.Cut(path.Base(name), "_")
		return strconv.Atoi(number)
	})
}

func read(archive string, step, limit int, label func(name string) (int, error)) (Set, error) {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return Set{}, err
	}
	defer z.Close()
	var files []*zip.File
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, ".jpg") {
			files = append(files, f)
		}
	}
	sort.Slice(files, func(i, j int) bool { return files[i].Name < files[j].Name })
	var s Set
	for i := 0; i < len(files) && (limit == 0 || len(s.Names) < limit); i += step {
		f := files[i]
		l, err := label(f.Name)
		if err != nil {
			return Set{}, err
		}
		if err := s.add(f); err != nil {
			return Set{}, fmt.Errorf("%s: %w", f.Name, err)
		}
		s.Names, s.Labels = append(s.Names, f.Name), append(s.Labels, l)
	}
	return s, nil
}

func (s *Set) add(f *zip.File) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	img, _, err := image.Decode(r)
	if err != nil {
		return err
	}
	b := img.Bounds()
	if len(s.Names) == 0 {
		s.Height, s.Width = b.Dy(), b.Dx()
	}
	if b.Dy() != s.Height || b.Dx() != s.Width {
		return fmt.Errorf("is %v, the images before are %d x %d", b, s.Height, s.Width)
	}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, b, _ := img.At(x, y).RGBA()
			s.Pixels = append(s.Pixels, float32(r>>8)/255, float32(g>>8)/255, float32(b>>8)/255)
		}
	}
	return nil
}
