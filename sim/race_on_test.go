//go:build race

package sim

// raceEnabled: what moves gigabytes is skipped under the race detector.
const raceEnabled = true
