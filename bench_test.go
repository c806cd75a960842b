package handfast_test

import (
	"context"
	"io"
	"testing"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/link/pipe"
)

// A connection is opened, one byte goes each way, and it is closed.
func BenchmarkConnectRequestClose(b *testing.B) {
	ha, hb := twoHosts(b, pipe.Options{})
	l, err := hb.Listen(context.Background(), "tcp", ":80")
	if err != nil {
		b.Fatal(err)
	}
	accepted := make(chan *handfast.Conn)
	go func() {
		buf := make([]byte, 1)
		for c := range accepted {
			c.Read(buf)
			c.Write(buf)
			c.Read(buf)
			c.Close()
		}
	}()
	go func() {
		defer close(accepted)
		for {
			c, err := l.(*handfast.Listener).AcceptConn()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	buf := make([]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		c, err := ha.Dial("tcp", "10.0.0.2:80")
		if err != nil {
			b.Fatal(err)
		}
		c.Write(buf)
		io.ReadFull(c, buf)
		c.Close()
	}
}

// One byte to the other end and back.
func BenchmarkRequest(b *testing.B) {
	c, p, _ := connected(b, pipe.Options{}, "10.0.0.2:80")
	go io.Copy(writerOnly{p}, readerOnly{p})
	buf := make([]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		c.Write(buf)
		io.ReadFull(c, buf)
	}
}

// Bulk data, by the buffer of 64 KiB.
func BenchmarkBulk(b *testing.B) {
	for name, opt := range map[string]pipe.Options{"frames": {}, "super-segments": {GSO: true}} {
		b.Run(name, func(b *testing.B) {
			c, p, _ := connected(b, opt, "10.0.0.2:80")
			go io.CopyBuffer(writerOnly{io.Discard}, readerOnly{p}, make([]byte, 1<<16))
			buf := make([]byte, 1<<16)
			b.SetBytes(int64(len(buf)))
			b.ReportAllocs()
			for b.Loop() {
				c.Write(buf)
			}
		})
	}
}
