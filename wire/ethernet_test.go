package wire

import (
	"bytes"
	"testing"
)

func TestEthernet(t *testing.T) {
	dst, src := MAC{1, 2, 3, 4, 5, 6}, MAC{7, 8, 9, 10, 11, 12}
	b := append(make([]byte, EthernetLen), "payload"...)
	if n := PutEthernet(b, dst, src, EtherTypeIPv6); n != 14 {
		t.Errorf("PutEthernet = %d", n)
	}
	e, err := ParseEthernet(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := e.VLAN(); ok || e.Dst() != dst || e.Src() != src || e.Type() != EtherTypeIPv6 || e.HeaderLen() != 14 || string(e.Payload()) != "payload" {
		t.Errorf("% x", []byte(e))
	}
	b = append(make([]byte, EthernetVLANLen), "payload"...)
	if n := PutEthernetVLAN(b, dst, src, 0xa123, EtherTypeARP); n != 18 {
		t.Errorf("PutEthernetVLAN = %d", n)
	}
	if e, err = ParseEthernet(b); err != nil {
		t.Fatal(err)
	}
	if tag, ok := e.VLAN(); !ok || tag != 0xa123 || e.Dst() != dst || e.Src() != src || e.Type() != EtherTypeARP || e.HeaderLen() != 18 || string(e.Payload()) != "payload" {
		t.Errorf("% x", []byte(e))
	}
	for n := range EthernetVLANLen {
		if _, err := ParseEthernet(b[:n]); err != ErrShort {
			t.Errorf("first %d bytes: %v", n, err)
		}
	}
}

func goodARP() []byte {
	src, dst := test4()
	b := make([]byte, ARPLen)
	PutARP(b, ARPReply, MAC{1, 2, 3, 4, 5, 6}, src, MAC{7, 8, 9, 10, 11, 12}, dst)
	return b
}

func TestARPFields(t *testing.T) {
	src, dst := test4()
	b := goodARP()
	if want := []byte{0, 1, 8, 0, 6, 4, 0, 2, 1, 2, 3, 4, 5, 6, 192, 0, 2, 1, 7, 8, 9, 10, 11, 12, 198, 51, 100, 2}; !bytes.Equal(b, want) {
		t.Errorf("% x, want % x", b, want)
	}
	a, err := ParseARP(append(b, make([]byte, 18)...)) // Ethernet pads to 60
	if err != nil {
		t.Fatal(err)
	}
	if len(a) != ARPLen || a.Op() != ARPReply || a.SenderMAC() != (MAC{1, 2, 3, 4, 5, 6}) || a.SenderIP() != src ||
		a.TargetMAC() != (MAC{7, 8, 9, 10, 11, 12}) || a.TargetIP() != dst {
		t.Errorf("% x", []byte(a))
	}
}

// Types and lengths are verified before anything is used: any other value in
// any of the six bytes is refused. RFC 826.
func TestARPFormatR826_1(t *testing.T) {
	good := goodARP()
	for i := range 6 {
		for v := range 256 {
			b := bytes.Clone(good)
			b[i] = byte(v)
			if _, err := ParseARP(b); (err == nil) != (byte(v) == good[i]) || err != nil && err != ErrType {
				t.Errorf("byte %d is %#02x: %v", i, v, err)
			}
		}
	}
	for n := range ARPLen {
		if _, err := ParseARP(good[:n]); err != ErrShort {
			t.Errorf("first %d bytes: %v", n, err)
		}
	}
}
