package handfast_test

import (
	"context"
	"fmt"
	"io"
	"net/netip"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/link/pipe"
)

// Two hosts, one wire, a greeting. README.md shows the body of this example;
// TestReadmeShowsTheExample keeps the two the same.
func Example() {
	left, right := pipe.New(pipe.Options{})
	a, _ := handfast.New(handfast.Config{})
	b, _ := handfast.New(handfast.Config{})
	defer a.Close()
	defer b.Close()
	a.Attach(left, netip.MustParsePrefix("10.0.0.1/24"))
	b.Attach(right, netip.MustParsePrefix("10.0.0.2/24"))

	l, _ := b.Listen(context.Background(), "tcp", ":7")
	go func() {
		c, _ := l.Accept()
		io.WriteString(c, "well met\n")
		c.Close()
	}()
	c, err := a.DialContext(context.Background(), "tcp", "10.0.0.2:7")
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _ := io.ReadAll(c)
	fmt.Printf("%s says %s", c.RemoteAddr(), text)
	// Output: 10.0.0.2:7 says well met
}
