package tun

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// replyTime bounds, in seconds, the wait for the kernel's answer, which it
// gives within the request's own system call.
const replyTime = 2

// replyLen is room for one answer, in bytes.
const replyLen = 4096

// How often and how far apart Open looks whether an address is in use.
const (
	localTries = 1000
	localPause = time.Millisecond
)

// configure gives the interface what cfg wants for the kernel's side. Nothing
// wanted needs no rights.
func configure(name string, cfg *Config) error {
	if cfg.MTU == 0 && cfg.QueueLen == 0 && len(cfg.Kernel) == 0 {
		return nil
	}
	index, err := interfaceIndex(name)
	if err != nil {
		return err
	}
	if err := request(linkMessage(index, cfg)); err != nil {
		return fmt.Errorf("set link: %w", err)
	}
	for _, a := range cfg.Kernel {
		if !a.IsValid() {
			return errors.New("an address of the kernel's side is not valid")
		}
		if err := request(addressMessage(index, a)); err != nil {
			return fmt.Errorf("address %v: %w", a, err)
		}
	}
	for _, a := range cfg.Kernel {
		if err := awaitLocal(a.Addr()); err != nil {
			return fmt.Errorf("address %v: %w", a, err)
		}
	}
	return nil
}

// awaitLocal waits until the kernel would take packets to a. For IPv6 it notes
// that some time after it has accepted the address, and what comes before is
// lost.
func awaitLocal(a netip.Addr) error {
	for range localTries {
		kind, err := routeKind(a)
		if err == nil && kind == unix.RTN_LOCAL {
			return nil
		}
		time.Sleep(localPause)
	}
	return errors.New("the kernel does not use it")
}

func addRoute(name string, dst netip.Prefix) error {
	if !dst.IsValid() {
		return errors.New("the prefix is not valid")
	}
	index, err := interfaceIndex(name)
	if err != nil {
		return err
	}
	return request(routeMessage(index, dst.Masked()))
}

// ioctl asks about the interface by way of a socket of its own.
func ioctl(name string, req uint, what string) (uint32, error) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	defer unix.Close(s)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(s, req, ifr); err != nil {
		return 0, os.NewSyscallError(what, err)
	}
	return ifr.Uint32(), nil
}

func interfaceIndex(name string) (uint32, error) {
	return ioctl(name, unix.SIOCGIFINDEX, "SIOCGIFINDEX")
}

func interfaceMTU(name string) (int, error) {
	n, err := ioctl(name, unix.SIOCGIFMTU, "SIOCGIFMTU")
	return min(int(n), maxPacket), err
}

// message is a netlink request under construction: a header, whose length is
// set when it is sent, a fixed part and attributes.
type message []byte

func newMessage(kind, flags uint16, fixed int) message {
	m := make(message, unix.SizeofNlMsghdr+fixed, 128)
	binary.NativeEndian.PutUint16(m[4:], kind)
	binary.NativeEndian.PutUint16(m[6:], flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	return m
}

// fixed returns the part between header and attributes.
func (m message) fixed() []byte { return m[unix.SizeofNlMsghdr:] }

// attr appends an attribute, padded to four bytes.
func (m message) attr(kind uint16, value []byte) message {
	m = binary.NativeEndian.AppendUint16(m, uint16(unix.SizeofRtAttr+len(value)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = append(m, value...)
	for len(m)%4 != 0 {
		m = append(m, 0)
	}
	return m
}

func (m message) attr32(kind uint16, value uint32) message {
	return m.attr(kind, binary.NativeEndian.AppendUint32(nil, value))
}

// linkMessage brings the interface up, with MTU and queue length if wanted.
func linkMessage(index uint32, cfg *Config) message {
	m := newMessage(unix.RTM_NEWLINK, 0, unix.SizeofIfInfomsg)
	f := m.fixed()
	binary.NativeEndian.PutUint32(f[4:], index)
	if len(cfg.Kernel) > 0 {
		binary.NativeEndian.PutUint32(f[8:], unix.IFF_UP)
		binary.NativeEndian.PutUint32(f[12:], unix.IFF_UP) // the flags to change
	}
	if cfg.MTU != 0 {
		m = m.attr32(unix.IFLA_MTU, uint32(cfg.MTU))
	}
	if cfg.QueueLen != 0 {
		m = m.attr32(unix.IFLA_TXQLEN, uint32(cfg.QueueLen))
	}
	return m
}

func family(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// addressMessage adds an address. Detection of duplicates is left out: on this
// link there is nobody but us, and the address is wanted at once.
func addressMessage(index uint32, a netip.Prefix) message {
	m := newMessage(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, unix.SizeofIfAddrmsg)
	f := m.fixed()
	f[0], f[1], f[2] = family(a.Addr()), uint8(a.Bits()), unix.IFA_F_NODAD
	binary.NativeEndian.PutUint32(f[4:], index)
	ip := a.Addr().AsSlice()
	return m.attr(unix.IFA_LOCAL, ip).attr(unix.IFA_ADDRESS, ip)
}

func routeMessage(index uint32, dst netip.Prefix) message {
	m := newMessage(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, unix.SizeofRtMsg)
	f := m.fixed()
	f[0], f[1] = family(dst.Addr()), uint8(dst.Bits())
	f[4], f[5] = unix.RT_TABLE_MAIN, unix.RTPROT_STATIC
	f[6], f[7] = unix.RT_SCOPE_LINK, unix.RTN_UNICAST
	return m.attr(unix.RTA_DST, dst.Addr().AsSlice()).attr32(unix.RTA_OIF, index)
}

// routeKind asks which kind of route (unix.RTN_LOCAL, ...) leads to a.
func routeKind(a netip.Addr) (uint8, error) {
	m := newMessage(unix.RTM_GETROUTE, 0, unix.SizeofRtMsg)
	// The answer is the route itself; an acknowledgement would follow it.
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST)
	f := m.fixed()
	f[0], f[1] = family(a), uint8(a.BitLen())
	var reply [replyLen]byte
	b, err := exchange(m.attr(unix.RTA_DST, a.AsSlice()), reply[:])
	switch {
	case err != nil:
		return 0, err
	case len(b) < unix.SizeofNlMsghdr+unix.SizeofRtMsg || binary.NativeEndian.Uint16(b[4:]) != unix.RTM_NEWROUTE:
		return 0, answer(b)
	}
	return b[unix.SizeofNlMsghdr+7], nil
}

// request sends one request and returns what the kernel answers.
func request(m message) error {
	var reply [replyLen]byte
	b, err := exchange(m, reply[:])
	if err != nil {
		return err
	}
	return answer(b)
}

// exchange sends one request and reads one answer into reply.
func exchange(m message, reply []byte) ([]byte, error) {
	binary.NativeEndian.PutUint32(m, uint32(len(m)))
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	defer unix.Close(s)
	if err := unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: replyTime}); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Sendto(s, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	for range maxInterrupts {
		n, _, err := unix.Recvfrom(s, reply, 0)
		if err == nil {
			return reply[:n], nil
		}
		if err != unix.EINTR {
			return nil, os.NewSyscallError("recvfrom", err)
		}
	}
	return nil, unix.EINTR
}

// answer reads the acknowledgement, which is an error message with number 0.
func answer(b []byte) error {
	if len(b) < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR {
		return errors.New("netlink: an answer of another kind")
	}
	if e := int32(binary.NativeEndian.Uint32(b[unix.SizeofNlMsghdr:])); e != 0 {
		return unix.Errno(-e)
	}
	return nil
}
