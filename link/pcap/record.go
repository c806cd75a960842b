package pcap

import (
	"errors"
	"time"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/pkt"
)

// Options are choices for Record. The zero Options are usable.
type Options struct {
	// Name is the interface's name in the file.
	Name string
	// SnapLen is how many bytes of each packet are kept; 0 keeps all.
	SnapLen int
	// Now is the clock; nil means time.Now. It is read once per batch.
	Now func() time.Time
	// Comment, if not nil, returns the comment for a packet that is about to
	// be recorded, such as Notes.Comment does. It must not change or keep the
	// packet. It may be called from several goroutines at once.
	Comment func(dir Direction, p *pkt.Packet) string
}

// Record returns a device that does what dev does and records every packet
// that passes to w, as an interface of its own. The device is a link.Pusher if
// dev is one. Packets are recorded as the stack hands them over: an outgoing
// one before the device sees it, also if the device then refuses it.
//
// Errors of w do not disturb traffic; they are kept for w.Close. But w's
// underlying writer is called from Read and Write, which last as long as it
// does. Closing the device closes dev and flushes w; w is still the caller's
// to close.
//
// The errors are those of Writer.AddInterface.
func Record(dev link.Device, w *Writer, o Options) (link.Device, error) {
	kind := Raw
	if dev.Caps().Medium == link.Ethernet {
		kind = Ethernet
	}
	iface, err := w.AddInterface(o.Name, kind, o.SnapLen)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &recorder{Device: dev, w: w, iface: iface, o: o}
	for _, q := range dev.Queues() {
		r.queues = append(r.queues, &queue{q: q, r: r})
	}
	if p, ok := dev.(link.Pusher); ok {
		return &pusher{recorder: r, p: p}, nil
	}
	return r, nil
}

// recorder is a Device without or, inside a pusher, with SetInput.
type recorder struct {
	link.Device
	w      *Writer
	iface  int
	o      Options
	queues []link.Queue
}

func (r *recorder) Queues() []link.Queue { return r.queues }

func (r *recorder) Close() error {
	err := r.Device.Close()
	if ferr := r.w.Flush(); err == nil && !errors.Is(ferr, ErrClosed) {
		err = ferr
	}
	return err
}

// record writes a batch down. The Writer keeps its own errors.
func (r *recorder) record(dir Direction, batch []*pkt.Packet) {
	if len(batch) == 0 {
		return
	}
	at := r.o.Now()
	for _, p := range batch {
		comment := ""
		if r.o.Comment != nil {
			comment = r.o.Comment(dir, p)
		}
		_ = r.w.WritePacket(at, r.iface, dir, p, comment)
	}
}

type pusher struct {
	*recorder
	p link.Pusher
}

func (p *pusher) SetInput(input func(batch []*pkt.Packet)) {
	p.p.SetInput(func(batch []*pkt.Packet) {
		p.record(In, batch)
		input(batch)
	})
}

type queue struct {
	q link.Queue
	r *recorder
}

func (q *queue) Read(batch []*pkt.Packet) (int, error) {
	n, err := q.q.Read(batch)
	q.r.record(In, batch[:n])
	return n, err
}

func (q *queue) Write(batch []*pkt.Packet) (int, error) {
	q.r.record(Out, batch)
	return q.q.Write(batch)
}
