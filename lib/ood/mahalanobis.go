package ood

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/model"
)

// Mahalanobis measures how far an image's features f are from the nearest class, by the covariance that all classes
// share:
//
//	min_k (f - μ_k)ᵀ Σ⁻¹ (f - μ_k),  Σ = 1/N (Σ_i (f_i - μ_{y_i}) (f_i - μ_{y_i})ᵀ + 10⁻⁶ I)
//
// Lee, Lee, Lee and Shin, "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial
// Attacks", NeurIPS 2018, sections 2.1 and 2.2, of the last layer's features alone. The 10⁻⁶, of which the paper does
// not speak, is pytorch-ood's: features that are 0 for all known images have no variance else. That package leaves out
// the 1/N and takes half the distance: its scores are these over 2N.
type Mahalanobis struct {
	// Epsilon, unless 0, is by how much each pixel, in 0..1, is moved first so that the image comes nearer to its
	// class, as [ODIN] does: section 2.2 of the paper. pytorch-ood's MahalanobisODIN has 0.002. It takes a second pass.
	Epsilon float64

	m          *model.Model
	examples   int
	covariance *mat.Cholesky
	lower      *mat.TriDense // L of Σ = L Lᵀ
	means      *mat.Dense    // [classes that an image is of, D]
	centres    *mat.Dense    // L⁻¹ of each mean
}

// FitMahalanobis takes means and covariance from labelled images that the model was trained on, or others like these.
// Images without a label do not count, and no image is compared with a class that has none. It holds the features of
// all images, [N, D] float32, while it fits. It is an error if the model names no features.
func FitMahalanobis(m *model.Model, known model.Labeled) (*Mahalanobis, error) {
	labels, err := m.LabelsOf(known)
	if err != nil {
		return nil, err
	}
	f, err := featuresOf(m, known)
	if err != nil {
		return nil, err
	}
	d := &Mahalanobis{m: m}
	at, classes := make([]int, m.NumClasses()), 0 // the row of each class, from 1
	for _, label := range labels {
		if label < 0 {
			continue
		}
		d.examples++
		if at[label] == 0 {
			classes++
			at[label] = classes
		}
	}
	if d.examples == 0 {
		return nil, fmt.Errorf("ood: none of the %d known images has a label, and Mahalanobis takes the mean of each "+
			"class: take FitKNN, which needs none", f.n)
	}
	d.means = mat.NewDense(classes, f.d, nil)
	counts := make([]float64, classes)
	for i, label := range labels {
		if label < 0 {
			continue
		}
		counts[at[label]-1]++
		mean := d.means.RawRowView(at[label] - 1)
		for j, v := range f.row(i) {
			mean[j] += float64(v)
		}
	}
	for k, n := range counts {
		for j := range f.d {
			d.means.RawRowView(k)[j] /= n
		}
	}
	scatter := mat.NewSymDense(f.d, nil)
	f.blocks(func(lo int, x *mat.Dense) {
		rows, _ := x.Dims()
		for i := range rows {
			row := x.RawRowView(i)
			label := labels[lo+i]
			for j := range row {
				if label < 0 {
					row[j] = 0
				} else {
					row[j] -= d.means.At(at[label]-1, j)
				}
			}
		}
		scatter.SymRankK(scatter, 1, x.T())
	})
	const ridge = 1e-6
	for j := range f.d {
		scatter.SetSym(j, j, scatter.At(j, j)+ridge)
	}
	scatter.ScaleSym(1/float64(d.examples), scatter)
	d.covariance, d.lower = &mat.Cholesky{}, &mat.TriDense{}
	if !d.covariance.Factorize(scatter) {
		return nil, fmt.Errorf(
			"ood: the covariance of %d features of %d images cannot be inverted: are the features of very different sizes?", f.d,
			d.examples)
	}
	d.covariance.LTo(d.lower)
	d.centres = mat.DenseCopyOf(d.means)
	d.whiten(d.centres)
	return d, nil
}

// whiten replaces each row x by L⁻¹ x, so that distances become those of independent features.
func (d *Mahalanobis) whiten(x *mat.Dense) {
	blas64.Trsm(blas.Right, blas.Trans, 1, d.lower.RawTriangular(), x.RawMatrix())
}

