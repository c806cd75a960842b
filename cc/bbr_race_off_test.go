//go:build !race

package cc

// bbrRaceEnabled: the race detector allocates, so allocations are not counted.
const bbrRaceEnabled = false
