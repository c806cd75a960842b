package engine

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/handfast/handfast/wire"
)

// testRand is a stream of numbers that a test gets from a seed it prints.
type testRand struct{ *rand.Rand }

func newTestRand(seed uint64) testRand {
	return testRand{rand.New(rand.NewPCG(seed, 0x68616e64))}
}

func (r testRand) bytes(n int) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return b[:n]
}

// flow4 returns a random IPv4 flow.
func (r testRand) flow4() Flow { return flowOfBytes(r.bytes(12)) }

// addr4 returns a random IPv4 address.
func (r testRand) addr4() wire.Addr { return wire.AddrFrom4([4]byte(r.bytes(4))) }

// skipUnderRace ends a test that counts allocations when the race detector
// would be counted with them.
func skipUnderRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
}
