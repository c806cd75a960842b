package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/tcp"
)

// knob is something of a host's tcp.Config that Generate draws.
type knob struct {
	name string
	draw func(g *generator, c *tcp.Config)
	show func(c *tcp.Config) any
}

// knobs are all of them, one a line. Each draws from a sequence of its own,
// which follows from the seed and its name: one more changes nothing else in
// any Scenario.
var knobs = [...]knob{
	{"sndbuf", func(g *generator, c *tcp.Config) { c.SendBuffer = g.buffer() }, func(c *tcp.Config) any { return c.SendBuffer }},
	{"rcvbuf", func(g *generator, c *tcp.Config) { c.ReceiveBuffer = g.buffer() }, func(c *tcp.Config) any { return c.ReceiveBuffer }},
	{"maxsndbuf", func(g *generator, c *tcp.Config) { c.MaxSendBuffer = uint32(g.number(1, 8<<20)) }, func(c *tcp.Config) any { return c.MaxSendBuffer }},
	{"maxrcvbuf", func(g *generator, c *tcp.Config) { c.MaxReceiveBuffer = uint32(g.number(1, 8<<20)) }, func(c *tcp.Config) any { return c.MaxReceiveBuffer }},
	{"minbuf", func(g *generator, c *tcp.Config) { c.MinBuffer = uint32(g.number(1, 64<<10)) }, func(c *tcp.Config) any { return c.MinBuffer }},
	{"lowat", func(g *generator, c *tcp.Config) { c.NotSentLowat = uint32(g.IntN(2)) * uint32(g.number(4<<10, 1<<20)) }, func(c *tcp.Config) any { return c.NotSentLowat }},
	{"nagle", func(g *generator, c *tcp.Config) { c.Nagle = g.oneIn(2) }, func(c *tcp.Config) any { return c.Nagle }},
	{"nowscale", func(g *generator, c *tcp.Config) { c.NoWindowScale = g.oneIn(4) }, func(c *tcp.Config) any { return c.NoWindowScale }},
	{"nots", func(g *generator, c *tcp.Config) { c.NoTimestamps = g.oneIn(3) }, func(c *tcp.Config) any { return c.NoTimestamps }},
	{"nosack", func(g *generator, c *tcp.Config) { c.NoSACK = g.oneIn(3) }, func(c *tcp.Config) any { return c.NoSACK }},
	{"wscale", func(g *generator, c *tcp.Config) { c.WindowScale = g.scale() }, func(c *tcp.Config) any { return c.WindowScale }},
	{"cc", func(g *generator, c *tcp.Config) { c.Congestion = g.algorithm() }, func(c *tcp.Config) any { return c.Congestion.Name() }},
	{"norack", func(g *generator, c *tcp.Config) { c.NoRACK = g.oneIn(4) }, func(c *tcp.Config) any { return c.NoRACK }},
	{"notlp", func(g *generator, c *tcp.Config) { c.NoTLP = g.oneIn(4) }, func(c *tcp.Config) any { return c.NoTLP }},
	{"nopacing", func(g *generator, c *tcp.Config) { c.NoPacing = g.oneIn(3) }, func(c *tcp.Config) any { return c.NoPacing }},
	{"ecn", func(g *generator, c *tcp.Config) { c.ECN = tcp.ECN(g.IntN(int(tcp.ECNAccurateAccept) + 1)) }, func(c *tcp.Config) any { return c.ECN }},
	{"noecnfallback", func(g *generator, c *tcp.Config) { c.NoECNFallback = g.oneIn(3) }, func(c *tcp.Config) any { return c.NoECNFallback }},
	{"fastopen", func(g *generator, c *tcp.Config) { c.FastOpen = fastOpenModes[g.IntN(len(fastOpenModes))] }, func(c *tcp.Config) any { return c.FastOpen }},
	{"mtuprobing", func(g *generator, c *tcp.Config) { c.MTUProbing = probings[g.IntN(len(probings))] }, func(c *tcp.Config) any { return c.MTUProbing }},
	{"basemss", func(g *generator, c *tcp.Config) { c.BaseMSS = uint16(g.number(48, 4000)) }, func(c *tcp.Config) any { return c.BaseMSS }},
	{"probethreshold", func(g *generator, c *tcp.Config) { c.ProbeThreshold = uint16(g.number(1, 64)) }, func(c *tcp.Config) any { return c.ProbeThreshold }},
	{"probeinterval", func(g *generator, c *tcp.Config) { c.ProbeInterval = g.between(time.Second, 10*time.Minute) }, func(c *tcp.Config) any { return c.ProbeInterval }},
}

// probings are those with which a black hole is survived.
var probings = [...]tcp.MTUProbing{tcp.MTUProbingBlackHole, tcp.MTUProbingBlackHole, tcp.MTUProbingAlways}

// fastOpenModes: nothing, what is usual, every listener, without cookies.
var fastOpenModes = [...]tcp.FastOpenMode{0, 3, 0x403, 0x607}

// buffer draws the size of a buffer in bytes: one in four is tiny.
func (g *generator) buffer() uint32 {
	low := uint64(4 << 10)
	if g.oneIn(4) {
		low = 1
	}
	return uint32(g.number(low, 1<<20))
}

// algorithm draws one of those that have a name.
func (g *generator) algorithm() cc.Algorithm {
	names := cc.Names()
	a, _ := cc.ByName(names[g.IntN(len(names))])
	return a
}

// scale draws a shift: one in three follows from the buffer.
func (g *generator) scale() uint8 {
	if g.oneIn(3) {
		return tcp.AutoWindowScale
	}
	return uint8(g.IntN(15))
}

// config draws the configuration of a host's TCP.
func config(seed uint64, host int, p tcp.Profile) tcp.Config {
	c := *tcp.DefaultConfig(p)
	for i := range knobs {
		h := fnv.New64a()
		h.Write([]byte(knobs[i].name))
		knobs[i].draw(&generator{rand.New(rand.NewPCG(seed, h.Sum64()+uint64(host)))}, &c)
	}
	return c
}

// settings says how a configuration differs from its profile's default.
func settings(c *tcp.Config) string {
	d := tcp.DefaultConfig(c.Profile)
	var b strings.Builder
	fmt.Fprintf(&b, "profile %d", c.Profile)
	for i := range knobs {
		if v := fmt.Sprint(knobs[i].show(c)); v != fmt.Sprint(knobs[i].show(d)) {
			fmt.Fprintf(&b, " %s=%s", knobs[i].name, v)
		}
	}
	return b.String()
}
