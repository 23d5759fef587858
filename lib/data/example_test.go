package data_test

import (
	"archive/zip"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// folder has two grey pictures of cats and one of a dog, each in a folder of its class.
func folder() string {
	dir := must(os.MkdirTemp("", "photos"))
	for _, name := range []string{"cat/1.png", "cat/2.png", "dog/3.png"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			panic(err)
		}
		img := image.NewGray(image.Rect(0, 0, 16, 12))
		img.Set(3, 3, color.White)
		f := must(os.Create(path))
		if err := png.Encode(f, img); err != nil {
			panic(err)
		}
		f.Close()
	}
	return dir
}

func ExampleOpen() {
	dir := folder() // in place of a name, such as "mnist", or of your own folder or archive
	defer os.RemoveAll(dir)
	photos := must(data.Open(dir))
	fmt.Println(photos.Len(), "images of", photos.Classes(), photos.Labels())
	// Output: 3 images of [cat dog] [0 0 1]
}

func ExampleFolder() {
	dir := folder()
	defer os.RemoveAll(dir)
	photos := must(data.Folder(dir, data.Options{Label: func(name string) int { return data.LastNumber(name) }}))
	fmt.Println(photos.Labels())
	// Output: [1 2 3]
}

func ExampleFiles() {
	dir := folder()
	defer os.RemoveAll(dir)
	fmt.Println(must(data.Files(filepath.Join(dir, "cat/1.png"))).Len(), "image")
	// Output: 1 image
}

func ExampleFromTensor() {
	pixels := tensors.FromScalarAndDimensions(float32(0.5), 2, 8, 8, 3) // [N, H, W, C] in 0..1
	photos := must(data.FromTensor(pixels, []int{1, 0}, []string{"cat", "dog"}))
	fmt.Println(photos.ClassName(0), photos.ClassName(1))
	// Output: dog cat
}

// Pictures of several sizes are brought to one, as torchvision and Pillow do.
func ExampleDataset_Map() {
	dir := folder()
	defer os.RemoveAll(dir)
	photos := must(data.Open(dir)).Map(data.RGB(), data.ResizeShorter(8), data.CenterCrop(8, 8))
	fmt.Println(must(photos.All()).Shape().Dimensions)
	// Output: [3 8 8 3]
}

func ExampleDataset_Shuffle() {
	dir := folder()
	defer os.RemoveAll(dir)
	photos := must(data.Open(dir)).Shuffle(1) // the same seed gives the same order again
	fmt.Println(photos.Take(2).Len(), photos.Skip(2).Len(), photos.OfClass(0).Len())
	// Output: 2 1 2
}

func ExampleDataset_Split() {
	dir := folder()
	defer os.RemoveAll(dir)
	first, second := must(data.Open(dir)).Split(0.5, 1)
	fmt.Println(first.Len()+second.Len(), "images")
	// Output: 3 images
}

func ExampleLastNumber() {
	fmt.Println(data.LastNumber("cifar10_03_7.png"), data.LeadingNumber("0004_shark.jpg"))
	// Output: 7 4
}

func ExampleResize() {
	dir := folder()
	defer os.RemoveAll(dir)
	fmt.Println(must(must(data.Open(dir)).Map(data.Resize(4, 6)).All()).Shape().Dimensions)
	// Output: [3 4 6 3]
}

func ExampleMeanPool() {
	dir := folder()
	defer os.RemoveAll(dir)
	fmt.Println(must(must(data.Open(dir)).Map(data.MeanPool(2)).All()).Shape().Dimensions)
	// Output: [3 6 8 3]
}

func ExampleLeadingNumber() {
	fmt.Println(data.LeadingNumber("0004_shark.jpg"), data.LeadingNumber("shark.jpg"))
	// Output: 4 -1
}

func ExampleResizeShorter() {
	dir := folder()
	defer os.RemoveAll(dir)
	photos := must(data.Open(dir)).Map(data.ResizeShorter(6)) // of 12 x 16 pixels
	fmt.Println(must(photos.All()).Shape().Dimensions)
	// Output: [3 6 8 3]
}

func ExampleCenterCrop() {
	dir := folder()
	defer os.RemoveAll(dir)
	fmt.Println(must(must(data.Open(dir)).Map(data.CenterCrop(4, 4)).All()).Shape().Dimensions)
	// Output: [3 4 4 3]
}

func ExampleResizeBy() {
	dir := folder()
	defer os.RemoveAll(dir)
	small := must(data.Open(dir)).Map(data.ResizeBy(4, 6, data.Bicubic))
	fmt.Println(must(small.All()).Shape().Dimensions)
	// Output: [3 4 6 3]
}

func ExampleRGB() {
	grey := must(data.FromTensor(tensors.FromScalarAndDimensions(float32(0.5), 2, 8, 8, 1), []int{0, 1}, nil))
	fmt.Println(must(grey.Map(data.RGB()).All()).Shape().Dimensions)
	// Output: [2 8 8 3]
}

func ExampleZip() {
	dir := folder()
	defer os.RemoveAll(dir)
	file := must(os.Create(filepath.Join(dir, "photos.zip")))
	defer file.Close()
	archive := zip.NewWriter(file)
	photo := must(os.ReadFile(filepath.Join(dir, "cat", "1.png")))
	must(must(archive.Create("dog/8.png")).Write(photo))
	if err := archive.Close(); err != nil {
		panic(err)
	}
	photos := must(data.Zip(file.Name(), data.Options{Label: func(name string) int { return data.LastNumber(name) }}))
	fmt.Println(photos.Len(), "image,", photos.Labels())
	// Output: 1 image, [8]
}
