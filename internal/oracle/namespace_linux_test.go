package oracle_test

import (
	"io"
	"net"
	"os"
	"testing"

	"github.com/handfast/handfast/internal/oracle"
)

func TestNamespacesAreApart(t *testing.T) {
	a, b := oracle.New(t), oracle.New(t)
	l, err := a.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c, err := b.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Errorf("%v of one namespace is reached from the other", l.Addr())
	}
	c, err := a.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("the loopback of the same namespace: %v", err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(s, "hello")
	s.Close()
	if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestDoLeavesTheTestOutside(t *testing.T) {
	here, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	n := oracle.New(t)
	var inside, nested string
	err = n.Do(func() (err error) {
		if inside, err = os.Readlink("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		return n.Do(func() (err error) {
			nested, err = os.Readlink("/proc/thread-self/ns/net")
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if inside == here || nested != inside {
		t.Errorf("inside %s, nested %s, the test itself %s", inside, nested, here)
	}
	if after, _ := os.Readlink("/proc/self/ns/net"); after != here {
		t.Errorf("the process is in %s, was in %s", after, here)
	}
	var names []string
	err = n.Do(func() error {
		is, err := net.Interfaces()
		for _, i := range is {
			names = append(names, i.Name)
			if i.Name == "lo" && i.Flags&net.FlagUp == 0 {
				t.Error("lo is down")
			}
		}
		return err
	})
	if err != nil || len(names) == 0 {
		t.Errorf("interfaces %v, %v", names, err)
	}
}

func TestSysctlAndRun(t *testing.T) {
	n := oracle.New(t)
	n.Sysctl(t, "net/ipv4/tcp_sack", "0")
	if got := n.Run(t, "cat", "/proc/sys/net/ipv4/tcp_sack"); got != "0\n" {
		t.Errorf("tcp_sack is %q inside", got)
	}
}
