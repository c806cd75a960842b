package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/cmd/handfast/internal/demo"
	"github.com/handfast/handfast/cmd/handfast/internal/pending"
	"github.com/handfast/handfast/cmd/handfast/internal/term"
	"github.com/handfast/handfast/netem"
)

// The MTUs that --mtu takes: what every host accepts (RFC 791 §3.2, RFC 8200
// §5) up to the longest packet.
const (
	minMTU4 = 576
	minMTU6 = 1280
	maxMTU  = 65535
)

// demoFlags are the flags of demo.
type demoFlags struct {
	ipv6, json, keep           bool
	rate, delay, loss, reorder string
	mtu                        int
	seed                       uint64
	congestion                 string
	pcap, output               string
}

func newDemo() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo [FILE]",
		Short: "Send a file from one host to another over a bad wire, and watch",
		Long: `Two hosts, A and B, and a wire between them, all inside this process. A program
on B serves FILE, a program on A fetches it; between them are two complete TCP/IP
stacks and a wire that delays, loses and reorders. No rights are needed and
nothing leaves the machine.

Shown are the handshake and the close as ladders with the states of both hosts,
the transfer, and the SHA-256 of what was sent and of what arrived. All packets
are recorded to a pcapng file for Wireshark, with what the stack had to say about
each. Without FILE, 16 MiB of random bytes that follow from the seed are sent.`,
		Example: "  handfast demo\n" +
			"  handfast demo --congestion bbr\n" +
			"  handfast demo --loss 2% --delay 40ms --pcap bad.pcapng notes.pdf",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("demo takes one FILE, not %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, args)
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.BoolVar(&f.ipv6, "ipv6", false, "use IPv6")
	fl.StringVar(&f.rate, "rate", "50mbit", "speed of the wire (bit, kbit, mbit, gbit), 0 for no limit")
	fl.StringVar(&f.delay, "delay", "10ms", "time that the wire takes, each way")
	fl.StringVar(&f.loss, "loss", "0.5%", "share of packets that it loses, each way")
	fl.StringVar(&f.reorder, "reorder", "0%", "share of packets that it holds back: 1%, or \"1% 5ms-9ms\"")
	fl.IntVar(&f.mtu, "mtu", 1500, "longest packet in bytes")
	fl.StringVar(&f.congestion, "congestion", cc.Cubic{}.Name(), "congestion control: "+strings.Join(cc.Names(), ", "))
	fl.Uint64Var(&f.seed, "seed", 1, "decides the random bytes and the wire's luck")
	fl.StringVar(&f.pcap, "pcap", "", "where to record the packets (default: a new file in the temporary directory)")
	fl.StringVarP(&f.output, "output", "o", "", "where to keep what arrived (default: it is removed)")
	fl.BoolVar(&f.keep, "keep", false, "keep what arrived, in the temporary directory")
	fl.BoolVar(&f.json, "json", false, "print JSON, an object per line; the last one is the result")
	return cmd
}

// options reads the flags that describe the network. Its errors are about the
// usage.
func (f *demoFlags) options() (demo.Options, error) {
	o := demo.Options{MTU: f.mtu, IPv6: f.ipv6, Seed: f.seed, Congestion: f.congestion}
	if _, ok := cc.ByName(f.congestion); !ok {
		return o, fmt.Errorf("--congestion %q: there are %s", f.congestion, strings.Join(cc.Names(), ", "))
	}
	least := minMTU4
	if f.ipv6 {
		least = minMTU6
	}
	if f.mtu < least || f.mtu > maxMTU {
		return o, fmt.Errorf("--mtu %d: allowed are %d to %d", f.mtu, least, maxMTU)
	}
	var words []string
	for _, x := range []struct {
		name, value string
		most        int
	}{{"rate", f.rate, 1}, {"delay", f.delay, 1}, {"loss", f.loss, 1}, {"reorder", f.reorder, 2}} {
		if x.name == "rate" && x.value == "0" {
			continue
		}
		// ParseConfig takes a word with a letter in front for another setting.
		if n := len(strings.Fields(x.value)); n == 0 || n > x.most || strings.ContainsAny(x.value, ",=") || unicode.IsLetter(rune(x.value[0])) {
			return o, fmt.Errorf("--%s %q: not understood: write it as in %q", x.name, x.value, "--"+x.name+" "+examples[x.name])
		}
		word := x.name + " " + x.value
		if _, err := netem.ParseConfig(word); err != nil {
			text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "netem: "), x.name+": ")
			return o, fmt.Errorf("--%s %s: %s", x.name, x.value, strings.ReplaceAll(text, `"`+x.name+" ", `"--`+x.name+" "))
		}
		words = append(words, word)
	}
	c, err := netem.ParseConfig(strings.Join(words, " "))
	o.Wire = demo.WithQueue(c)
	return o, err
}

