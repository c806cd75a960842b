package wire

// pattern returns n bytes without a period that a checksum could hide.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(0x9e3779b9)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// referenceSum is the checksum of RFC 1071 read word for word: 16 bits at a
// time, big-endian, carries added at once.
func referenceSum(b []byte, acc uint16) uint16 {
	s := uint32(acc)
	for i := 0; i < len(b); i += 2 {
		w := uint32(b[i]) << 8
		if i+1 < len(b) {
			w |= uint32(b[i+1])
		}
		s += w
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// The addresses of the examples.
func test4() (src, dst Addr) {
	return AddrFrom4([4]byte{192, 0, 2, 1}), AddrFrom4([4]byte{198, 51, 100, 2})
}

func test6() (src, dst Addr) {
	src = Addr{0x20, 0x01, 0x0d, 0xb8, 15: 1}
	dst = Addr{0xfe, 0x80, 15: 2}
	return src, dst
}

// goodTCP is a segment with timestamps and four octets, its checksum right
// between the addresses of test4.
func goodTCP() []byte {
	src, dst := test4()
	o := TCPOptions{Has: HasTimestamps, TSVal: 0x01020304, TSEcr: 0x05060708}
	n := TCPMinLen + o.Len()
	b := append(make([]byte, n), "data"...)
	PutTCP(b[:n], 443, 50000, 0x11223344, 0x55667788, FlagPSH|FlagACK, 65535, 0)
	o.Put(b[TCPMinLen:])
	TCP(b).SetChecksum(Finish(Sum(b, PseudoSum(&src, &dst, ProtoTCP, uint32(len(b))))))
	return b
}
