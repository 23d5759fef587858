package onnx

import (
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
)

// Products of matrices.
func init() {
	operator("MatMul", 2, 2, func(c *call) { c.result(c.matMul(c.x(0), c.x(1))) })
	operator("Gemm", 2, 3, func(c *call) {
		a, b := c.x(0), c.x(1)
		if a.Rank() != 2 || b.Rank() != 2 {
			c.refuse("factors of %v", shapesOf([]*graph.Node{a, b}))
		}
		over, under := 1, 0
		if c.flag("transA") {
			over = 0
		}
		if c.flag("transB") {
			under = 1
		}
		y := c.contracted(a, b, over, under)
		if alpha := c.float("alpha", 1); alpha != 1 {
			y = graph.MulScalar(y, alpha)
		}
		beta := c.float("beta", 1)
		c.ignore("broadcast")
		if c.has(2) && beta != 0 {
			bias := c.x(2)
			if beta != 1 {
				bias = graph.MulScalar(bias, beta)
			}
			n := c.together(y, bias)
			y = graph.Add(n[0], n[1])
		}
		c.result(y)
	})
	operator("Einsum", 1, -1, (*call).einsum)
	operator("com.microsoft.FusedMatMul", 2, 2, func(c *call) {
		a, b := c.x(0), c.x(1)
		if c.flag("transBatchA") || c.flag("transBatchB") {
			c.refuse("transBatchA or transBatchB")
		}
		if c.flag("transA") {
			a = swapLast(a)
		}
		if c.flag("transB") {
			b = swapLast(b)
		}
		c.result(graph.MulScalar(c.matMul(a, b), c.float("alpha", 1)))
	})
	operations["com.microsoft.TransposeMatMul"] = operations["com.microsoft.FusedMatMul"]
	operator("com.microsoft.FusedGemm", 2, 3, func(c *call) {
		operations["Gemm"].build(c)
		c.out[0].node = c.activated(c.out[0].node)
	})
	stayApart(always, "MatMul com.microsoft.FusedMatMul")
	stayApart(onFirstAxis, "Gemm com.microsoft.FusedGemm")
	channelsLie(ofProduct, "MatMul com.microsoft.FusedMatMul")
	channelsLie(nowhere, "Einsum")
	haveWeights("Gemm MatMul com.microsoft.FusedGemm com.microsoft.FusedMatMul")
}

func swapLast(x *graph.Node) *graph.Node {
	if x.Rank() < 2 {
		return x
	}
	return graph.Transpose(x, -1, -2)
}

func (c *call) contracted(a, b *graph.Node, over, under int) *graph.Node {
	if a.Shape().Dimensions[over] != b.Shape().Dimensions[under] {
		c.refuse("factors of %v, which do not fit each other", shapesOf([]*graph.Node{a, b}))
	}
	return graph.DotGeneral(a, []int{over}, nil, b, []int{under}, nil)
}

// matMul is NumPy's.
func (c *call) matMul(a, b *graph.Node) *graph.Node {
	if a.Rank() == 0 || b.Rank() == 0 {
		c.refuse("a factor that is one number")
	}
	switch {
	case a.Rank() == 1 && b.Rank() == 1:
		return c.contracted(a, b, 0, 0)
	case b.Rank() <= 2:
		return c.contracted(a, b, a.Rank()-1, 0)
	case a.Rank() == 1:
		return graph.Squeeze(c.matMul(graph.ExpandAxes(a, 0), b), -2)
	}
	da, db := a.Shape().Dimensions, b.Shape().Dimensions
	if da[len(da)-1] != db[len(db)-2] {
		c.refuse("factors of %v, which do not fit each other", shapesOf([]*graph.Node{a, b}))
	}
	batch := c.broadcastShape(da[:len(da)-2], db[:len(db)-2])
	a, b = to(a, append(slices.Clone(batch), da[len(da)-2:]...)), to(b, append(slices.Clone(batch), db[len(db)-2:]...))
	k := len(batch)
	return graph.DotGeneral(a, []int{k + 1}, upTo(k), b, []int{k}, upTo(k))
}

