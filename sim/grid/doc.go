// Package grid measures how much of a path's capacity the TCP of this module
// reaches, over a grid of round-trip times, rates, losses and queues, and how
// flows share a bottleneck. Everything runs in virtual time on sim.World and is
// a function of its name: the same cell yields the same numbers on every
// machine. The results are kept as a text file, testdata/grid.txt, so that a
// change of them is seen in review.
package grid
