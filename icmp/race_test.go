//go:build race

package icmp

// raceEnabled: the race detector allocates on its own account.
const raceEnabled = true
