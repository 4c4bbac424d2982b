package httpapi_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/httpapi"
	"rhumb/httpapi/wire"
)

// The canaries stand for what a user keeps secret.
const (
	canary       = "CANARYsecret"
	canaryNumber = "8675309"
)

// seen reports whether a canary is in text, in any form in which Go would print it.
func seen(text string) bool {
	return slices.ContainsFunc([]string{canary, canaryNumber, "8.675309", base64.StdEncoding.EncodeToString([]byte(canary)), fmt.Sprint([]byte(canary))},
		func(form string) bool { return strings.Contains(text, form) })
}

// canaries puts a canary into everything below v.
func canaries(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(1e9, 0).UTC()))
		return
	case v.Type() == reflect.TypeFor[[]byte]():
		v.SetBytes([]byte(canary))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" {
				canaries(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		canaries(v.Index(0))
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		canaries(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), value)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		canaries(v.Elem())
	case reflect.String:
		v.SetString(canary)
	case reflect.Bool:
		v.SetBool(true)
	default:
		v.Set(reflect.ValueOf(7).Convert(v.Type()))
	}
}

// wrong are values of all kinds. Most places in a request refuse them.
var wrong = []any{canary, json.Number(canaryNumber + "8675309867530986753"), []any{canary}, map[string]any{"x": canary},
	json.Number(canaryNumber + ".5"), []any{}, map[string]any{}, true, nil}

// mutants calls send with documents that differ from doc in one place: a value of another kind (two of all, the next
// two at the next place), a missing field, an unknown one. set puts a value in doc's place, and place counts the
// places.
func mutants(doc any, place *int, set func(any), send func()) {
	for range 2 {
		*place++
		set(wrong[*place%len(wrong)])
		send()
	}
	set(doc)
	switch d := doc.(type) {
	case map[string]any:
		d["NewField"] = canary
		send()
		delete(d, "NewField")
		for i, k := range slices.Sorted(maps.Keys(d)) {
			v := d[k]
			if i%3 == 0 { // a third will do: they take the same way
				delete(d, k)
				send()
				d[k] = v
			}
			mutants(v, place, func(v any) { d[k] = v }, send)
		}
	case []any:
		for i, v := range d {
			mutants(v, place, func(v any) { d[i] = v }, send)
		}
	}
}

// welcoming answers every request that carries secrets.
type welcoming struct{ rhumb.Server }

func (welcoming) Plan(context.Context, rhumb.DeployRequest) (rhumb.Plan, error) {
	return rhumb.Plan{}, nil
}
func (welcoming) Change(context.Context, rhumb.ChangeRequest) (rhumb.Deployment, error) {
	return rhumb.Deployment{}, nil
}
func (welcoming) Build(context.Context, rhumb.BuildRequest, io.Reader, func(rhumb.BuildProgress)) (rhumb.Image, error) {
	return rhumb.Image{}, nil
}

// form puts a request before the context of a build.
func form(t *testing.T, request []byte) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, content := range map[string][]byte{"request": request} {
		part, err := w.CreateFormField(name)
		if err == nil {
			_, err = part.Write(content)
		}
		if err == nil {
			_, err = w.CreateFormFile("context", "context.tar")
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return w.FormDataContentType(), b.Bytes()
}

func TestARefusedRequestRepeatsNoneOfItsValues(t *testing.T) {
	var log bytes.Buffer
	s := httptest.NewServer(httpapi.New(httpapi.All(welcoming{}), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	t.Cleanup(s.Close)
	for _, c := range []struct {
		path    string
		request any
	}{
		{"/stacks/shop/plan", &rhumb.DeployRequest{}},
		{"/stacks/shop/changes", &rhumb.ChangeRequest{}},
		{"/stacks/shop/services/web/exec", &wire.CommandRequest{}},
		{"/stacks/shop/services/web/builds", &rhumb.BuildRequest{}},
	} {
		t.Run(c.path, func(t *testing.T) {
			refused := 0
			send := func(what string, body []byte) {
				t.Helper()
				contentType := "application/json"
				if strings.HasSuffix(c.path, "builds") {
					contentType, body = form(t, body)
				}
				resp, err := http.Post(s.URL+"/v1"+c.path, contentType, bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode >= 400 {
					refused++
				}
				// The refusal names stacks and services if the path names another: they are no secrets.
				shown := strings.ReplaceAll(string(b), fmt.Sprintf(`the request \"%s\"`, canary), "")
				if seen(shown) || resp.StatusCode >= 500 {
					t.Errorf("%s: %d %.500s", what, resp.StatusCode, b)
				}
			}
			canaries(reflect.ValueOf(c.request).Elem())
			whole, err := json.Marshal(c.request)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(whole); i += 1 + len(whole)/40 {
				send("cut off", whole[:i])
				send("broken", slices.Concat(whole[:i], []byte("\x01"), whole[i:]))
			}
			dec := json.NewDecoder(bytes.NewReader(whole))
			dec.UseNumber()
			var doc any
			if err := dec.Decode(&doc); err != nil {
				t.Fatal(err)
			}
			mutants(doc, new(int), func(v any) { doc = v }, func() {
				body, err := json.Marshal(doc)
				if err != nil {
					t.Fatal(err)
				}
				send(fmt.Sprintf("%.200s", body), body)
			})
			if refused < 50 {
				t.Errorf("only %d were refused", refused)
			}
		})
	}
	if seen(log.String()) {
		t.Errorf("the log repeats it: %.500s", &log)
	}
}
