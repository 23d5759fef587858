package attack

import "github.com/gomlx/gomlx/core/graph"

// objective is what an attack raises, [B]: a function of the logits, [B, K], of the class of each image and of another
// class, both [B] int32. Those that have no use for the other class leave it.
type objective struct {
	name string // tells objectives apart where programs are kept
	of   func(logits, label, other *graph.Node) *graph.Node
}

// The objectives of Croce and Hein, "Reliable evaluation of adversarial robustness", ICML 2020.
var (
	// crossEntropy is -log softmax(z)[y].
	crossEntropy = objective{"cross entropy", func(logits, label, _ *graph.Node) *graph.Node {
		return graph.Sub(logSumExp(logits), at(logits, label))
	}}

	// differenceOfLogitsRatio is DLR, equation 6, which does not change where all logits are multiplied:
	//
	//	-(z_y - max_{j≠y} z_j) / (z_π1 - z_π3),  z_π1 ≥ z_π2 ≥ …
	differenceOfLogitsRatio = objective{"difference of logits ratio", func(logits, label, _ *graph.Node) *graph.Node {
		top := largest(logits, 3)
		return graph.Div(margin(logits, label), graph.AddScalar(graph.Sub(top[0], top[2]), tiny))
	}}

	// targetedRatio is the targeted DLR of equation 7, with t the other class:
	//
	//	-(z_y - z_t) / (z_π1 - (z_π3 + z_π4)/2)
	targetedRatio = objective{"targeted difference of logits ratio", func(logits, label, other *graph.Node) *graph.Node {
		top := largest(logits, 4)
		span := graph.Sub(top[0], graph.MulScalar(graph.Add(top[2], top[3]), 0.5))
		return graph.Div(graph.Sub(at(logits, other), at(logits, label)), graph.AddScalar(span, tiny))
	}}

	// targetedMargin is z_t - z_y, which stands in for [targetedRatio] where there are fewer than four classes.
	targetedMargin = objective{"targeted margin", func(logits, label, other *graph.Node) *graph.Node {
		return graph.Sub(at(logits, other), at(logits, label))
	}}
)

// at picks from each row the value of its class, [B].
func at(rows, classes *graph.Node) *graph.Node {
	return graph.ReduceSum(graph.Mul(rows, graph.OneHot(classes, rows.Shape().Dimensions[1], rows.DType())), -1)
}

// margin is how far the largest of the other logits is above the class's, [B].
func margin(logits, label *graph.Node) *graph.Node {
	own := graph.OneHot(label, logits.Shape().Dimensions[1], logits.DType())
	return graph.Sub(graph.ReduceMax(sunk(logits, own), -1), graph.ReduceSum(graph.Mul(logits, own), -1))
}

// largest are the k largest values of each row, largest first, [B] each; equal ones count as often as they are there.
func largest(rows *graph.Node, k int) (top []*graph.Node) {
	left := rows
	for range k {
		first := graph.StopGradient(graph.OneHot(graph.ArgMax(left, -1), rows.Shape().Dimensions[1], rows.DType()))
		top = append(top, graph.ReduceSum(graph.Mul(rows, first), -1))
		left = sunk(left, first)
	}
	return top
}

// sunk are rows in which the marked values lie below all others.
func sunk(rows, marked *graph.Node) *graph.Node {
	span := graph.Sub(graph.ReduceAndKeep(rows, graph.ReduceMax, -1), graph.ReduceAndKeep(rows, graph.ReduceMin, -1))
	return graph.Sub(rows, graph.Mul(marked, graph.StopGradient(graph.AddScalar(span, 1))))
}

func logSumExp(logits *graph.Node) *graph.Node {
	most := graph.StopGradient(graph.ReduceAndKeep(logits, graph.ReduceMax, -1))
	sum := graph.ReduceSum(graph.Exp(graph.Sub(logits, most)), -1)
	return graph.Add(graph.Log(sum), graph.Squeeze(most, -1))
}

// wrong is 1 for each image whose likeliest class is another one than its own, [B, 1, 1, 1].
func wrong(logits, label *graph.Node) *graph.Node {
	missed := graph.ConvertDType(graph.NotEqual(graph.ArgMax(logits, -1), label), logits.DType())
	return graph.Reshape(missed, logits.Shape().Dimensions[0], 1, 1, 1)
}

// finite puts 0 in the place of what is no number: where the ratios' denominators are 0 their gradients are none.
func finite(x *graph.Node) *graph.Node {
	return graph.Where(graph.IsFinite(x), x, graph.ZerosLike(x))
}

// choose takes for each image the row of yes where the flag, [B, 1, 1, 1], is more than a half, and that of no else.
func choose(flag, yes, no *graph.Node) *graph.Node {
	is := graph.GreaterThan(flag, graph.MulScalar(graph.OnesLike(flag), 0.5))
	return graph.Where(graph.BroadcastToDims(is, yes.Shape().Dimensions...), yes, no)
}
