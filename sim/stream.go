package sim

import (
	"encoding/binary"
	"fmt"
)

// Stream is a sequence of bytes that is a function of a number: whoever reads
// can check each byte without anything being kept.
type Stream uint64

// Fill sets b to the stream's bytes from offset at on.
func (s Stream) Fill(b []byte, at uint64) {
	var word [8]byte
	for len(b) > 0 {
		if at&7 == 0 && len(b) >= 8 {
			binary.LittleEndian.PutUint64(b, s.word(at>>3))
			b, at = b[8:], at+8
			continue
		}
		binary.LittleEndian.PutUint64(word[:], s.word(at>>3))
		n := copy(b, word[at&7:])
		b, at = b[n:], at+uint64(n)
	}
}

// Check compares b with the stream's bytes from offset at on and describes the
// first difference.
func (s Stream) Check(b []byte, at uint64) error {
	var word [8]byte
	for len(b) > 0 {
		v := s.word(at >> 3)
		if at&7 == 0 && len(b) >= 8 && binary.LittleEndian.Uint64(b) == v {
			b, at = b[8:], at+8
			continue
		}
		binary.LittleEndian.PutUint64(word[:], v)
		for i := at & 7; i < 8 && len(b) > 0; i++ {
			if b[0] != word[i] {
				return fmt.Errorf("sim: byte %d of stream %d is %#02x and should be %#02x", at, uint64(s), b[0], word[i])
			}
			b, at = b[1:], at+1
		}
	}
	return nil
}

func (s Stream) word(i uint64) uint64 { return mix(uint64(s)<<40 ^ i) }
