//go:build race

package engine

// raceEnabled: the race detector allocates, so allocations are not counted.
const raceEnabled = true
