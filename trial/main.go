package main

import (
	"flag"
	"fmt"
	"image/png"
	"math"
	"os"
	"strings"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/background"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/networks"
	"github.com/loupeml/loupe/lib/selfsup"
	"github.com/loupeml/loupe/lib/spurious"
	"github.com/loupeml/loupe/lib/transfer"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	things := flag.String("things", "fashion-mnist", "")
	n := flag.Int("n", 4000, "")
	steps := flag.Int("steps", 300, "")
	batch := flag.Int("batch", 128, "")
	net := flag.String("net", "cnn", "")
	rate := flag.Float64("rate", 0.06, "")
	adam := flag.Bool("adam", false, "")
	low := flag.Float64("low", 0.5, "")
	own := flag.Float64("own", 0.9, "")
	area := flag.Float64("area", 0.4, "")
	grey := flag.Bool("colour", true, "")
	temp := flag.Float64("temp", 0.2, "")
	which := flag.String("which", "plain,rm,random,swaps", "")
	method := flag.String("method", "moco", "")
	prob := flag.Float64("p", 1, "")
	both := flag.Bool("both", false, "")
	seed := flag.Int("seed", 1, "")
	show := flag.String("show", "", "")
	flag.Parse()
	photos := must(data.Open("sample-imagenet")).Take(10).Map(data.RGB(), data.ResizeShorter(64))
	compose := func(name string, from, count int, own float64, seed uint64) *background.Composed {
		ds := must(data.Open(name)).Shuffle(1).Skip(from).Take(count).Map(data.RGB())
		subjects := must(background.Placement{Height: 32, Width: 32, Scale: [2]float64{*low, 1}, Level: 0.1, Seed: seed}.Of(ds))
		return must(background.Compose(subjects, must(background.Pieces(photos, 32, 32, 100, seed)), own, seed))
	}
	train := compose(*things+"-train", 0, *n, *own, 1)
	val := compose(*things+"-train", *n, 1000, *own, 2)
	test := compose(*things, 0, 1000, *own, 3)
	if *show != "" {
		f, _ := os.Create(*show)
		png.Encode(f, must(display.Picture(display.Gallery(must(display.Images(test.Images))[:40]))))
		f.Close()
	}
	set := func(c *background.Composed) *data.Dataset { return must(data.FromTensor(c.Images, c.Labels, nil)) }
	images := must(train.Source())
	reversed := must(model.NewExec(func(in []*graph.Node) []*graph.Node { return []*graph.Node{graph.Reverse(in[0], 0)} }))
	shuffled := must(images.With(learn.Images+"x", must(reversed.Call1(train.Masks))))
	_ = shuffled
	wrong := *train
	wrong.Masks = must(reversed.Call1(train.Masks))
	wrongImages := must(wrong.Source())
	mean, std, err := learn.Statistics(train.Images)
	if err != nil {
		panic(err)
	}
	spec := model.Spec{Height: 32, Width: 32, Channels: 3, Mean: mean, Std: std}
	for _, kind := range strings.Split(*which, ",") {
		var m *model.Model
		switch *net {
		case "cnn":
			m = must(learn.SmallCNN(spec, 10, uint64(*seed)))
		case "cnn3":
			m = must(learn.SmallCNN(spec, 10, uint64(*seed), 16, 32, 64))
		case "cnn8":
			m = must(learn.SmallCNN(spec, 10, uint64(*seed), 8, 16, 32))
		case "res8":
			m = must(networks.CIFARResNet{Depth: 8}.Make(spec, 10, uint64(*seed)))
		}
		from := images
		var augment []learn.Augmentation
		p := []float64{0, *prob}
		if *both {
			p = []float64{*prob, *prob}
		}
		base, isWrong := strings.CutSuffix(kind, "-wrong")
		if isWrong {
			from = wrongImages
		}
		moco := selfsup.MoCo{Queue: 2048, Momentum: 0.99, Temperature: *temp, Out: 64}
		switch base {
		case "plain", "start":
		case "rm":
			augment = append(augment, background.Remove{Probability: p})
		case "random":
			augment = append(augment, background.Random{Probability: p})
		case "swaps":
			augment = append(augment, background.Swaps{Positive: *prob, Negative: *prob})
			moco.Matched = true
		}
		augment = append(augment, learn.ResizedCrop{Area: [][2]float64{{*area, 1}}}, learn.Flip{})
		if *grey {
			augment = append(augment, learn.Colour{Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1, Probability: []float64{0.8}}, learn.Grey{Probability: []float64{0.2}})
		}
		run := learn.Run{Nets: map[string]*model.Model{selfsup.Backbone: m}, Data: from, Sampler: learn.Shuffled(*batch), Steps: *steps,
			Augment: augment, Optimizer: learn.SGD{LearningRate: *rate, Momentum: 0.9, WeightDecay: 5e-4}, Schedule: learn.Cosine, Seed: uint64(*seed)}
		if *adam {
			run.Optimizer = learn.Adam{LearningRate: *rate}
		}
		start := time.Now()
		nn := m
		var near float64
		if base != "start" {
			switch *method {
			case "moco":
				run, err = moco.Of(run)
			case "byol":
				run, err = selfsup.BYOL{Momentum: 0.99, Hidden: 256, Out: 64}.Of(run)
			case "swav":
				run, err = selfsup.SwAV{Prototypes: 100, Temperature: 0.1, Epsilon: 0.05, Iterations: 3, Hidden: 256, Out: 64}.Of(run)
			}
			if err != nil {
				panic(err)
			}
			out := must(run.Do())
			nn = must(selfsup.Trained(m, out))
			fmt.Printf("%s: %.1f s, loss %.3f; ", kind, time.Since(start).Seconds(), out.History.Loss[len(out.History.Loss)-1])
		}
		near = must(transfer.KNN{Neighbors: 20, Temperature: 0.07}.Measure(set(train), set(val))(nn))
		task := transfer.Task{Name: "t", Classes: 10, Train: set(train), Validation: set(val), Test: set(test)}
		lambdas := []float64{1e-2, 1, 100}
		r := must(transfer.FixedFeatures(nn, task, learn.LogisticRegression{Iterations: 200}, lambdas))
		few := must(task.Limited(0.02, 1))
		rf := must(transfer.FixedFeatures(nn, few, learn.LogisticRegression{Iterations: 200}, lambdas))
		whole := must(spurious.WithHead(nn, r.Head))
		gap := must(background.GapOf(whole.Predict, background.Subjects{Images: test.Images, Masks: test.Masks, Labels: test.Labels}, 1))
		rob := must(attack.PGD{Norm: attack.L2, Eps: 0.25, Steps: 10}.Robustness(whole, take(test.Images, 300), test.Labels[:300]))
		fmt.Printf("knn %.1f original %.1f same %.1f rand %.1f fg %.1f gap %.1f limited %.1f pgd %.1f  %.1fs λ %v\n", 100*near, 100*r.Accuracy.Share(), 100*gap.MixedSame.Share(), 100*gap.MixedRand.Share(),
			100*gap.OnlyFG.Share(), 100*gap.Background(), 100*rf.Accuracy.Share(), 100*rob.Robust.Share(), time.Since(start).Seconds(), r.Lambda)
	}
	_ = math.Pi
}

func take(x *tensors.Tensor, n int) *tensors.Tensor {
	d := x.Shape().Dimensions
	flat := tensors.MustCopyFlatData[float32](x)
	return tensors.FromFlatDataAndDimensions(flat[:n*d[1]*d[2]*d[3]], n, d[1], d[2], d[3])
}
