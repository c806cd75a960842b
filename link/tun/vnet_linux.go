package tun

import (
	"encoding/binary"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
	"golang.org/x/sys/unix"
)

// The virtio header of a packet: flags, kind of super-segment, length of all
// headers, segment size, start and offset of a checksum to be finished. The
// numbers are in the machine's byte order.
const (
	vnetLen     = 10
	vnetFlags   = 0
	vnetGSO     = 1
	vnetHeaders = 2
	vnetSize    = 4
	vnetStart   = 6
	vnetOffset  = 8
)

const (
	tcpDataOffset = 12 // of the byte with the length of the TCP header
	udpChecksum   = 6
)

// isSuper reports whether p is to be cut, by whoever puts it on a wire.
func isSuper(p *pkt.Packet) bool {
	return p.GSO != pkt.GSONone && p.Segs > 1
}

// decode fills m from a virtio header and its packet. It returns false if they
// contradict each other: offsets outside the packet, or a super-segment that
// was not announced as one whose checksum is to be finished, which Linux does
// not send.
func decode(h *[vnetLen]byte, b []byte, m *pkt.Meta) bool {
	switch {
	case h[vnetFlags]&unix.VIRTIO_NET_HDR_F_NEEDS_CSUM != 0:
		m.Csum = pkt.CsumPartial
		m.CsumStart = binary.NativeEndian.Uint16(h[vnetStart:])
		m.CsumOffset = binary.NativeEndian.Uint16(h[vnetOffset:])
		m.L4 = m.CsumStart
		if int(m.CsumStart)+int(m.CsumOffset)+2 > len(b) {
			return false
		}
	case h[vnetFlags]&unix.VIRTIO_NET_HDR_F_DATA_VALID != 0:
		m.Csum = pkt.CsumValid
	}
	// That only the first segment carries CWR makes no difference to the whole.
	switch h[vnetGSO] &^ unix.VIRTIO_NET_HDR_GSO_ECN {
	case unix.VIRTIO_NET_HDR_GSO_NONE:
		return true
	case unix.VIRTIO_NET_HDR_GSO_TCPV4:
		m.GSO = pkt.GSOTCPv4
	case unix.VIRTIO_NET_HDR_GSO_TCPV6:
		m.GSO = pkt.GSOTCPv6
	default:
		return false
	}
	headers := tcpHeaders(b, int(m.CsumStart))
	size := int(binary.NativeEndian.Uint16(h[vnetSize:]))
	if m.Csum != pkt.CsumPartial || headers < 0 || size == 0 {
		return false
	}
	segs := (len(b) - headers + size - 1) / size
	if segs <= 1 {
		m.GSO = pkt.GSONone
		return true
	}
	m.GSOSize, m.Segs = uint16(size), uint16(segs)
	return segs <= maxPacket
}

// tcpHeaders returns the length of all headers in b, whose TCP header is at
// l4; -1 if it does not end within b.
func tcpHeaders(b []byte, l4 int) int {
	if l4+wire.TCPMinLen > len(b) {
		return -1
	}
	n := int(b[l4+tcpDataOffset]>>4) * 4
	if n < wire.TCPMinLen || l4+n > len(b) {
		return -1
	}
	return l4 + n
}

// encode fills the virtio header for p. A super-segment with CWR says that only
// the first of its segments is to carry it (RFC 3168 §6.1.2); with AccECN, where
// all would have to (RFC 9768 §3.3.4), there are none with that flag.
func encode(h *[vnetLen]byte, p *pkt.Packet, super bool) error {
	*h = [vnetLen]byte{}
	switch p.Csum {
	case pkt.CsumPartial:
		if int(p.CsumStart)+int(p.CsumOffset)+2 > len(p.Head) {
			return link.ErrPacket
		}
		h[vnetFlags] = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM
		binary.NativeEndian.PutUint16(h[vnetStart:], p.CsumStart)
		binary.NativeEndian.PutUint16(h[vnetOffset:], p.CsumOffset)
	case pkt.CsumValid:
		h[vnetFlags] = unix.VIRTIO_NET_HDR_F_DATA_VALID
	}
	if !super {
		return nil
	}
	switch p.GSO {
	case pkt.GSOTCPv4:
		h[vnetGSO] = unix.VIRTIO_NET_HDR_GSO_TCPV4
	case pkt.GSOTCPv6:
		h[vnetGSO] = unix.VIRTIO_NET_HDR_GSO_TCPV6
	default:
		return link.ErrPacket
	}
	headers := tcpHeaders(p.Head, int(p.CsumStart))
	if p.Csum != pkt.CsumPartial || p.GSOSize == 0 || headers < 0 {
		return link.ErrPacket
	}
	if wire.TCP(p.Head[p.CsumStart:]).Flags()&wire.FlagCWR != 0 {
		h[vnetGSO] |= unix.VIRTIO_NET_HDR_GSO_ECN
	}
	binary.NativeEndian.PutUint16(h[vnetHeaders:], uint16(headers))
	binary.NativeEndian.PutUint16(h[vnetSize:], p.GSOSize)
	return nil
}

// finish completes a partial checksum in the header.
func finish(p *pkt.Packet) error {
	start, offset := int(p.CsumStart), int(p.CsumOffset)
	if start+offset+2 > len(p.Head) {
		return link.ErrPacket
	}
	n := len(p.Head) - start
	sum := wire.Sum(p.Head[start:], 0)
	for i := range p.Body {
		sum = wire.Join(sum, wire.Sum(p.Body[i].B, 0), n)
		n += len(p.Body[i].B)
	}
	check := wire.Finish(sum)
	if offset == udpChecksum {
		check = wire.FinishUDP(sum)
	}
	binary.BigEndian.PutUint16(p.Head[start+offset:], check)
	p.Csum = pkt.CsumUnknown
	return nil
}
