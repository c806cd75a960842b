// Package oracle gives tests the Linux kernel as a peer: network namespaces of
// their own, in which they run code, commands and the kernel's own sockets.
// Nothing leaves the machine, and a namespace ends with its test.
package oracle
