package sqlite

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"

	"rhumb"
)

const maxPlain = 1 << 30 // bytes of JSON that one sealed record may unpack to

// vault stores values as sealed, compressed JSON. Each has a label that says what it is, so that a record in the
// place of another is noticed.
type vault struct{ box Sealer }

type labelled struct {
	Label string
	Value any
}

func (v vault) seal(label string, value any) ([]byte, error) {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(z).Encode(labelled{label, value}); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return v.box.Seal(packed.Bytes())
}

func (v vault) open(label string, sealed []byte, into any) error {
	packed, err := v.box.Open(sealed)
	if err != nil {
		return wrap(err, "what is kept of %s can't be opened", label)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return wrap(err, "what is kept of %s can't be read", label)
	}
	got := labelled{Value: into}
	if err := json.NewDecoder(io.LimitReader(z, maxPlain)).Decode(&got); err != nil {
		return wrap(err, "what is kept of %s can't be read", label)
	}
	if got.Label != label {
		return rhumb.Errorf(rhumb.Internal, "what is kept of %s was put in the place of %s", got.Label, label).
			WithHint("the database was changed by hand; restore it from a backup")
	}
	return nil
}

// wrap puts the subject before an error and keeps its code and hint.
func wrap(err error, format string, args ...any) error {
	code := rhumb.ErrorCode(err)
	e := rhumb.Errorf(code, "%s: %w", fmt.Sprintf(format, args...), err)
	if hint := rhumb.ErrorHint(err); hint != "" {
		return e.WithHint("%s", hint)
	}
	return e
}