// Name is "Mahalanobis", with the step by which images are moved.
func (d *Mahalanobis) Name() string {
	if d == nil || d.Epsilon == 0 {
		return "Mahalanobis"
	}
	return fmt.Sprintf("Mahalanobis after a step of %.3g", d.Epsilon)
}

func (d *Mahalanobis) String() string {
	if d == nil || d.m == nil {
		return errNotFitted.Error()
	}
	classes, wide := d.means.Dims()
	return fmt.Sprintf("%s over %s of %s, with the means of %s from %s", d.Name(), plural.Of(wide, "feature"), d.m.Name(),
		plural.Of(classes, "class"), plural.Of(d.examples, "image"))
}

// mahalanobisKey is what shapes the program that moves images.
type mahalanobisKey struct{ Epsilon float64 }

// Scores are squared distances, from 0.
func (d *Mahalanobis) Scores(ds model.Dataset) ([]float64, error) {
	if d == nil || d.m == nil {
		return nil, errNotFitted
	}
	if !(d.Epsilon >= 0) || math.IsInf(d.Epsilon, 0) {
		return nil, fmt.Errorf("ood: the step of Mahalanobis is %v: it is a number of the pixels' scale, 0..1", d.Epsilon)
	}
	f, stopped := featuresOf(d.m, ds)
	if f == nil {
		return nil, stopped
	}
	distances, towards := d.distances(f, d.Epsilon > 0)
	if d.Epsilon == 0 {
		return distances, stopped
	}
	if stopped != nil {
		return nil, stopped // none has been moved
	}
	// The distance's gradient by the features is Σ⁻¹ (f - μ): with it fixed, the gradient by the pixels is that of a
	// sum.
	results, stopped := d.m.MapOf("Mahalanobis", mahalanobisKey{d.Epsilon}, func(in []*graph.Node) []*graph.Node {
		features := d.m.Call(in[0]).Features
		along := graph.Reshape(graph.ConvertDType(in[1], features.DType()), features.Shape().Dimensions...)
		gradient := graph.Gradient(graph.ReduceAllSum(graph.Mul(features, along)), in[0])[0]
		features = d.m.Call(graph.Sub(in[0], graph.MulScalar(graph.Sign(gradient), d.Epsilon))).Features
		return []*graph.Node{graph.ConvertDType(features, dtypes.Float32)}
	}, ds, tensors.FromFlatDataAndDimensions(towards, f.n, f.d))
	if len(results) == 0 {
		return nil, stopped
	}
	moved, err := checked(results[0], d.m.Name())
	if err != nil {
		return nil, err
	}
	distances, _ = d.distances(moved, false)
	return distances, stopped
}

// distances are those from the nearest mean. directions asks for Σ⁻¹ (f - μ) of it besides, [N·D], of any length.
func (d *Mahalanobis) distances(f *features, directions bool) (distances []float64, towards []float32) {
	classes, _ := d.means.Dims()
	f.blocks(func(lo int, x *mat.Dense) {
		rows, _ := x.Dims()
		white := mat.DenseCopyOf(x)
		d.whiten(white)
		for i := range rows {
			nearest, least := 0, math.Inf(1)
			for k := range classes {
				sum, centre := 0.0, d.centres.RawRowView(k)
				for j, v := range white.RawRowView(i) {
					sum += (v - centre[j]) * (v - centre[j])
				}
				if sum < least {
					nearest, least = k, sum
				}
			}
			distances = append(distances, least)
			if !directions {
				continue
			}
			row := x.RawRowView(i)
			floats.Sub(row, d.means.RawRowView(nearest))
			var along mat.VecDense
			_ = d.covariance.SolveVecTo(&along, mat.NewVecDense(f.d, row)) // an error says only that it is not exact
			longest := max(floats.Norm(along.RawVector().Data, math.Inf(1)), math.SmallestNonzeroFloat64)
			for _, v := range along.RawVector().Data {
				towards = append(towards, float32(v/longest))
			}
		}
	})
	return distances, towards
}
