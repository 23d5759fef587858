package loupe

import (
	"fmt"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// Replicates trains networks on a labelled dataset by one recipe, as [Train] does, that differ in nothing but their
// seeds: fresh makes network i with the seed i+1, which is the recipe's Seed as well. What holds for all of them, with
// an interval over them, is about the recipe and not about one network.
func Replicates(networks int, ds *data.Dataset, recipe learn.Recipe,
	fresh func(seed uint64) *model.Model) []*model.Model {
	if networks < 1 || fresh == nil {
		panic(fmt.Errorf("loupe: %d networks cannot be trained: say how many, and what makes one of a seed", networks))
	}
	trained := make([]*model.Model, networks)
	for i := range trained {
		recipe.Seed = uint64(i + 1)
		trained[i] = Train(fresh(recipe.Seed), ds, recipe)
	}
	return trained
}

// Accuracies are those of several networks on a labelled dataset, in percent.
func Accuracies(networks []*model.Model, ds *data.Dataset) []float64 {
	percent := make([]float64, len(networks))
	for i, m := range networks {
		percent[i] = 100 * must(m.Accuracy(Prepare(m, ds))).Share()
	}
	return percent
}
