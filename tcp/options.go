package tcp

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/wire"
)

const optTimestamps = wire.HasTimestamps

// PeerOptions is what the peer's SYN offered, reduced to what a connection
// keeps.
type PeerOptions struct {
	MSS    uint16
	WScale uint8
	Has    wire.OptionSet
}

// peerOptions reads a SYN's options.
func peerOptions(o *wire.TCPOptions) PeerOptions {
	p := PeerOptions{MSS: o.MSS, WScale: min(o.WScale, maxWindowScale), Has: o.Has} // RFC 7323 §2.3
	if p.MSS == 0 {
		// No size at all: as if it had not been said.
		p.Has &^= wire.HasMSS
	}
	return p
}

// negotiate applies the options of the peer's SYN. scaling says that our own
// SYN carried the window scale option too: only then is it in force, RFC 7323
// §2.2.
func (c *TCB) negotiate(p *PeerOptions, scaling bool) {
	if p.Has&wire.HasMSS != 0 {
		c.rcv.peerMSS = max(p.MSS, c.cfg.minSendMSS())
	}
	c.snd.MSS = min(c.snd.MSS, c.rcv.peerMSS)
	if p.Has&wire.HasWScale != 0 && scaling {
		c.snd.scale = p.WScale
		c.rcv.scale = c.cfg.windowScale()
	} else {
		c.snd.scale, c.rcv.scale = 0, 0
	}
	c.rcv.size = min(c.rcv.size, 65535<<c.rcv.scale) // what cannot be offered is no room
	if p.Has&wire.HasTimestamps != 0 && !c.cfg.NoTimestamps {
		c.flags |= fTimestamps
	}
	if p.Has&wire.HasSACKPermitted != 0 && !c.cfg.NoSACK {
		c.flags |= fSACK
	}
}

// synOptions fills in the options of our SYN, or of a SYN-ACK in answer to a
// SYN that offered peer.
func (c *TCB) synOptions(now mono.Time, o *wire.TCPOptions) {
	o.MSS, o.Has = c.rcv.MSS, wire.HasMSS
	answering := c.state != SynSent
	if !c.cfg.NoWindowScale && (!answering || c.rcv.scale > 0 || c.snd.scale > 0) {
		o.WScale, o.Has = c.rcv.scale, o.Has|wire.HasWScale
	}
	if !c.cfg.NoSACK && (!answering || c.has(fSACK)) {
		o.Has |= wire.HasSACKPermitted
	}
	if !c.cfg.NoTimestamps && (!answering || c.has(fTimestamps)) {
		o.Has |= wire.HasTimestamps
		o.TSVal = c.tsNow(now)
		if answering {
			o.TSEcr = c.tsRecent
		}
	}
}

// segOptions fills in the options of every later segment: timestamps
// (RFC 7323 §3.2) and SACK blocks, as many as there are and fit: into the
// header, and on a path of the smallest MTU beside an octet of data.
func (c *TCB) segOptions(now mono.Time, o *wire.TCPOptions) {
	room := len(o.SACK)
	if c.has(fTimestamps) {
		o.Has |= wire.HasTimestamps
		o.TSVal, o.TSEcr = c.tsNow(now), c.tsRecent
		room--
	}
	const head, block = 4, 8 // two NOPs, kind and length; two sequence numbers
	if (c.rcv.ooo != nil || c.in != nil) && c.has(fSACK) {
		room = min(room, (int(c.effMSS())-1-head)/block)
		if o.NSACK = uint8(c.sackBlocks(o.SACK[:max(room, 0)])); o.NSACK > 0 {
			o.Has |= wire.HasSACK
		}
	}
	c.accOption(o)
}

// fitSYN leaves out of a SYN-ACK the counters of AccECN, RFC 9768 §3.2.3, where
// the link has no room for them: on one of 68 octets mss, its MTU less the fixed
// headers, is 28.
func fitSYN(o *wire.TCPOptions, mss uint16) {
	if o.Has&wire.HasAccECN != 0 && o.Len() > int(mss) {
		o.Has &^= wire.HasAccECN
	}
}
