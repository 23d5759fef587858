package learn

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/attack"
)

// Adversarial is adversarial training: each step learns not from its images but from the worst ones that projected
// gradient descent finds within a ball around them,
//
//	min_w E max_{‖δ‖ ≤ Epsilon} loss(x+δ, y; w)
//
// (Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018, equation 2.1). What such a
// network looks at is more like what people look at than what others do: gradients by its images show shapes. The zero
// Adversarial is none.
//
// A step of the attack goes StepSize along the gradient of the loss, brought to length 1 (for L∞: along its signs), and
// then back into the ball and into 0..1; the last image is what is learnt from. That is the attack of the robustness
// library with use_best off. It takes a step of a run Steps+1 times as long. Where a step is one call of the device, a
// round of the attack is compiled once and called so often; in microbatches, with DP, in a step with two attacks and
// where the loss draws by chance, all rounds are in the step's program, which takes minutes to compile for a large
// network. Batch normalisation takes the batch's own statistics in the attack too, which leave no trace in the running
// ones.
type Adversarial struct {
	// Norm is the ball's: attack.L2, the zero value, or attack.LInf.
	Norm attack.Norm
	// Epsilon is the radius of the ball, of the difference of two images over all pixels and channels in units of 0..1.
	Epsilon float64
	// Steps of the attack; 0 means 7.
	Steps int
	// StepSize is the length of one, in units of Epsilon's; 0 means 2.5·Epsilon/Steps, with which the border is reached
	// from anywhere.
	StepSize float64
	// RandomStart begins at a random point of the ball's border, for L∞ anywhere in the ball, cut to 0..1, instead of
	// at the image.
	RandomStart bool
}

func (a Adversarial) steps() int {
	if a.Steps == 0 {
		return 7
	}
	return a.Steps
}

func (a Adversarial) check() error {
	switch {
	case a.Norm != attack.L2 && a.Norm != attack.LInf:
		return fmt.Errorf("learn: adversarial training in the norm %d: attack.L2 and attack.LInf are", a.Norm)
	case a.Epsilon == 0 && a != Adversarial{}:
		return fmt.Errorf("learn: adversarial training needs a radius: set Adversarial.Epsilon")
	case !(a.Epsilon >= 0) || a.Epsilon-a.Epsilon != 0:
		return fmt.Errorf("learn: the radius of adversarial training is %v, it is not negative", a.Epsilon)
	case a.Steps < 0:
		return fmt.Errorf("learn: an attack of %d steps", a.Steps)
	case !(a.StepSize >= 0) || a.StepSize-a.StepSize != 0:
		return fmt.Errorf("learn: the attack's step size is %v, it is positive, or 0 for 2.5·Epsilon/Steps", a.StepSize)
	}
	return nil
}

// Attack returns the images after the attack, through which no gradient goes, for the step of a [Run]: images
// [B, H, W, C] in 0..1, labels [B] int32, logits what the network says of images, such as by [Step.CallAs]. b draws the
// random start. It panics, as graph functions do, if the settings are wrong.
func (a Adversarial) Attack(b *Batch, images, labels *graph.Node, logits func(x *graph.Node) *graph.Node) *graph.Node {
	return a.Raise(b, images, func(x *graph.Node) *graph.Node { return CrossEntropy(logits(x), labels) })
}

// Raise is [Adversarial.Attack] on any loss: loss is that of each image, [B], of which nothing else is taken.
func (a Adversarial) Raise(b *Batch, images *graph.Node, loss func(x *graph.Node) *graph.Node) *graph.Node {
	if err := a.check(); err != nil {
		panic(err)
	}
	size := a.StepSize
	if size == 0 {
		size = 2.5 * a.Epsilon / float64(a.steps())
	}
	images = graph.StopGradient(images)
	radius := graph.Scalar(images.Graph(), images.DType(), a.Epsilon)
	x := images
	if a.RandomStart {
		var by *graph.Node
		if a.Norm == attack.LInf {
			by = graph.SubScalar(graph.MulScalar(b.Uniform(x.Shape().Dimensions...), 2*a.Epsilon), a.Epsilon)
		} else {
			by = graph.MulScalar(a.Norm.Direction(b.Normal(x.Shape().Dimensions...)), a.Epsilon)
		}
		x = graph.ClipScalar(graph.Add(x, by), 0, 1)
	}
	return b.repeat(a.steps(), x, func(x *graph.Node) *graph.Node {
		x = graph.Identity(x) // no gradient goes to a node that stops gradients
		// Each image's gradient is of its own loss: the sum's, not the mean's, whose length depends on the batch.
		worse := graph.ReduceAllSum(loss(x))
		gradient := graph.Gradient(worse, x)[0]
		x = graph.Add(x, graph.MulScalar(a.Norm.Direction(gradient), size))
		by := a.Norm.Within(radius, graph.Sub(x, images))
		return graph.StopGradient(graph.ClipScalar(graph.Add(images, by), 0, 1))
	})
}
