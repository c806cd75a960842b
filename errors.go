package handfast

import (
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/tcp"
)

// errno turns the reason for which a connection ended into what a kernel's
// socket would report, so that programs written for package net do not notice
// the difference. It is nil for an orderly end.
func errno(r tcp.Reason) error {
	switch r {
	case tcp.ReasonNone:
		return nil
	case tcp.ReasonRefused, tcp.ReasonPortUnreachable:
		return syscall.ECONNREFUSED
	case tcp.ReasonReset:
		return syscall.ECONNRESET
	case tcp.ReasonTimeout, tcp.ReasonUserTimeout, tcp.ReasonKeepalive:
		return syscall.ETIMEDOUT
	case tcp.ReasonUnreachable, tcp.ReasonTimeExceeded:
		return syscall.EHOSTUNREACH
	case tcp.ReasonProtoUnreachable:
		return syscall.ENOPROTOOPT
	case tcp.ReasonParameterProblem:
		return syscall.EPROTO
	case tcp.ReasonMemory:
		return syscall.ENOBUFS
	}
	return syscall.ECONNABORTED
}

// engineErrno does the same for the errors of the Engine's calls.
func engineErrno(err error) error {
	switch {
	case errors.Is(err, engine.ErrAddrInUse):
		return syscall.EADDRINUSE
	case errors.Is(err, engine.ErrAddrNotAvail), errors.Is(err, engine.ErrNoPorts):
		return syscall.EADDRNOTAVAIL
	case errors.Is(err, engine.ErrNoRoute):
		return syscall.ENETUNREACH
	case errors.Is(err, engine.ErrRefused):
		return syscall.ECONNREFUSED
	case errors.Is(err, engine.ErrUnreachable):
		return syscall.EHOSTUNREACH
	case errors.Is(err, engine.ErrLimit):
		return syscall.ENOBUFS
	case errors.Is(err, engine.ErrInvalidAddr):
		return syscall.EINVAL
	case errors.Is(err, engine.ErrTooLong):
		return syscall.EMSGSIZE
	case errors.Is(err, engine.ErrClosed):
		return net.ErrClosed
	}
	return err
}

// call wraps an errno with the name of the system call that package net would
// have made.
func call(name string, err error) error {
	if e, ok := err.(syscall.Errno); ok {
		return os.NewSyscallError(name, e)
	}
	return err
}

// errMissingAddress is a datagram without a destination; the text is net's.
var errMissingAddress = errors.New("missing address")