// einsum sums products over the letters that the result does not have, of any number of factors, with "..." for axes
// that are broadcast.
func (c *call) einsum() {
	a := c.attr("equation", attrString)
	if a == nil {
		c.refuse("no equation")
	}
	equation := strings.ReplaceAll(string(a.s), " ", "")
	left, right, said := strings.Cut(equation, "->")
	terms := strings.Split(left, ",")
	if len(terms) != len(c.in) {
		c.refuse("equation=%s for %d inputs", equation, len(c.in))
	}
	// "..." becomes capital letters that stand for nothing else, from the last axis on.
	spare := "ZYXWVUTSRQPONMLKJIHGFEDCBA"
	spare = strings.Map(func(r rune) rune {
		if strings.ContainsRune(equation, r) {
			return -1
		}
		return r
	}, spare)
	widest := 0
	nodes := c.xs()
	for i, term := range terms {
		before, after, dots := strings.Cut(term, "...")
		if n := nodes[i].Rank() - len(before) - len(after); !dots {
			if n != 0 {
				c.refuse("equation=%s, of which input %d has %d axes", equation, i, nodes[i].Rank())
			}
		} else {
			if n < 0 || n > len(spare) {
				c.refuse("equation=%s, of which input %d has %d axes", equation, i, nodes[i].Rank())
			}
			widest = max(widest, n)
			terms[i] = before + reversed(spare[:n]) + after
		}
	}
	dots := reversed(spare[:widest])
	if said {
		right = strings.Replace(right, "...", dots, 1)
	} else { // the letters that occur once, in the order of the alphabet
		letters := strings.Split(strings.Join(terms, ""), "")
		slices.Sort(letters)
		right = dots
		for _, l := range letters {
			if strings.Count(strings.Join(terms, ""), l) == 1 && !strings.Contains(dots, l) {
				right += l
			}
		}
	}
	y, have := nodes[0], terms[0]
	y, have = c.diagonals(y, have)
	for i := 1; i < len(nodes); i++ {
		x, letters := c.diagonals(nodes[i], terms[i])
		y, have = c.product(y, have, x, letters, right+strings.Join(terms[i+1:], ""))
	}
	var sum []int
	kept := ""
	for i, l := range have {
		if strings.ContainsRune(right, l) {
			kept += string(l)
		} else {
			sum = append(sum, i)
		}
	}
	if len(sum) > 0 {
		y = graph.ReduceSum(y, sum...)
	}
	var perm []int
	for i, l := range right {
		at := strings.IndexRune(kept, l)
		if at < 0 || strings.IndexRune(right, l) != i {
			c.refuse("equation=%s, of which the result has %c", equation, l)
		}
		perm = append(perm, at)
	}
	c.result(transposed(y, perm...))
}

func reversed(s string) string {
	r := []rune(s)
	slices.Reverse(r)
	return string(r)
}

// diagonals keeps of axes with one letter the places that are equal.
func (c *call) diagonals(x *graph.Node, letters string) (*graph.Node, string) {
	for i := 0; i < len(letters); i++ {
		j := strings.IndexByte(letters[i+1:], letters[i])
		if j < 0 {
			continue
		}
		j += i + 1
		d := x.Shape().Dimensions
		n := d[i]
		if d[j] != n {
			c.refuse("an equation with %c twice for %v", letters[i], d)
		}
		dims := slices.Repeat([]int{1}, len(d))
		dims[i], dims[j] = n, n
		unit := graph.Reshape(graph.Diagonal(c.g, n), dims...)
		keep := converted(graph.BroadcastToDims(unit, d...), x.DType())
		x = graph.ReduceSum(graph.Mul(x, keep), j)
		letters = letters[:j] + letters[j+1:]
		i--
	}
	return x, letters
}

// product is that of two factors, summed over the letters that nothing needs any more.
func (c *call) product(a *graph.Node, la string, b *graph.Node, lb, needed string) (*graph.Node, string) {
	// Letters of one factor alone that are not needed are summed first; lengths of 1 are repeated.
	only := func(x *graph.Node, own, other string) (*graph.Node, string) {
		var sum []int
		left := ""
		for i, l := range own {
			if strings.ContainsRune(other, l) || strings.ContainsRune(needed, l) {
				left += string(l)
			} else {
				sum = append(sum, i)
			}
		}
		if len(sum) > 0 {
			x = graph.ReduceSum(x, sum...)
		}
		return x, left
	}
	a, la = only(a, la, lb)
	b, lb = only(b, lb, la)
	da, db := slices.Clone(a.Shape().Dimensions), slices.Clone(b.Shape().Dimensions)
	for i, l := range la {
		if j := strings.IndexRune(lb, l); j >= 0 && da[i] != db[j] {
			if da[i] != 1 && db[j] != 1 {
				c.refuse("factors of %v, which do not fit the equation", shapesOf([]*graph.Node{a, b}))
			}
			da[i], db[j] = max(da[i], db[j]), max(da[i], db[j])
		}
	}
	a, b = to(a, da), to(b, db)
	var overA, overB, batchA, batchB []int
	letters, restA, restB := "", "", ""
	for i, l := range la {
		j := strings.IndexRune(lb, l)
		switch {
		case j < 0:
			restA += string(l)
		case strings.ContainsRune(needed, l):
			batchA, batchB, letters = append(batchA, i), append(batchB, j), letters+string(l)
		default:
			overA, overB = append(overA, i), append(overB, j)
		}
	}
	for _, l := range lb {
		if !strings.ContainsRune(la, l) {
			restB += string(l)
		}
	}
	return graph.DotGeneral(a, overA, batchA, b, overB, batchB), letters + restA + restB
}
