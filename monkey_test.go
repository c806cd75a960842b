package handfast_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/handfast/handfast"
)

// octet is byte i of every stream.
func octet(i int) byte { return byte(i*7 + i>>8*13 + i>>16) }

// pattern fills b with the bytes of the stream from at on.
func pattern(b []byte, at int) []byte {
	for i := range b {
		b[i] = octet(at + i)
	}
	return b
}

// again reports errors after which one goes on.
func again(err error) bool {
	return err == syscall.EAGAIN || isTimeout(err) && !errors.Is(err, syscall.ETIMEDOUT)
}

// author writes a stream in every way there is, then ends it. It returns how
// many bytes it has queued.
//
//tidy:allow test-sleep it runs inside a bubble
func author(rng *rand.Rand, c *handfast.Conn, size int) (at int) {
	for at < size {
		b := pattern(make([]byte, 1+rng.IntN(min(size-at, 1<<rng.IntN(17)))), at)
		var n int
		var err error
		switch rng.IntN(8) {
		case 0:
			var k int64
			k, err = c.ReadFrom(bytes.NewReader(b))
			n = int(k)
		case 1:
			n, err = c.TryWrite(b)
		case 2:
			n, err = c.SendUrgent(b)
		case 3:
			c.SetWriteDeadline(time.Now().Add(time.Duration(rng.IntN(30)) * time.Millisecond))
			n, err = c.Write(b)
			c.SetWriteDeadline(time.Time{})
		case 4:
			c.SetNoDelay(rng.IntN(2) == 0)
			c.SetWriteBuffer(1 << (10 + rng.IntN(10)))
			time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
		default:
			n, err = c.Write(b)
		}
		at += n
		if err != nil && !again(err) {
			return at
		}
		if err == syscall.EAGAIN {
			time.Sleep(time.Millisecond)
		}
	}
	c.CloseWrite()
	return at
}

// reader reads a stream in every way there is, and checks it. It returns how
// many bytes it has read, and why it ended.
//
//tidy:allow test-sleep it runs inside a bubble
func reader(rng *rand.Rand, c *handfast.Conn) (at int, err error) {
	check := func(b []byte) error {
		for i, x := range b {
			if x != octet(at+i) {
				return fmt.Errorf("byte %d is %d, want %d", at+i, x, octet(at+i))
			}
		}
		at += len(b)
		return nil
	}
	b := make([]byte, 1<<16)
	for {
		n := 0
		switch d := b[:1+rng.IntN(1<<rng.IntN(17))]; rng.IntN(6) {
		case 0:
			n, err = c.TryRead(d)
		case 1:
			c.SetReadDeadline(time.Now().Add(time.Duration(rng.IntN(30)) * time.Millisecond))
			n, err = c.Read(d)
			c.SetReadDeadline(time.Time{})
		case 2:
			c.SetReadBuffer(1 << (11 + rng.IntN(10)))
			time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
		case 3:
			var w bytes.Buffer
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err = c.WriteTo(&w)
			c.SetReadDeadline(time.Time{})
			if err == nil {
				err = io.EOF
			}
			if bad := check(w.Bytes()); bad != nil {
				return at, bad
			}
		default:
			n, err = c.Read(d)
		}
		if bad := check(b[:n]); bad != nil {
			return at, bad
		}
		if err != nil && !again(err) {
			return at, err
		}
		if err == syscall.EAGAIN {
			time.Sleep(time.Millisecond)
		}
	}
}

// Programs use connections over bad wires in every way at random; what arrives
// is what was written, all of it when nobody interrupts, and nothing is left.
func TestMonkey(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() || raceEnabled {
		seeds = 15
	}
	wires := []string{"delay 5ms", "delay 30ms loss 2%", "delay 5ms jitter 4ms unordered duplicate 3%", "rate 5mbit delay 10ms queue 40kb"}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			interrupt := seed%3 == 2
			bubble(t, wires[seed%uint64(len(wires))], nil, func(w *wired) {
				var wg sync.WaitGroup
				for k := range uint64(3) {
					c, p := w.pair()
					var written, read [2]int
					var why [2]error
					var pair sync.WaitGroup
					for i, x := range []*handfast.Conn{c, p} {
						rw := rand.New(rand.NewPCG(seed, k*4+uint64(i)))
						rr := rand.New(rand.NewPCG(seed, k*4+2+uint64(i)))
						pair.Go(func() { written[i] = author(rw, x, 1+rw.IntN(400_000)) })
						pair.Go(func() { read[1-i], why[1-i] = reader(rr, x) })
					}
					wg.Go(func() {
						pair.Wait()
						for i := range written {
							if read[i] > written[i] {
								t.Errorf("connection %d: %d bytes read of %d written", k, read[i], written[i])
							}
							if !interrupt && (why[i] != io.EOF || read[i] != written[i]) {
								t.Errorf("connection %d: %d bytes read of %d written, %v", k, read[i], written[i], why[i])
							}
							if why[i] != io.EOF && !isEnd(why[i]) {
								t.Errorf("connection %d: %v", k, why[i])
							}
						}
						c.Close()
						p.Close()
					})
					if interrupt {
						rng := rand.New(rand.NewPCG(seed, 100+k))
						time.AfterFunc(time.Duration(rng.IntN(3000))*time.Millisecond, func() {
							[]func(){func() { c.Close() }, func() { p.SetLinger(0); p.Close() }, func() { w.a.Close() }, func() { w.b.Close() }}[rng.IntN(4)]()
						})
					}
					if interrupt {
						break // the Host may be closed any time
					}
				}
				wg.Wait()
			})
		})
	}
}

// isEnd reports the errors of a connection that somebody ended.
func isEnd(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ETIMEDOUT)
}
