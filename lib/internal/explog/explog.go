// Package explog has an exponential and a logarithm for sums over many numbers, where those of package math, called for
// each, take longer, and the softmax.
package explog

import "math"

// Exp is e^x for x up to 700, with a relative error below 1e-11, which is far more than what logits in single precision
// tell; 0 below -708 and for NaN. Unlike math.Exp, which is called, it is put into loops by the compiler, where the
// processor has several at work: a third of the time.
//
// It is 2^(n/1024) e^r, with the whole number n nearest to 1024 x/ln 2: the power's fraction is looked up, its whole
// part added to the exponent's bits, and e^r has three terms of its series, as r is at most ln 2/2048: Tang,
// "Table-driven implementation of the exponential function in IEEE floating-point arithmetic", ACM Transactions on
// Mathematical Software 15 (1989).
func Exp(x float64) float64 {
	if !(x > -708) { // below, the exponent's bits would not do
		return 0
	}
	// a sum of this size has no bits for a fraction, and its lowest are those of the whole number added
	const whole = 3 << 51
	sum := x*(expSteps/math.Ln2) + whole
	n := math.Float64bits(sum)
	r := x - (sum-whole)*(math.Ln2/expSteps)
	power := math.Float64frombits(expTable[n%expSteps] + n<<42)
	return power + power*(r+r*r/2)
}

// expSteps is how many powers of 2 there are from 1 to 2 in expTable: 2 to the 10th, so that a whole number's bits
// above these, shifted by 42, are where an exponent's are.
const expSteps = 1 << 10

// expTable are the bits of 2^(i/expSteps), less what i's own bits add when they are shifted with those above.
var expTable = func() (table [expSteps]uint64) {
	for i := range table {
		table[i] = math.Float64bits(math.Exp2(float64(i)/expSteps)) - uint64(i)<<42
	}
	return table
}()

// Log is the natural logarithm of a positive number that is neither infinite nor subnormal, within 1e-15 or four parts
// in 1e16 of it, in half the time of math.Log.
//
// It is log 2^n + log c + log(1 + r) with x = 2^n z, z from 1 to 2 (each end a 256th lower), c nearest to z in a table,
// and r = z/c - 1, of which six terms of the series are taken: Tang, "Table-driven implementation of the logarithm
// function in IEEE floating-point arithmetic", ACM Transactions on Mathematical Software 16 (1990).
func Log(x float64) float64 {
	bits := math.Float64bits(x)
	steps := bits - 1023<<52 + 1<<44 // how far above 1, in the exponent, the seven bits that tell the step, and the rest
	n := int64(steps) >> 52
	c := &logTable[steps>>45%logSteps]
	r := math.Float64frombits(bits-uint64(n)<<52)*c.inverse - 1
	return float64(n)*math.Ln2 + (c.log + r*(1-r*(1./2-r*(1./3-r*(1./4-r*(1./5-r*(1./6)))))))
}

// logSteps is how many numbers there are from 1 to 2 in logTable.
const logSteps = 128

// logTable are the numbers' inverses and logarithms.
var logTable = func() (table [logSteps]struct{ inverse, log float64 }) {
	for i := range table {
		table[i].inverse = 1 / (1 + float64(i)/logSteps)
		table[i].log = -math.Log(table[i].inverse)
	}
	return table
}()

// Softmax turns rows of k logits into probabilities, which may take their place, in double precision:
//
//	exp(logit - top) / sum
//
// tops and sums have room for each row's largest logit and sum, at least 1, 0 where a logit is no finite number. Each
// step is taken in all rows before the next, as short rows leave a processor waiting for one's end.
func Softmax(probabilities, logits []float32, k int, tops, sums []float64) {
	for i := range tops {
		lowest, highest := int32(math.MaxInt32), int32(math.MinInt32)
		for _, v := range logits[i*k : (i+1)*k] {
			at := ordered(v) // for the larger of integers there is an instruction without a branch
			lowest, highest = min(lowest, at), max(highest, at)
		}
		tops[i] = float64(unordered(highest))
		if lowest < ordered(-math.MaxFloat32) || highest > ordered(math.MaxFloat32) {
			tops[i] = math.NaN()
		}
	}
	for i, top := range tops {
		row, sum := probabilities[i*k:(i+1)*k], 0.0
		for c, v := range logits[i*k : (i+1)*k][:len(row)] {
			e := Exp(float64(v) - top)
			sum += e
			row[c] = float32(e)
		}
		sums[i] = sum
	}
	for i, sum := range sums {
		scale, row := 1/sum, probabilities[i*k:(i+1)*k]
		for c, e := range row {
			row[c] = float32(float64(e) * scale)
		}
	}
}

// ordered is an integer for a number, larger for a larger one; those of infinities and NaN lie beyond the others.
func ordered(v float32) int32 {
	i := int32(math.Float32bits(v))
	return i ^ i>>31&math.MaxInt32
}

// unordered is the number of an integer from [ordered].
func unordered(i int32) float32 { return math.Float32frombits(uint32(i ^ i>>31&math.MaxInt32)) }
