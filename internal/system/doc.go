// Package system tests handfast as a whole against the Linux kernel: a Host at
// one end of a TUN device, the kernel's own sockets and ordinary programs at
// the other, in a network namespace of the test's own. There is nothing here
// but tests.
package system
