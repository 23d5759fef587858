package attack

import (
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// square is the Square Attack, which asks for nothing but logits: it changes a square at a random place at a time and
// keeps what makes the margin smaller. Andriushchenko, Croce, Flammarion and Hein, "Square Attack", ECCV 2020,
// algorithms 1 to 3, with the squares of AutoAttack: 0.8 of the image at first, and less by a fixed schedule.
//
// The places and signs of an image are drawn from its own seed and do not depend on what is beside it; the authors'
// code, unlike the paper, draws one place for all images of a batch, and leaves out the last row and column of places.
type square struct {
	norm    Norm
	eps     float64
	queries int
	seed    uint64
}

type squareKey struct{ norm Norm }

// The state of the attack, one row an image.
const (
	squareOriginal = iota
	squareLabel
	squareBest   // the image with the smallest margin
	squareMargin // how far the class's logit is above all others there, negated: the largest is wanted
	squareFound  // 1 once it is wrong
	squareSeed   // uint32
	squareRadius
)

func (a square) hunt(m *model.Model, what string, images *tensors.Tensor, numbers, labels []int) ([]prey, error) {
	start, err := a.start(images, numbers)
	if err != nil {
		return nil, err
	}
	n := len(labels)
	seeds := make([]uint32, n)
	for i, number := range numbers {
		seeds[i] = rand.New(rand.NewPCG(a.seed, uint64(number))).Uint32()
	}
	return hunt{
		what: what, key: squareKey{a.norm}, stages: stages(a.queries + 1), // one more to look at the start
		step:  func(round *graph.Node, s []*graph.Node) []*graph.Node { return a.step(m, round, s) },
		found: squareFound, image: squareBest,
	}.run(m, []*tensors.Tensor{images, model.ClassTensor(labels), start, perImage(n, float32(math.Inf(-1))),
		perImage(n, 0), tensors.FromFlatDataAndDimensions(seeds, n), perImage(n, float32(a.eps))})
}

// shrinks are the queries, counted from 0, after which the share of the image that a square covers is halved.
var shrinks = []int{10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000}

// side is that of the squares after so many halvings, in images of height x width: section 3.2 and AutoAttack's p of
// 0.8.
func (a square) side(halvings, height, width int) int {
	share := 0.8 / math.Pow(2, float64(halvings))
	side := max(int(math.RoundToEven(math.Sqrt(share*float64(height*width)))), 1)
	if a.norm == L2 { // odd and no less than 3: the pattern has two halves
		side = max(side, 3)
		side += 1 - side%2
	}
	return min(side, height, width)
}

func (a square) step(m *model.Model, round *graph.Node, in []*graph.Node) []*graph.Node {
	s := append([]*graph.Node(nil), in...)
	image, best := s[squareOriginal], s[squareBest]
	begins := graph.Equal(round, graph.ZerosLike(round))
	query := graph.Sub(round, graph.OnesLike(round))
	var tried *graph.Node
	if a.norm == LInf {
		tried = a.stamped(query, round, s[squareSeed], s[squareRadius], image, best)
	} else {
		tried = a.traded(query, round, s[squareSeed], s[squareRadius], image, best)
	}
	// The first round looks at the start.
	first := graph.BroadcastToDims(graph.Reshape(begins, 1, 1, 1, 1), best.Shape().Dimensions...)
	tried = graph.Where(first, best, tried)
	logits := m.Call(tried).Logits
	over := margin(logits, s[squareLabel])
	over = graph.Reshape(over, over.Shape().Dimensions[0], 1, 1, 1)
	missed := wrong(logits, s[squareLabel])
	stands := graph.Sub(graph.OnesLike(missed), s[squareFound])
	better := graph.Max(missed, graph.ConvertDType(graph.GreaterThan(over, s[squareMargin]), missed.DType()))
	better = graph.Mul(better, stands)
	s[squareBest], s[squareMargin] = choose(better, tried, best), choose(better, over, s[squareMargin])
	s[squareFound] = graph.Max(s[squareFound], missed)
	return s
}

// sides is the side of the squares of a query, an int32 scalar.
func (a square) sides(query *graph.Node, height, width int) *graph.Node {
	g := query.Graph()
	side := graph.Const(g, int32(a.side(0, height, width)))
	for i, after := range shrinks {
		side = graph.Where(graph.GreaterThan(query, graph.Const(g, int32(after))),
			graph.Const(g, int32(a.side(i+1, height, width))), side)
	}
	return side
}

// draws are random numbers of 32 bits for each image, [B, many], others in each round, from each one's seed: the
// finalizer of MurmurHash3, twice.
func draws(seeds, round *graph.Node, first, many int) *graph.Node {
	g := seeds.Graph()
	b := seeds.Shape().Dimensions[0]
	u := func(v uint32) *graph.Node { return graph.Const(g, v) }
	mix := func(x *graph.Node) *graph.Node {
		x = graph.Mul(graph.BitwiseXor(x, graph.BitwiseShiftRightLogical(x, u(16))), u(0x85ebca6b))
		x = graph.Mul(graph.BitwiseXor(x, graph.BitwiseShiftRightLogical(x, u(13))), u(0xc2b2ae35))
		return graph.BitwiseXor(x, graph.BitwiseShiftRightLogical(x, u(16)))
	}
	number := graph.Iota(g, shapes.Make(dtypes.Uint32, 1, many), 1)
	number = graph.Add(graph.Mul(graph.ConvertDType(round, dtypes.Uint32), u(0x9e3779b9)),
		graph.Mul(graph.Add(number, u(uint32(first+1))), u(0x7f4a7c15)))
	number = graph.BroadcastToDims(mix(number), b, many)
	seed := graph.BroadcastToDims(graph.Reshape(seeds, b, 1), b, many)
	return mix(graph.Add(mix(graph.BitwiseXor(number, seed)), seed))
}

// below are draws made whole numbers from 0 to less than n, int32; n is a scalar.
func below(draws, n *graph.Node) *graph.Node {
	g := draws.Graph()
	unit := graph.Mul(graph.ConvertDType(graph.BitwiseShiftRightLogical(draws, graph.Const(g, uint32(8))), dtypes.Float32),
		graph.Const(g, float32(1./(1<<24))))
	return graph.ConvertDType(graph.Floor(graph.Mul(unit, graph.ConvertDType(n, dtypes.Float32))), dtypes.Int32)
}

// signs are draws made -1 or 1.
func signs(draws *graph.Node, kind dtypes.DType) *graph.Node {
	bit := graph.ConvertDType(graph.BitwiseShiftRightLogical(draws, graph.Const(draws.Graph(), uint32(31))), kind)
	return graph.Sub(graph.Add(bit, bit), graph.OnesLike(bit))
}

// window is 1 in a square of a side for each image whose upper left corner is at row and column, [B], and 0 else,
// [B, H, W, 1].
func window(like, row, column, side *graph.Node) *graph.Node {
	d := like.Shape().Dimensions
	along := func(axis int, from *graph.Node) *graph.Node {
		dims := []int{1, 1, 1, 1}
		dims[axis] = d[axis]
		place := graph.Iota(like.Graph(), shapes.Make(dtypes.Int32, dims...), axis)
		from = graph.Reshape(from, d[0], 1, 1, 1)
		in := graph.LogicalAnd(graph.GreaterOrEqual(place, from), graph.LessThan(place, graph.Add(from, side)))
		return graph.ConvertDType(in, like.DType())
	}
	return graph.Mul(along(1, row), along(2, column))
}

// corners are n places for squares of a side in each image, as rows and columns, [B, 1] each.
func corners(image, seeds, round, side *graph.Node, n int) (rows, columns []*graph.Node) {
	d := image.Shape().Dimensions
	g := image.Graph()
	places := func(size int) *graph.Node { return graph.Sub(graph.Const(g, int32(size+1)), side) }
	at := draws(seeds, round, 0, 2*n)
	for i := range n {
		rows = append(rows, below(graph.Slice(at, graph.AxisRange(), graph.AxisRange(2*i, 2*i+1)), places(d[1])))
		columns = append(columns, below(graph.Slice(at, graph.AxisRange(), graph.AxisRange(2*i+1, 2*i+2)), places(d[2])))
	}
	return rows, columns
}

// stamped is the best image with a square at the border of the ball, with a sign for each channel: algorithm 2.
func (a square) stamped(query, round, seeds, radius, image, best *graph.Node) *graph.Node {
	d := image.Shape().Dimensions
	side := a.sides(query, d[1], d[2])
	rows, columns := corners(image, seeds, round, side, 1)
	sign := graph.Reshape(signs(draws(seeds, round, 2, d[3]), image.DType()), d[0], 1, 1, d[3])
	by := graph.Mul(graph.Mul(window(image, rows[0], columns[0], side), sign), graph.Add(radius, radius))
	return a.norm.project(radius, image, graph.Add(best, by))
}

// traded is the best image in which a square gets a pattern, and takes the length for it from another square and from
// what of the radius is left: algorithm 3.
func (a square) traded(query, round, seeds, radius, image, best *graph.Node) *graph.Node {
	d := image.Shape().Dimensions
	kind := image.DType()
	side := a.sides(query, d[1], d[2])
	rows, columns := corners(image, seeds, round, side, 2)
	into, from := window(image, rows[0], columns[0], side), window(image, rows[1], columns[1], side)
	perChannel := func(x *graph.Node) *graph.Node { // its length, [B, 1, 1, C]
		return graph.Sqrt(graph.ReduceAndKeep(graph.Square(x), graph.ReduceSum, 1, 2))
	}
	more := draws(seeds, round, 4, 1+d[3])
	sign := graph.Reshape(signs(graph.Slice(more, graph.AxisRange(), graph.AxisRange(1)), kind), d[0], 1, 1, d[3])
	pattern := a.pattern(query, side, rows[0], columns[0], graph.Slice(more, graph.AxisRange(), graph.AxisRange(0, 1)), d,
		kind)

	by := graph.Sub(best, image)
	unit := func(x *graph.Node) *graph.Node { return graph.Div(x, graph.AddScalar(perChannel(x), tiny)) }
	fresh := unit(graph.Add(graph.Mul(pattern, sign), unit(graph.Mul(by, into))))
	spent := graph.Square(length(by))
	spare := graph.Max(graph.Sub(graph.Square(radius), spent), graph.ZerosLike(spent))
	freed := graph.Square(perChannel(graph.Mul(by, graph.Max(into, from))))
	budget := graph.Sqrt(graph.Add(graph.DivScalar(spare, float64(d[3])), freed))
	outside := func(w *graph.Node) *graph.Node { return graph.Sub(graph.OnesLike(w), w) }
	by = graph.Mul(graph.Mul(by, outside(from)), outside(into))
	by = graph.Add(by, graph.Mul(graph.Mul(fresh, budget), into))
	by = graph.Mul(graph.Div(by, graph.AddScalar(length(by), tiny)), radius)
	return graph.ClipScalar(graph.Add(image, by), 0, 1)
}

// pattern is the pattern of a query's side at each image's place, turned where the draw, [B, 1], says so; 0 around it,
// [B, H, W, 1].
func (a square) pattern(query, side, row, column, turn *graph.Node, d []int, kind dtypes.DType) *graph.Node {
	g := query.Graph()
	most := a.side(0, d[1], d[2])
	var all *graph.Node // [most, most], of this query
	for i := range len(shrinks) + 1 {
		n := a.side(i, d[1], d[2])
		flat := make([]float64, most*most)
		for y, values := range squarePattern(n) {
			copy(flat[y*most:], values)
		}
		one := graph.ConvertDType(graph.Const(g, tensors.FromFlatDataAndDimensions(flat, most, most)), kind)
		if all == nil {
			all = one
			continue
		}
		is := graph.GreaterThan(query, graph.Const(g, int32(shrinks[i-1])))
		all = graph.Where(graph.BroadcastToDims(graph.Reshape(is, 1, 1), most, most), one, all)
	}
	b := d[0]
	turned := graph.GreaterThan(signs(turn, kind), graph.ZerosLike(signs(turn, kind)))
	wide := func(x *graph.Node) *graph.Node {
		return graph.BroadcastToDims(graph.Reshape(x, 1, most, most), b, most, most)
	}
	each := graph.Where(graph.BroadcastToDims(graph.Reshape(turned, b, 1, 1), b, most, most),
		wide(graph.Transpose(all, 0, 1)), wide(all))
	// Matrices of 0 and 1 put its rows and columns where they belong.
	put := func(at *graph.Node, size int) *graph.Node { // [B, most, size]
		place := graph.Iota(g, shapes.Make(dtypes.Int32, 1, 1, size), 2)
		of := graph.Add(graph.Iota(g, shapes.Make(dtypes.Int32, 1, most, 1), 1), graph.Reshape(at, b, 1, 1))
		return graph.ConvertDType(graph.Equal(graph.BroadcastToDims(place, b, most, size),
			graph.BroadcastToDims(of, b, most, size)), kind)
	}
	down := graph.Einsum("bah,bac->bhc", put(row, d[1]), each)
	return graph.Reshape(graph.Einsum("bhc,bcw->bhw", down, put(column, d[2])), b, d[1], d[2], 1)
}

// squarePattern is what a square of the L2 attack gets, of length 1: two halves of opposite signs, each of which falls
// off from its middle, equation 2.
func squarePattern(side int) [][]float64 {
	pattern := append(hill(side/2, side), hill(side-side/2, side)...)
	var square float64
	for y, row := range pattern {
		for x := range row {
			if y >= side/2 {
				row[x] = -row[x]
			}
			square += row[x] * row[x]
		}
	}
	for _, row := range pattern {
		for x := range row {
			row[x] /= math.Sqrt(square)
		}
	}
	return pattern
}

// hill is a rectangle of length 1 that falls off from its middle: the sum over k = 0, 1, … of 1/(k+1)² in the rectangle
// of the places that are at most k rows and columns from there.
func hill(height, width int) [][]float64 {
	out := make([][]float64, height)
	top, left := height/2, width/2
	var square float64
	for y := range out {
		out[y] = make([]float64, width)
		for x := range width {
			for k := max(y-top, top-y, x-left, left-x); k < max(height/2, width/2)+1; k++ {
				out[y][x] += 1 / float64((k+1)*(k+1))
			}
			square += out[y][x] * out[y][x]
		}
	}
	for _, row := range out {
		for x := range row {
			row[x] /= math.Sqrt(square)
		}
	}
	return out
}

// start is where the attack begins: for L∞ vertical stripes at the border of the ball, one pixel wide, for L2 a grid of
// 5 x 5 patterns, with random signs for each channel.
func (a square) start(images *tensors.Tensor, numbers []int) (*tensors.Tensor, error) {
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, err
	}
	d := images.Shape().Dimensions
	height, width, channels := d[1], d[2], d[3]
	size := height * width * channels
	by := make([]float64, size)
	for i, number := range numbers {
		rng := rand.New(rand.NewPCG(a.seed, uint64(number)))
		sign := func() float64 { return float64(2*rng.IntN(2) - 1) }
		clear(by)
		far := 1.0
		if a.norm == LInf {
			for x := range width {
				for c := range channels {
					v := sign()
					for y := range height {
						by[(y*width+x)*channels+c] = v
					}
				}
			}
		} else {
			side := height / 5
			pattern := squarePattern(side)
			for top := (height - 5*side) / 2; top+side <= height; top += side {
				for left := (height - 5*side) / 2; left+side <= width; left += side {
					turned := rng.IntN(2) == 1
					for c := range channels {
						v := sign()
						for y := range side {
							for x := range side {
								p := pattern[y][x]
								if turned {
									p = pattern[x][y]
								}
								by[((top+y)*width+left+x)*channels+c] = v * p
							}
						}
					}
				}
			}
			far = 0
			for _, v := range by {
				far += v * v
			}
			far = math.Sqrt(far)
		}
		for j, v := range by {
			at := &flat[i*size+j]
			*at = float32(min(max(float64(*at)+a.eps*v/far, 0), 1))
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, d...), nil
}
