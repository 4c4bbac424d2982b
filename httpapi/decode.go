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

// maxValues is how many values the JSON of one request may have. Decoded, a value of three bytes can take kilobytes; the largest stacks
// that are deployed have some thousands of values, for the contents of files count as one each.
const maxValues = 100_000

// formats are the forms of requests and answers: JSON.
func formats() map[string]huma.Format {
	f := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: decode}
	return map[string]huma.Format{"application/json": f, "json": f}
}

// decode reads a request's JSON into v. Its errors repeat nothing of the request, which may hold secrets.
func decode(data []byte, v any) error {
	if err := bounded(data); err != nil {
		return err
	}
	return withoutValues(json.Unmarshal(data, v))
}

// decodeStrictly is decode for what has no schema: a field that v doesn't have is an error.
func decodeStrictly(data []byte, v any) error {
	if err := bounded(data); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return withoutValues(dec.Decode(v))
}

// bounded refuses JSON of too many values.
func bounded(data []byte) error {
	if values(data) > maxValues {
		return rhumb.Errorf(rhumb.Invalid, "the request has more than %d values", maxValues)
	}
	return nil
}

// values counts the values in a JSON text from above, whether the text is valid or not.
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

// withoutValues says of a decoder's error what and where it is. The decoder's own words quote the request.
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
	case strings.HasPrefix(err.Error(), "json: unknown field "): // the field's name is all there is
		return rhumb.Errorf(rhumb.Invalid, "%.200s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return rhumb.Errorf(rhumb.Invalid, "a value is not written as its kind is: base64, a time or an address")
}
