// Package tun is a device for Linux' TUN interfaces: IP packets to and from the
// kernel of the same machine.
//
// With virtio headers (Linux' IFF_VNET_HDR, the usual case) super-segments of
// up to 64 KiB stay whole both ways and transport checksums are left to
// whoever needs them, which for traffic with the local kernel is nobody. One
// packet costs one system call.
//
// Open needs CAP_NET_ADMIN, or a persistent interface that belongs to the
// user. No other program is needed to give the kernel's side its addresses.
package tun
