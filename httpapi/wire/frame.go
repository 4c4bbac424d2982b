package wire

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"rhumb"
)

// FrameKind is what a frame of a joined command carries.
type FrameKind byte

const (
	FrameBeat    FrameKind = iota // nothing: the sender is alive
	FrameIn                       // bytes of the standard input
	FrameInEnd                    // the standard input ended
	FrameOut                      // bytes of the standard output
	FrameErr                      // bytes of the standard error
	FrameResize                   // the terminal's rows and columns, two bytes each
	FrameExit                     // the exit code, four bytes; the last frame
	FrameProblem                  // a Problem as JSON; the last frame
	FrameSignal                   // a signal's number, one byte
	frameKinds
)

// MaxFrame is the longest payload of a frame, in bytes.
const MaxFrame = 64 << 10

// Frame is one piece of a joined command's streams: a kind, a length in four bytes, big-endian, and the payload.
type Frame struct {
	Kind    FrameKind
	Payload []byte
}

const headLen = 5

// Frames writes frames. It is safe for concurrent use.
type Frames struct {
	mu sync.Mutex
	w  io.Writer
	b  []byte
}

// NewFrames returns a Frames that writes to w, one Write a frame.
func NewFrames(w io.Writer) *Frames { return &Frames{w: w} }

// Send writes payload in as many frames as it needs, at least one.
func (fs *Frames) Send(kind FrameKind, payload []byte) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for {
		n := min(len(payload), MaxFrame)
		fs.b = append(fs.b[:0], byte(kind))
		fs.b = binary.BigEndian.AppendUint32(fs.b, uint32(n))
		fs.b = append(fs.b, payload[:n]...)
		if _, err := fs.w.Write(fs.b); err != nil {
			return err
		}
		if payload = payload[n:]; len(payload) == 0 {
			return nil
		}
	}
}

// Resize sends a terminal's size.
func (fs *Frames) Resize(s rhumb.Size) error {
	b := binary.BigEndian.AppendUint16(nil, s.Rows)
	return fs.Send(FrameResize, binary.BigEndian.AppendUint16(b, s.Cols))
}

// Signal sends a signal.
func (fs *Frames) Signal(s os.Signal) error {
	n, ok := s.(syscall.Signal)
	if !ok {
		return fmt.Errorf("%v is no signal that has a number", s)
	}
	return fs.Send(FrameSignal, []byte{byte(n)})
}

// Exit sends how the command ended: its exit code, or an error.
func (fs *Frames) Exit(code int, err error) error {
	if err == nil {
		return fs.Send(FrameExit, binary.BigEndian.AppendUint32(nil, uint32(int32(code))))
	}
	p := NewProblem(err)
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if len(b) > MaxFrame { // too long to be read
		b, _ = json.Marshal(Problem{Code: p.Code, Msg: p.Msg[:min(len(p.Msg), 1000)]})
	}
	return fs.Send(FrameProblem, b)
}

// Stream returns a writer that sends what is written to it as frames of one kind.
func (fs *Frames) Stream(kind FrameKind) io.Writer { return frameStream{fs, kind} }

type frameStream struct {
	fs   *Frames
	kind FrameKind
}

func (s frameStream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.fs.Send(s.kind, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// FrameReader reads frames.
type FrameReader struct {
	r    io.Reader
	head [headLen]byte
	b    []byte
}

// NewFrameReader returns a FrameReader that reads from r.
func NewFrameReader(r io.Reader) *FrameReader { return &FrameReader{r: r} }

// Next returns the next frame. Its payload is valid until the next call. io.EOF comes only between two frames.
func (fr *FrameReader) Next() (Frame, error) {
	if _, err := io.ReadFull(fr.r, fr.head[:]); err != nil {
		return Frame{}, err
	}
	f := Frame{Kind: FrameKind(fr.head[0])}
	n := binary.BigEndian.Uint32(fr.head[1:])
	if f.Kind >= frameKinds {
		return Frame{}, fmt.Errorf("frame of unknown kind %d", f.Kind)
	}
	if n > MaxFrame {
		return Frame{}, fmt.Errorf("frame of %d bytes is longer than %d", n, MaxFrame)
	}
	if cap(fr.b) < int(n) {
		fr.b = make([]byte, n)
	}
	f.Payload = fr.b[:n]
	if _, err := io.ReadFull(fr.r, f.Payload); err != nil {
		return Frame{}, noEOF(err)
	}
	return f, nil
}

// Size returns the size in a resize frame.
func (f Frame) Size() (rhumb.Size, error) {
	if len(f.Payload) != 4 {
		return rhumb.Size{}, fmt.Errorf("resize frame of %d bytes", len(f.Payload))
	}
	return rhumb.Size{Rows: binary.BigEndian.Uint16(f.Payload), Cols: binary.BigEndian.Uint16(f.Payload[2:])}, nil
}

// maxSignal is the highest signal of Linux.
const maxSignal = 64

// Signal returns the signal in a signal frame.
func (f Frame) Signal() (os.Signal, error) {
	if len(f.Payload) != 1 || f.Payload[0] < 1 || f.Payload[0] > maxSignal {
		return nil, fmt.Errorf("%x is no signal", f.Payload[:min(len(f.Payload), 8)])
	}
	return syscall.Signal(f.Payload[0]), nil
}

// Exit returns the exit code in an exit frame, or the error in a problem frame.
func (f Frame) Exit() (int, error) {
	if f.Kind == FrameProblem {
		var p Problem
		if err := json.Unmarshal(f.Payload, &p); err != nil {
			return 0, fmt.Errorf("problem frame: %w", err)
		}
		return 0, p.Err()
	}
	if len(f.Payload) != 4 {
		return 0, fmt.Errorf("exit frame of %d bytes", len(f.Payload))
	}
	return int(int32(binary.BigEndian.Uint32(f.Payload))), nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
