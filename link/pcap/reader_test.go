package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"
)

// classic makes a file of the older format with two packets.
func classic(order binary.AppendByteOrder, magic uint32, fraction uint32) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 4)
	b = order.AppendUint32(b, 0)
	b = order.AppendUint32(b, 0)
	b = order.AppendUint32(b, 65535)
	b = order.AppendUint32(b, 0x50000065) // RAW, with bits that tell of a frame check sequence
	for i := range uint32(2) {
		b = order.AppendUint32(b, 1000+i)
		b = order.AppendUint32(b, fraction)
		b = order.AppendUint32(b, 3)
		b = order.AppendUint32(b, 60)
		b = append(b, 'a', 'b', 'c'+byte(i))
	}
	return b
}

func TestReadClassic(t *testing.T) {
	for _, c := range []struct {
		name  string
		file  []byte
		nanos int
	}{
		{"little endian, micro", classic(binary.LittleEndian, magicMicros, 7), 7000},
		{"big endian, micro", classic(binary.BigEndian, magicMicros, 999999), 999999000},
		{"little endian, nano", classic(binary.LittleEndian, magicNanos, 7), 7},
		{"big endian, nano", classic(binary.BigEndian, magicNanos, 999999999), 999999999},
	} {
		got, ifaces := readAll(t, c.file)
		if len(got) != 2 || len(ifaces) != 1 || ifaces[0].Link != Raw || ifaces[0].SnapLen != 65535 {
			t.Errorf("%s: %d packets, interfaces %+v", c.name, len(got), ifaces)
			continue
		}
		for i, p := range got {
			if p.At.Unix() != 1000+int64(i) || p.At.Nanosecond() != c.nanos || p.OrigLen != 60 || p.Link != Raw ||
				string(p.Data) != "ab"+string(rune('c'+i)) {
				t.Errorf("%s: packet %d: %+v", c.name, i, p)
			}
		}
	}
}

// ng builds pcapng files block by block.
type ng struct {
	order binary.AppendByteOrder
	b     []byte
}

func (n *ng) block(kind uint32, body ...[]byte) *ng {
	all := bytes.Join(body, nil)
	for len(all)%4 != 0 {
		all = append(all, 0)
	}
	n.b = n.order.AppendUint32(n.b, kind)
	n.b = n.order.AppendUint32(n.b, uint32(len(all)+12))
	n.b = append(n.b, all...)
	n.b = n.order.AppendUint32(n.b, uint32(len(all)+12))
	return n
}

func (n *ng) u32(v ...uint32) (b []byte) {
	for _, x := range v {
		b = n.order.AppendUint32(b, x)
	}
	return b
}

func (n *ng) u16(v ...uint16) (b []byte) {
	for _, x := range v {
		b = n.order.AppendUint16(b, x)
	}
	return b
}

