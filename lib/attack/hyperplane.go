package attack

import "github.com/gomlx/gomlx/core/graph"

// newtons is how many steps [ontoHyperplane] takes. Each leaves a piece of a concave, piecewise linear function behind.
// Of 1,200 random hyperplanes in up to 3,072 dimensions, as far away as 0..1 allows and with weights over four orders
// of magnitude, the hardest took 14 to double precision.
const newtons = 16

// ontoHyperplane is the shortest way, in a norm, from each point in 0..1 to the hyperplane ⟨w, x⟩ = b that stays in
// 0..1: the d with the smallest ‖d‖ such that ⟨w, point + d⟩ = b, where there is one, and else the one that goes as far
// towards the hyperplane as 0..1 allows. points and normals are [B, H, W, C]; above is ⟨w, point⟩ - b, [B, 1, 1, 1].
// Croce and Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack", ICML 2020, section
// 2.2 and appendix A.
//
// The way goes to each pixel's room, or by λ·u in its direction, whichever is nearer, with u = 1 for L∞ and |w| for L2.
// What that does to ⟨w, x⟩ is concave in λ, so that Newton's method from 0 comes to the λ in finitely many steps
// without the sorting of all pixels that the authors do.
func ontoHyperplane(norm Norm, points, normals, above *graph.Node) *graph.Node {
	sum := func(x *graph.Node) *graph.Node { return graph.ReduceAndKeep(x, graph.ReduceSum, 1, 2, 3) }
	one := graph.OnesLike(normals)
	zero := graph.ZerosLike(normals)
	// Against the normal from above it, along it from below.
	side := graph.Where(graph.GreaterOrEqual(above, graph.ZerosLike(above)), graph.Neg(graph.OnesLike(above)),
		graph.OnesLike(above))
	towards := graph.Mul(graph.Sign(normals), side)
	room := graph.Where(graph.GreaterThan(towards, zero), graph.Sub(one, points), points)
	weight := graph.Abs(normals)
	speed := one
	if norm == L2 {
		speed = weight
	}
	room = graph.Where(graph.GreaterThan(weight, zero), room, zero)
	want := graph.Abs(above)
	moved := func(far *graph.Node) *graph.Node { return graph.Min(graph.Mul(far, speed), room) }
	far := graph.ZerosLike(above)
	for range newtons {
		free := graph.ConvertDType(graph.LessThan(graph.Mul(far, speed), room), weight.DType())
		slope := sum(graph.Mul(graph.Mul(weight, speed), free))
		left := graph.Sub(want, sum(graph.Mul(weight, moved(far))))
		flat := graph.LessOrEqual(slope, graph.ZerosLike(slope))
		step := graph.Div(graph.Max(left, graph.ZerosLike(left)), graph.Where(flat, graph.OnesLike(slope), slope))
		far = graph.Add(far, graph.Where(flat, graph.ZerosLike(step), step))
	}
	return graph.Mul(towards, moved(far))
}
