//go:build race

package tcp

// raceEnabled: the race detector allocates, so allocations are not counted.
const raceEnabled = true
