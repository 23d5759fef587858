// Package spurious finds features that a class rests on and that are not the class: the feeder beside the hummingbird,
// the hand that holds the fish. It looks at the features of the network's last linear layer, where a class's logit is a
// sum over features.
//
// [ClassPCA] takes what the images of one class have in that layer apart into components, each of which adds a number
// of its own to the logit; the images that have most of a component, which [NeuralPCA] shows, say what it stands for.
// [SpuFix] makes a network without the harm of the components that a person has found spurious (Neuhaus et al.,
// "Spurious Features Everywhere", ICCV 2023).
//
// [Importance] and [FeatureBias] look at single features instead, [Rank] sorts the images of a class by how much they
// have of spurious ones, [Ranker] finds these and ranks by them, [Compare] measures by the features of one model how
// far others rest on them, [Reliability] says how far they may, and [TuneHead] closes the gap that spurious ones make
// (Moayeri et al., "Spuriosity Rankings", NeurIPS 2023).
package spurious
