//go:build !race

package handfast_test

const raceEnabled = false
