package netem_test

import (
	"fmt"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/netem"
)

// Three packets of 1250 bytes over 10 Mbit/s: each takes a millisecond, and
// the queue has room for one beside the one being sent.
func Example() {
	cfg, err := netem.ParseConfig("rate 10mbit delay 20ms queue 1p")
	if err != nil {
		fmt.Println(err)
		return
	}
	w := netem.New(cfg, 1)
	for range 3 {
		fate := w.Send(mono.Start, 1250)
		if fate.N == 0 {
			fmt.Println("dropped:", fate.Reason)
			continue
		}
		fmt.Println("arrives after", fate.At[0].Sub(mono.Start).Round(time.Microsecond))
	}
	// Output:
	// arrives after 21ms
	// arrives after 22ms
	// dropped: queue
}

func ExampleParseConfig() {
	cfg, err := netem.ParseConfig("loss 0.5%, rate=50mbit, delay 10ms")
	fmt.Println(cfg, err)
	_, err = netem.ParseConfig("rate 50")
	fmt.Println(err)
	// Output:
	// rate 50mbit delay 10ms loss 0.5% <nil>
	// netem: rate: "50" is not a number with a unit (tbit, gbit, mbit, kbit, bit): write it as in "rate 50mbit"
}
