package sim

import "testing"

// However a stream is cut, it is the same bytes, and one wrong byte is found.
func TestStream(t *testing.T) {
	whole := make([]byte, 1000)
	Stream(7).Fill(whole, 3)
	for at := range 40 {
		for _, n := range []int{0, 1, 7, 8, 9, 500} {
			b := make([]byte, n)
			Stream(7).Fill(b, uint64(3+at))
			if string(b) != string(whole[at:at+n]) {
				t.Fatalf("%d bytes at %d differ", n, at)
			}
			if err := Stream(7).Check(b, uint64(3+at)); err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				b[n-1] ^= 4
				if Stream(7).Check(b, uint64(3+at)) == nil {
					t.Fatalf("a wrong last byte of %d at %d is not found", n, at)
				}
			}
		}
	}
}

// Moving bytes costs no allocation.
func TestStreamAllocs(t *testing.T) {
	b := make([]byte, 1500)
	if n := testing.AllocsPerRun(100, func() {
		Stream(1).Fill(b, 5)
		if Stream(1).Check(b, 5) != nil {
			t.Fatal("what was filled in is not what is expected")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
