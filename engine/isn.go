package engine

import (
	"time"

	"github.com/handfast/handfast/mono"
)

// The ticks of the clock in an initial sequence number. RFC 9293 §3.4.1
// (MUST-8) has it about 4 µs, so that the number space lasts 4.77 hours.
//
// Deviation: the Linux profile counts in 64 ns, as Linux does: its numbers stay
// ahead of those of an earlier connection that sent up to 15 MB/s on average,
// where 4 µs cover 250 kB/s; the space lasts 275 s, longer than TIME-WAIT.
const (
	isnTickRFC   = 4 * time.Microsecond
	isnTickLinux = 64 * time.Nanosecond
)

// isnGenerator chooses initial sequence numbers and timestamp offsets.
type isnGenerator struct {
	key   sipKey
	tsKey sipKey
	tick  time.Duration
}

// newISNGenerator derives the keys from the host's secret, 128 bits that are
// drawn anew at each start and never leave the host (RFC 6528 §3). tick is
// isnTickRFC or isnTickLinux; what is not positive counts as isnTickRFC.
func newISNGenerator(secret sipKey, tick time.Duration) isnGenerator {
	if tick <= 0 {
		tick = isnTickRFC
	}
	return isnGenerator{secret.derive(domainISN), secret.derive(domainTimestamp), tick}
}

// isn returns the initial sequence number of a connection opened now:
// ISN = M + F(localip, localport, remoteip, remoteport, secretkey), the formula
// of RFC 9293 §3.4.1 (SHLD-1) and RFC 6528 §3. M is the clock; F is
// SipHash-2-4, which cannot be computed without the secret (MUST-9).
func (g *isnGenerator) isn(now mono.Time, f *Flow) uint32 {
	return uint32(int64(now)/int64(g.tick)) + uint32(g.key.flow24(f))
}

// tsOffset returns what to add to the timestamp clock of a flow (RFC 7323
// §5.4). It is the same each time, so that the timestamps of a new incarnation
// are above those of the last (RFC 6191 §2), differs between flows, so that
// they cannot be counted as one host's, and hides how long the host is up.
func (g *isnGenerator) tsOffset(f *Flow) uint32 { return uint32(g.tsKey.flow24(f)) }
