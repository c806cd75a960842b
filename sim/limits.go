package sim

import "time"

// Every bound of this package.
const (
	// MaxEventsPerInstant is how many events may happen without time moving:
	// beyond it two ends are answering each other for ever.
	MaxEventsPerInstant = 1_000_000
	// MaxHosts bounds the hosts, and MaxLinks the wires, of one World.
	MaxHosts = 256
	MaxLinks = 250

	maxRounds     = 100_000         // of output and programs after one event
	outputBatch   = 64              // packets asked of an engine at once
	inputBatch    = 64              // packets handed to an engine at once
	sharePerRead  = 64              // references taken from a connection at once
	defaultMTU    = 1500            // of a host that says nothing
	minimumMTU6   = 1280            // RFC 8200 §5
	afterPeerDied = 2 * time.Minute // how long a program waits for a peer that is gone
)