func (n *ng) opt(code uint16, v ...byte) []byte {
	b := append(n.u16(code, uint16(len(v))), v...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func (n *ng) section() *ng {
	return n.block(blockSection, n.u32(byteOrderMagic), n.u16(1, 0), n.u32(0xffffffff, 0xffffffff), n.opt(optSHBAppl, []byte("them")...))
}

func (n *ng) iface(link uint16, snap uint32, opts ...[]byte) *ng {
	return n.block(blockInterface, n.u16(link, 0), n.u32(snap), bytes.Join(opts, nil))
}

func (n *ng) packet(iface uint32, ticks uint64, data string, opts ...[]byte) *ng {
	padded := append([]byte(data), make([]byte, -len(data)&3)...)
	return n.block(blockEnhanced, n.u32(iface, uint32(ticks>>32), uint32(ticks), uint32(len(data)), uint32(len(data))), padded, bytes.Join(opts, nil))
}

// Files of other programs: both byte orders, two sections, other resolutions
// and offsets of time, older kinds of packet blocks, unknown blocks.
func TestReadForeignPcapng(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		n := &ng{order: order}
		n.section()
		n.iface(1, 0, n.opt(optIfName, []byte("eth0")...))
		n.iface(101, 4, n.opt(optIfTsresol, 0x80|10), n.opt(optIfTsoffset, append(n.u32(0), n.u32(0)...)...))
		n.block(10, n.u32(1, 2, 3), []byte("secrets of another layer"))
		n.packet(0, 1_500_000, "micro", n.opt(optComment, []byte("one")...), n.opt(optComment, []byte("two\x00")...), n.opt(optEPBFlags, n.u32(1)...), n.opt(optEnd))
		n.packet(1, 5*1024+512, "raw")
		n.block(blockPacketOld, n.u16(1, 9), n.u32(0, 1024, 2, 3), []byte("ol"))
		n.block(blockSimple, n.u32(6), []byte("simple"))
		n.section()
		n.iface(147, 0, n.opt(optIfTsresol, 18))
		n.packet(0, 3_000_000_000_000_000_000, "atto")
		got, _ := readAll(t, n.b)
		want := []Packet{
			{At: time.Unix(1, 5e8), Link: 1, Dir: In, Data: []byte("micro"), OrigLen: 5, Comment: "one\ntwo"},
			{At: time.Unix(5, 5e8), Link: 101, Interface: 1, Data: []byte("raw"), OrigLen: 3},
			{At: time.Unix(1, 0), Link: 101, Interface: 1, Data: []byte("ol"), OrigLen: 3},
			{Link: 1, Data: []byte("simple"), OrigLen: 6},
			{At: time.Unix(3, 0), Link: 147, Data: []byte("atto"), OrigLen: 4},
		}
		if len(got) != len(want) {
			t.Fatalf("%v: %d packets, want %d", order, len(got), len(want))
		}
		for i, w := range want {
			g := got[i]
			if !g.At.Equal(w.At) || g.Link != w.Link || g.Interface != w.Interface || g.Dir != w.Dir ||
				!bytes.Equal(g.Data, w.Data) || g.OrigLen != w.OrigLen || g.Comment != w.Comment {
				t.Errorf("%v, packet %d: got %+v, want %+v", order, i, g, w)
			}
		}
	}
}

// A damaged file ends in an error that says what and where, never in a panic.
func TestDamagedFiles(t *testing.T) {
	le := func() *ng { return (&ng{order: binary.LittleEndian}).section() }
	huge := le().iface(1, 0)
	huge.b = append(huge.b, huge.u32(blockEnhanced, 1<<30)...)
	mismatch := le().iface(1, 0).packet(0, 0, "x")
	mismatch.b[len(mismatch.b)-4]++
	n := le()
	for _, c := range []struct {
		name string
		file []byte
		err  error
	}{
		{"empty", nil, io.ErrUnexpectedEOF},
		{"three bytes", []byte{1, 2, 3}, io.ErrUnexpectedEOF},
		{"text", []byte("this is not a capture file at all"), ErrFormat},
		{"no interface", le().packet(0, 0, "x").b, ErrInterface},
		{"wrong interface", le().iface(1, 0).packet(1, 0, "x").b, ErrInterface},
		{"block of a gigabyte", huge.b, ErrTooBig},
		{"lengths differ", mismatch.b, ErrFormat},
		{"captured length beyond the block", le().iface(1, 0).block(blockEnhanced, n.u32(0, 0, 0, 100, 100), []byte("x")).b, ErrFormat},
		{"packet too big", le().iface(1, 0).block(blockEnhanced, n.u32(0, 0, 0, MaxPacket+1, 100), []byte("x")).b, ErrTooBig},
		{"option beyond the block", le().iface(1, 0, n.u16(optIfName, 50), []byte("x")).b, ErrFormat},
		{"resolution of three bytes", le().iface(1, 0, n.opt(optIfTsresol, 1, 2, 3)).b, ErrFormat},
		{"resolution too fine", le().iface(1, 0, n.opt(optIfTsresol, 20)).b, ErrFormat},
		{"flags of one byte", le().iface(1, 0).packet(0, 0, "x", n.opt(optEPBFlags, 1)).b, ErrFormat},
		{"unknown block of odd length", append(le().b, n.u32(77, 13)...), ErrFormat},
		{"unknown block cut short", append(le().b, n.u32(77, 100)...), io.ErrUnexpectedEOF},
		{"version 2", (&ng{order: binary.LittleEndian}).block(blockSection, n.u32(byteOrderMagic), n.u16(2, 0), n.u32(0, 0)).b, ErrFormat},
		{"statistics of nobody", le().block(blockStatistics, n.u32(0, 0, 0)).b, ErrInterface},
		{"classic record too big", append(classic(binary.LittleEndian, magicMicros, 0)[:24], n.u32(0, 0, 1<<31, 1)...), ErrTooBig},
		{"classic record cut", classic(binary.LittleEndian, magicMicros, 0)[:24+16+2], io.ErrUnexpectedEOF},
		{"classic header cut", classic(binary.LittleEndian, magicMicros, 0)[:20], io.ErrUnexpectedEOF},
	} {
		_, err := count(c.file)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
}

// count reads a file to its end or error.
func count(file []byte) (n int, err error) {
	r, err := NewReader(bytes.NewReader(file))
	for err == nil {
		if _, err = r.NextPacket(); err == nil {
			n++
		}
	}
	return n, err
}

// A file that stops anywhere gives the packets before, and then an end within
// something, or an ordinary end between blocks.
func TestEveryTruncation(t *testing.T) {
	n := (&ng{order: binary.BigEndian}).section()
	n.iface(1, 0, n.opt(optIfName, []byte("eth0")...)).packet(0, 1, "one", n.opt(optComment, []byte("c")...)).packet(0, 2, "two")
	for _, file := range [][]byte{n.b, classic(binary.BigEndian, magicNanos, 1)} {
		for cut := range file {
			got, err := count(file[:cut])
			if err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) || got > 2 {
				t.Errorf("%d of %d bytes: %d packets, %v", cut, len(file), got, err)
			}
		}
		if got, err := count(file); got != 2 || err != io.EOF {
			t.Errorf("the whole file: %d packets, %v", got, err)
		}
	}
}

// The first error is final, and the reader's own errors come through.
func TestReaderErrorsStay(t *testing.T) {
	file := (&ng{order: binary.LittleEndian}).section().iface(1, 0).packet(0, 0, "x").b
	broken := errors.New("the disk is gone")
	r, err := NewReader(io.MultiReader(bytes.NewReader(file), iotest.ErrReader(broken)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.NextPacket(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.NextPacket(); !errors.Is(err, broken) {
			t.Errorf("got %v, want %v", err, broken)
		}
	}
	if _, err := NewReader(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("NewReader: %v, want %v", err, broken)
	}
}

// Whatever a file says of its clock, times come out without overflow.
func TestInstant(t *testing.T) {
	for _, c := range []struct {
		tsresol byte
		ticks   uint64
		offset  int64
		want    time.Time
	}{
		{9, 1_700_000_000_123_456_789, 0, time.Unix(1_700_000_000, 123_456_789)},
		{6, 1, 0, time.Unix(0, 1000)},
		{0, 5, -10, time.Unix(-5, 0)},
		{19, 10_000_000_000_000_000_001, 0, time.Unix(1, 0)},
		{0x80, 7, 0, time.Unix(7, 0)},
		{0x80 | 63, 1<<63 + 1<<62, 0, time.Unix(1, 5e8)},
		{0x80 | 1, 3, 1, time.Unix(2, 5e8)},
	} {
		unit, ok := resolution([]byte{c.tsresol})
		i := Interface{unit: unit, offset: c.offset}
		if got := i.instant(c.ticks); !ok || !got.Equal(c.want) {
			t.Errorf("resolution %#x, %d ticks, offset %d: %v, want %v", c.tsresol, c.ticks, c.offset, got, c.want)
		}
	}
	for n := range 256 {
		if unit, ok := resolution([]byte{byte(n)}); ok {
			for _, off := range []int64{-1 << 63, 0, 1<<63 - 1} {
				i := Interface{unit: unit, offset: off}
				i.instant(1<<64 - 1)
				i.instant(0)
			}
		}
	}
}

// A Reader takes any bytes; what it understood, a Writer writes and a Reader
// reads back the same.
func FuzzReader(f *testing.F) {
	f.Add(classic(binary.LittleEndian, magicMicros, 7))
	f.Add(classic(binary.BigEndian, magicNanos, 7))
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		n := (&ng{order: order}).section()
		n.iface(1, 0, n.opt(optIfName, []byte("eth0")...)).iface(101, 4, n.opt(optIfTsresol, 0x80|10), n.opt(optIfTsoffset, n.u32(0, 1)...))
		n.packet(0, 1_500_000, "micro", n.opt(optComment, []byte("one")...), n.opt(optEPBFlags, n.u32(1)...), n.opt(optEnd))
		n.block(blockPacketOld, n.u16(1, 9), n.u32(0, 1024, 2, 3), []byte("ol")).block(blockSimple, n.u32(6), []byte("simple"))
		n.block(10, n.u32(1, 2, 3)).block(blockStatistics, n.u32(0, 0, 0), n.opt(optISBRecv, n.u32(1, 0)...))
		f.Add(n.section().b)
	}
	var own bytes.Buffer
	w := NewWriter(&own)
	i, _ := w.AddInterface("x", Raw, 0)
	_ = w.WriteBytes(start(), i, Out, []byte("packet"), "comment")
	_ = w.Close()
	f.Add(own.Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := NewReader(bytes.NewReader(file))
		if err != nil {
			return
		}
		var again bytes.Buffer
		w := NewWriter(&again)
		i, _ := w.AddInterface("x", Raw, 0)
		var want []Packet
		for {
			p, err := r.NextPacket()
			if err != nil {
				break
			}
			if len(p.Data) > MaxPacket || len(r.Interfaces()) > MaxInterfaces {
				t.Fatalf("a packet of %d bytes, %d interfaces", len(p.Data), len(r.Interfaces()))
			}
			p.Data = bytes.Clone(p.Data)
			want = append(want, p)
			if err := w.WriteBytes(p.At, i, p.Dir, p.Data, p.Comment); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got, _ := readAll(t, again.Bytes())
		if len(got) != len(want) {
			t.Fatalf("%d packets read, %d written and read again", len(want), len(got))
		}
		for i := range want {
			if !bytes.Equal(got[i].Data, want[i].Data) || got[i].Dir != want[i].Dir ||
				len(want[i].Comment) <= MaxComment && got[i].Comment != want[i].Comment {
				t.Fatalf("packet %d: %+v became %+v", i, want[i], got[i])
			}
		}
	})
}
