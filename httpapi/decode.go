package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"rhumb"
)

// maxValues is how many values the JSON of one request may have. A value of three bytes can take kilobytes once
// decoded. The largest real stacks have some thousands of values: the content of a file is one.
const maxValues = 100_000

// formats are the forms of requests and answers: JSON.
func formats() map[string]huma.Format {
	f := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: decode}
	return map[string]huma.Format{"application/json": f, "json": f}
}

// decode decodes a request's JSON into v. Its errors repeat nothing of the request, which may hold secrets.
func decode(data []byte, v any) error {
	if err := bounded(data); err != nil {
		return err
	}
	return withoutValues(json.Unmarshal(data, v))
}

// decodeStrictly is decode for requests without a schema: a field that v doesn't have is an error.
func decodeStrictly(data []byte, v any) error {
	if err := bounded(data); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return withoutValues(dec.Decode(v))
}

// bounded returns Invalid for JSON with too many values.
func bounded(data []byte) error {
	if values(data) > maxValues {
		return rhumb.Errorf(rhumb.Invalid, "the request has more than %d values", maxValues)
	}
	return nil
}

// values returns an upper bound of the number of values in a JSON text, valid or not.
func values(data []byte) int {
	n, quoted := 1, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}

// withoutValues returns a decoder's error without the values that the decoder quotes.
func withoutValues(err error) error {
	var broken *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &broken):
		return rhumb.Errorf(rhumb.Invalid, "the JSON is broken at byte %d", broken.Offset)
	case errors.As(err, &kind):
		return rhumb.Errorf(rhumb.Invalid, "%s doesn't fit in %s", kind.Field, kind.Type)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return rhumb.Errorf(rhumb.Invalid, "the JSON ends too early")
	case strings.HasPrefix(err.Error(), "json: unknown field "): // it has only the field's name
		return rhumb.Errorf(rhumb.Invalid, "%.200s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return rhumb.Errorf(rhumb.Invalid, "a value is not written as its kind is: base64, a time or an address")
}
