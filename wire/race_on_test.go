//go:build race

package wire

// raceEnabled: the race detector allocates, so allocation is not counted.
const raceEnabled = true
