package tun

import (
	"errors"
	"testing"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// What encode says of a packet, decode understands.
func TestVnetHeaderRoundTrip(t *testing.T) {
	var pool pkt.Pool
	super := superSegment(&pool)
	defer super.Release()
	for name, m := range map[string]pkt.Meta{
		"ordinary":        {},
		"checked":         {Csum: pkt.CsumValid},
		"to be finished":  {Csum: pkt.CsumPartial, CsumStart: 20, CsumOffset: 16, L4: 20},
		"super-segment":   {Csum: pkt.CsumPartial, CsumStart: 20, CsumOffset: 16, L4: 20, GSO: pkt.GSOTCPv4, GSOSize: 1000, Segs: 60},
		"super-segment 6": {Csum: pkt.CsumPartial, CsumStart: 20, CsumOffset: 16, L4: 20, GSO: pkt.GSOTCPv6, GSOSize: 1448, Segs: 42},
		"segments of one": {Csum: pkt.CsumPartial, CsumStart: 20, CsumOffset: 16, L4: 20, GSO: pkt.GSOTCPv6, GSOSize: 1, Segs: 60000},
	} {
		super.Meta = m
		var h [vnetLen]byte
		if err := encode(&h, super, isSuper(super)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got pkt.Meta
		if !decode(&h, super.AppendTo(nil), &got) || got != m {
			t.Errorf("%s: header % x is read as %+v, was made from %+v", name, h, got, m)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	var pool pkt.Pool
	for name, spoil := range map[string]func(p *pkt.Packet){
		"a checksum behind the headers": func(p *pkt.Packet) { p.CsumOffset = 19 },
		"a checksum nobody left out":    func(p *pkt.Packet) { p.Csum = pkt.CsumUnknown },
		"segments of no size":           func(p *pkt.Packet) { p.GSOSize = 0 },
		"UDP":                           func(p *pkt.Packet) { p.GSO = pkt.GSOUDP },
		"a TCP header cut short":        func(p *pkt.Packet) { p.Head[32] = 15 << 4 },
		"a TCP header too small":        func(p *pkt.Packet) { p.Head[32] = 4 << 4 },
		"a TCP header behind the end":   func(p *pkt.Packet) { p.CsumStart, p.CsumOffset = 38, 0 },
	} {
		p := superSegment(&pool)
		spoil(p)
		var h [vnetLen]byte
		if err := encode(&h, p, isSuper(p)); !errors.Is(err, link.ErrPacket) {
			t.Errorf("%s: %v", name, err)
		}
		p.Release()
	}
}

// The finished checksum is right for all ways in which a payload may be split.
func TestFinish(t *testing.T) {
	src, dst := wire.AddrFrom4([4]byte{10, 0, 0, 1}), wire.AddrFrom4([4]byte{10, 0, 0, 2})
	payload := []byte("some payload of 26 bytes..")
	for cut := range payload {
		p := &pkt.Packet{Head: make([]byte, 28), Body: pkt.View{pkt.Bytes(payload[:cut]), pkt.Bytes(payload[cut:])}}
		u := wire.UDP(p.Head[20:])
		wire.PutUDP(u, 1, 2, len(payload))
		u.SetChecksum(wire.PseudoSum(&src, &dst, wire.ProtoUDP, uint32(8+len(payload))))
		p.Csum, p.CsumStart, p.CsumOffset = pkt.CsumPartial, 20, 6
		if err := finish(p); err != nil {
			t.Fatal(err)
		}
		whole, err := wire.ParseUDP(p.AppendTo(nil)[20:])
		if err != nil || !whole.ChecksumOK(&src, &dst) || p.Csum != pkt.CsumUnknown {
			t.Errorf("cut after %d: checksum %04x, %+v, %v", cut, whole.Checksum(), p.Meta, err)
		}
	}
	p := &pkt.Packet{Head: make([]byte, 20), Meta: pkt.Meta{Csum: pkt.CsumPartial, CsumStart: 10, CsumOffset: 9}}
	if err := finish(p); !errors.Is(err, link.ErrPacket) {
		t.Errorf("a checksum outside the headers: %v", err)
	}
}

// RFC 768: a computed checksum of 0 is sent as all ones.
func TestFinishUDPNeverStoresZero(t *testing.T) {
	p := &pkt.Packet{Head: []byte{0, 0, 0, 0, 0, 0, 0xff, 0xff}, Meta: pkt.Meta{Csum: pkt.CsumPartial, CsumOffset: 6}}
	if err := finish(p); err != nil || p.Head[6] != 0xff || p.Head[7] != 0xff {
		t.Errorf("% x, %v", p.Head, err)
	}
}

// Whatever comes as header and packet, what decode accepts is consistent.
func FuzzVnetHeader(f *testing.F) {
	var pool pkt.Pool
	p := superSegment(&pool)
	defer p.Release()
	var h [vnetLen]byte
	if err := encode(&h, p, true); err != nil {
		f.Fatal(err)
	}
	f.Add(append(h[:], p.AppendTo(nil)[:1100]...))
	f.Add(append(h[:], p.Head...))
	f.Add(make([]byte, vnetLen))
	f.Add([]byte{1, 0x84, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x60})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) <= vnetLen || len(b) > vnetLen+maxPacket {
			return
		}
		var m pkt.Meta
		frame := b[vnetLen:]
		if !decode((*[vnetLen]byte)(b), frame, &m) {
			return
		}
		if m.Csum == pkt.CsumPartial && int(m.CsumStart)+int(m.CsumOffset)+2 > len(frame) {
			t.Errorf("checksum at %d+%d of %d bytes", m.CsumStart, m.CsumOffset, len(frame))
		}
		if m.GSO == pkt.GSONone {
			if m.Segs > 1 {
				t.Errorf("no super-segment has %d segments", m.Segs)
			}
			return
		}
		payload := len(frame) - tcpHeaders(frame, int(m.CsumStart))
		if least, most := (int(m.Segs)-1)*int(m.GSOSize), int(m.Segs)*int(m.GSOSize); payload <= least || payload > most {
			t.Errorf("%d bytes are not %d segments of %d", payload, m.Segs, m.GSOSize)
		}
	})
}
