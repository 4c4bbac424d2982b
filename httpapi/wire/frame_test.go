package wire

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"rhumb"
)

func FuzzAnyBytesAreReadAsFramesOrRefused(f *testing.F) {
	var b bytes.Buffer
	fs := NewFrames(&b)
	fs.Send(FrameIn, []byte("hello"))
	fs.Resize(rhumb.Size{Rows: 24, Cols: 80})
	fs.Signal(os.Interrupt)
	fs.Exit(-1, nil)
	fs.Exit(0, rhumb.Errorf(rhumb.NotFound, "no such thing"))
	f.Add(b.Bytes())
	f.Add([]byte{3, 255, 255, 255, 255})
	f.Add([]byte{99, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		fr := NewFrameReader(bytes.NewReader(in))
		var again bytes.Buffer
		out := NewFrames(&again)
		for {
			fm, err := fr.Next()
			if err != nil {
				break
			}
			fm.Size()
			fm.Signal()
			fm.Exit()
			if err := out.Send(fm.Kind, fm.Payload); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(in, again.Bytes()) {
			t.Errorf("frames of %x are written as %x", in, again.Bytes())
		}
	})
}

func TestALongPayloadIsSplitAndComesOutWhole(t *testing.T) {
	var b bytes.Buffer
	sent := bytes.Repeat([]byte("0123456789"), 20_000)
	if err := NewFrames(&b).Send(FrameOut, sent); err != nil {
		t.Fatal(err)
	}
	var got []byte
	fr := NewFrameReader(&b)
	for {
		fm, err := fr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fm.Payload...)
	}
	if !bytes.Equal(sent, got) {
		t.Errorf("%d bytes came out as %d", len(sent), len(got))
	}
}

func TestAFrameThatIsCutOffIsNotAnOrdinaryEnd(t *testing.T) {
	for _, in := range [][]byte{{3, 0}, {3, 0, 0, 0, 9, 'a'}, {3, 0, 0, 0, 9}} {
		if _, err := NewFrameReader(bytes.NewReader(in)).Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v: got %v", in, err)
		}
	}
}

func TestAnExitCodeOrAnErrorSurvivesTheTrip(t *testing.T) {
	var b bytes.Buffer
	fs := NewFrames(&b)
	fs.Exit(137, nil)
	fs.Exit(0, &rhumb.Error{Code: rhumb.NotFound, Msg: "gone", Hint: "look"})
	fr := NewFrameReader(&b)
	fm, _ := fr.Next()
	if code, err := fm.Exit(); code != 137 || err != nil {
		t.Errorf("got %d, %v", code, err)
	}
	fm, _ = fr.Next()
	if _, err := fm.Exit(); rhumb.ErrorCode(err) != rhumb.NotFound || rhumb.ErrorHint(err) != "look" {
		t.Errorf("got %v", err)
	}
}

func TestOnlyANumberThatIsASignalsIsOne(t *testing.T) {
	for _, payload := range [][]byte{nil, {0}, {65}, {255}, {2, 2}} {
		if s, err := (Frame{FrameSignal, payload}).Signal(); err == nil {
			t.Errorf("%v is %v", payload, s)
		}
	}
	var b bytes.Buffer
	NewFrames(&b).Signal(os.Interrupt)
	f, err := NewFrameReader(&b).Next()
	if s, bad := f.Signal(); err != nil || bad != nil || s != os.Interrupt {
		t.Errorf("got %v, %v, %v", s, err, bad)
	}
}

func FuzzAnyLinesAreReadAsItemsOrRefused(f *testing.F) {
	f.Add([]byte("{\"end\":true}\n\n{\"event\":{\"ID\":1}}\n"))
	f.Add([]byte("{\"error\":{\"code\":\"invalid\",\"msg\":\"m\",\"errors\":[{}]}}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		is := NewItems(bytes.NewReader(in))
		for {
			it, err := is.Next()
			if err != nil {
				return
			}
			if it.Error != nil {
				_ = it.Error.Err().Error()
			}
		}
	})
}
