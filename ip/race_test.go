//go:build race

package ip

// raceEnabled: the race detector allocates on its own account.
const raceEnabled = true
