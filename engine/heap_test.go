package engine

import (
	"runtime"
	"testing"
	"time"

	"github.com/handfast/handfast/pkt"
)

// heap returns the bytes in use after a collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// An idle connection costs at most 704 bytes of heap at each end when it is
// fresh and 1 KiB after traffic, tables included; 10 % more are an error.
func TestHeapPerConnection(t *testing.T) {
	skipUnderRace(t)
	const n = 10_000 // ends: twice as many
	p := newPair(t, Config{}, 0)
	l, err := p.b.Listen(p.now.now, &ListenConfig{Local: at(them4, 80)})
	if err != nil {
		t.Fatal(err)
	}
	some := make([]*Conn, 64)
	all := make([]*Conn, 0, 2*n)
	before := heap()
	for range n {
		ca, cb := p.connect(t, l)
		all = append(all, ca, cb)
		drainReady(p.a, some)
		drainReady(p.b, some)
	}
	p.advance(time.Minute)
	fresh := (heap() - before) / int64(len(all))
	var refs [64]pkt.Ref
	for i := 0; i < len(all); i += 2 {
		p.write(p.a, all[i], 3000)
		p.step()
		p.read(all[i+1], refs[:])
		p.step()
		drainReady(p.a, some)
		drainReady(p.b, some)
	}
	p.advance(time.Minute)
	used := (heap() - before) / int64(len(all))
	t.Logf("an idle end: %d bytes when fresh, %d after traffic", fresh, used)
	if limit := int64(704 + 70); fresh > limit {
		t.Errorf("%d bytes per fresh connection, at most %d", fresh, limit)
	}
	if limit := int64(1024 + 102); used > limit {
		t.Errorf("%d bytes per connection after traffic, at most %d", used, limit)
	}
	runtime.KeepAlive(all)
}
