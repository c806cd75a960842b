package engine

import (
	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
)

func (e *Engine) inputICMP(now mono.Time, p *pkt.Packet, d *ip.Datagram)                   { p.Release() }
func (e *Engine) sendICMPError(now mono.Time, p *pkt.Packet, d *ip.Datagram, w ip.Problem) {}
func (e *Engine) sendTimeExceeded(now mono.Time, x *ip.Expired)                            {}
func portUnreachable(v6 bool) ip.Problem                                                   { return ip.Problem{} }
