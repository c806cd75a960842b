package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/netip"
	"sync/atomic"

	"github.com/handfast/handfast"
)

// The two programs speak the classic download protocol: the client sends a
// file's name in one message, the server answers with the file's bytes and
// closes; for a file that it does not have it just closes.

// copySize is the buffer that the client reads into, in bytes.
const copySize = 64 << 10

// served is what came of the server's one conversation.
type served struct {
	hash string
	err  error
}

// serve is the program on host B: it takes one connection, reads a name and
// answers.
func serve(l *handfast.Listener, src Source) served {
	c, err := l.AcceptConn()
	l.Close()
	if err != nil {
		return served{err: err}
	}
	name := make([]byte, maxName)
	n, err := c.Read(name)
	if err != nil {
		c.Close()
		return served{err: fmt.Errorf("waiting at B for the name of a file: %w", err)}
	}
	sum := sha256.New()
	if string(name[:n]) == src.Name {
		err = send(c, src, sum)
	}
	return served{hash: digest(sum), err: end(c, err)}
}

// end closes a connection, after an error by a reset: half a file must not look
// like a whole one.
func end(c *handfast.Conn, err error) error {
	if err == nil {
		return c.Close()
	}
	c.SetLinger(0)
	c.Close()
	return err
}

// fileError is an error of the file, not of the network.
type fileError struct{ error }

func (e fileError) Unwrap() error { return e.error }

// send answers with the file's bytes.
func send(c *handfast.Conn, src Source, sum hash.Hash) error {
	f, err := src.Open()
	if err != nil {
		return fileError{err}
	}
	defer f.Close()
	r := &fileReader{r: io.TeeReader(f, sum)}
	if _, err = io.Copy(c, r); r.err != nil {
		return fileError{r.err}
	}
	return err
}

// fileReader remembers the error of what it reads, which the connection's
// ReadFrom returns as an error of the connection, as package net does.
type fileReader struct {
	r   io.Reader
	err error
}

func (f *fileReader) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// fetched is what came of the client's conversation.
type fetched struct {
	hash string
	err  error
}

// fetch is the program on host A. It counts what has arrived in got, and hands
// it to into.
func fetch(ctx context.Context, a *handfast.Host, to netip.AddrPort, name string, into io.Writer, got *atomic.Int64) fetched {
	c, err := a.DialTCP(ctx, netip.AddrPort{}, to)
	if err != nil {
		return fetched{err: err}
	}
	if _, err := c.Write([]byte(name)); err != nil {
		c.Close()
		return fetched{err: fmt.Errorf("asking for the file at A: %w", err)}
	}
	sum := sha256.New()
	_, err = io.CopyBuffer(&counter{io.MultiWriter(sum, into), got}, onlyReader{c}, make([]byte, copySize))
	return fetched{hash: digest(sum), err: end(c, err)}
}

// counter counts what is written through it.
type counter struct {
	w io.Writer
	n *atomic.Int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n.Add(int64(n))
	return n, err
}

// onlyReader hides WriteTo: the client is to read as programs do.
type onlyReader struct{ io.Reader }

func digest(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
