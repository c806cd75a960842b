package tcptest

// Leak keeps a chunk for ever.
func Leak(p *Conn) { p.pool.Chunk(10) }

// Corrupt checks an octet that is wrong.
func Corrupt(p *Conn) { p.check([]byte{octet(1, incoming) + 1}, 1, incoming, "test") }
