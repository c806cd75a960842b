package engine

import (
	"github.com/handfast/handfast/icmp"
	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// tooBig takes in a Packet Too Big about a segment of c that is on its way: RFC
// 1191, RFC 8201. What the connection does not believe is not told to others.
func (e *Engine) tooBig(now mono.Time, q *icmp.Quoted, c *Conn) {
	mtu := int(min(q.MTU, 1<<30))
	if q.V6 && mtu < ip.MinMTU6 {
		return // void, RFC 8201 §4
	}
	iface := e.ifaces[c.iface]
	if mtu == 0 {
		mtu = ip.Plateau(min(q.Len, e.pathMTU(now, &c.flow, iface)))
	}
	is4 := c.flow.is4()
	if c.PacketTooBig(now, tcp.Seq(q.Seq), mssOf(mtu, is4), mssOf(e.paths.Floor(is4), is4)) {
		e.learnPathMTU(now, &q.Dst, mtu, q.Len, iface)
	} else {
		e.stats.Count[ICMPTooBigDoubted]++
	}
}

// learnPathMTU takes in that packets to dst of more than mtu bytes are too big,
// 0 if the router did not say how many. All connections compare generations
// before they next send, and those to the destination follow then.
func (e *Engine) learnPathMTU(now mono.Time, dst *wire.Addr, mtu, quoted int, iface *Interface) {
	if e.paths.Update(now, dst, mtu, quoted, iface.MTU) {
		e.pathGen++
	}
}

// agePaths forgets what is known of paths for too long.
func (e *Engine) agePaths(now mono.Time) {
	if e.paths.Deadline().Due(now) && e.paths.Advance(now) {
		e.pathGen++
	}
}

// followPath tells a connection what is known of its path now.
func (e *Engine) followPath(now mono.Time, c *Conn) {
	is4 := c.flow.is4()
	link := e.ifaces[c.iface].MTU
	mtu, df := e.paths.Get(now, &c.flow.Remote, link)
	heard := mssOf(mtu, is4)
	whole := c.status&mayFragment == 0
	c.status &^= mayFragment
	c.PathMTU(now, mssOf(link, is4), heard)
	if !df && c.LargestArrived() <= heard {
		c.status |= mayFragment
		if whole {
			c.PathLost(now)
		}
	}
	if c.State() > tcp.SynReceived { // only then it is known what the peer takes
		c.pathGen = e.pathGen
		if found, again, ok := e.paths.Found(now, &c.flow.Remote); ok {
			c.PathFound(mssOf(found, is4), again)
		}
	}
}

// pathEvents are what a connection tells of its path.
const pathEvents = tcp.EventTooBig | tcp.EventMTUProbe | tcp.EventPathFound | tcp.EventBlackHole

// pathNews takes in what a connection has found out about its path, for others
// to the same destination.
func (e *Engine) pathNews(now mono.Time, c *Conn, events tcp.Events) {
	is4 := c.flow.is4()
	iface := e.ifaces[c.iface]
	if mss, ok := c.TakeTooBig(); ok {
		mtu := mtuOf(mss, is4)
		e.learnPathMTU(now, &c.flow.Remote, mtu, mtu+1, iface)
		e.pathGen++ // also where others have known it for long
		e.touch(c)
	}
	if events&tcp.EventMTUProbe != 0 {
		e.stats.Count[TCPMTUProbes]++
	}
	if events&tcp.EventBlackHole != 0 {
		e.stats.Count[TCPBlackHoles]++
	}
	if events&tcp.EventPathFound != 0 {
		e.stats.Count[TCPPathsFound]++
		mss, again := c.SearchResult()
		mtu := mtuOf(mss, is4)
		if mtu >= e.pathMTU(now, &c.flow, iface) {
			mtu = 0
		}
		e.paths.SetFound(now, &c.flow.Remote, mtu, again)
	}
}

// headers are the IP and TCP headers of the least length, in bytes.
func headers(is4 bool) int {
	if is4 {
		return wire.IPv4MinLen + wire.TCPMinLen
	}
	return wire.IPv6Len + wire.TCPMinLen
}

// mssOf is what a TCP segment may carry in a packet of mtu bytes, with no
// options: RFC 6691 §2.
func mssOf(mtu int, is4 bool) uint16 {
	return uint16(max(min(mtu, ip.MaxDatagram)-headers(is4), 1))
}

// mtuOf is the reverse of mssOf.
func mtuOf(mss uint16, is4 bool) int { return int(mss) + headers(is4) }