// examples are what the flags of the wire take.
var examples = map[string]string{"rate": "50mbit", "delay": "10ms", "loss": "0.5%", "reorder": "1%"}

// run is the command.
func (f *demoFlags) run(cmd *cobra.Command, args []string) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	if f.keep && f.output != "" {
		return errors.New("--keep and --output exclude each other: --output keeps what arrived already")
	}
	o.Source = demo.Random(demo.RandomSize, f.seed)
	if len(args) == 1 {
		if o.Source, err = demo.File(args[0]); err != nil {
			return &failure{cannot("read", args[0], err)}
		}
		for flag, name := range map[string]string{"--output": f.output, "--pcap": f.pcap} {
			if same(name, args[0]) {
				return fmt.Errorf("%s %s: that is the file to be sent", flag, name)
			}
		}
	}
	if f.pcap != "" && same(f.pcap, f.output) || f.pcap != "" && f.pcap == f.output {
		return errors.New("--pcap and --output name the same file")
	}
	if err := f.play(cmd, o, len(args) == 1); err != nil {
		return &failure{err}
	}
	return nil
}

// play opens the files, runs the demo and gives the files their names.
func (f *demoFlags) play(cmd *cobra.Command, o demo.Options, file bool) error {
	capture, err := pending.Create(orTemporary(f.pcap, ".pcapng"))
	if err != nil {
		return cannot("record to", f.pcap, err)
	}
	defer capture.Discard()
	o.Capture = capture
	var received *pending.File
	if file || f.keep || f.output != "" {
		if received, err = pending.Create(orTemporary(f.output, "-"+o.Source.Name)); err != nil {
			return cannot("write", f.output, err)
		}
		defer received.Discard()
		o.Received = received
	}
	s := f.show(cmd, &o, capture, received)
	s.begin()
	report, err := demo.Run(cmd.Context(), o, s)
	if err != nil && !errors.Is(err, demo.ErrDiffers) {
		err = explain(cmd.Context(), err)
		s.stop(err)
		return err
	}
	r := result{Report: *report, Seconds: report.Took.Seconds(), Pcapng: capture.Name()}
	if kept := f.keep || f.output != ""; kept && err == nil {
		r.Received = received.Name()
		err = received.Commit()
	}
	if cerr := capture.Commit(); err == nil {
		err = cerr
	}
	s.end(&r)
	return err
}

// show returns what tells the user how it goes.
func (f *demoFlags) show(cmd *cobra.Command, o *demo.Options, capture, received *pending.File) shower {
	out := cmd.OutOrStdout()
	if f.json {
		return newJSONShow(out, o)
	}
	s := &textShow{w: out, out: term.Look(out, os.Getenv), o: o}
	if received != nil && !f.keep && f.output == "" {
		s.copyAt = received.Name()
	}
	return s
}

// shower is a demo.Watcher with a beginning and an end.
type shower interface {
	demo.Watcher
	begin()
	end(r *result)
	stop(err error) // it ended early
}

// result is a Report with the places of the files.
type result struct {
	demo.Report
	Seconds  float64 `json:"seconds"`
	Pcapng   string  `json:"pcapng"`
	Received string  `json:"received,omitempty"` // where the copy was kept
}

// orTemporary returns name, or if that is empty a new one in the temporary
// directory.
func orTemporary(name, suffix string) string {
	if name != "" {
		return name
	}
	stem := fmt.Sprintf("handfast-demo-%s-%d", time.Now().Format("20060102-150405"), os.Getpid())
	return filepath.Join(os.TempDir(), stem+suffix)
}

// same reports whether two names are of one file, which exists.
func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// cannot says what was tried and why it failed.
func cannot(what, name string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		if name == "" {
			name = pe.Path
		}
		err = pe.Err
	}
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist) && what == "read":
		hint = "; without a FILE, demo sends random bytes"
	case errors.Is(err, fs.ErrNotExist):
		hint = "; the directory must exist"
	case errors.Is(err, fs.ErrPermission):
		hint = "; choose another place, or change its permissions"
	}
	return fmt.Errorf("cannot %s %s: %w%s", what, name, err, hint)
}

// explain turns an error of the demo into words for its user.
func explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errOutput):
		return fmt.Errorf("%w; nothing was kept", context.Cause(ctx))
	case ctx.Err() != nil:
		return errors.New("interrupted; nothing was kept")
	case errors.Is(err, syscall.ETIMEDOUT):
		return fmt.Errorf("%w; the wire loses too much: try a smaller --loss", err)
	}
	return err
}
