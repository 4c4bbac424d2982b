package client_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// chooser fills values of any type, to find out whether the wire keeps them.
type chooser struct{ *rand.Rand }

// fill chooses everything below v; lists, maps and pointers are nil, empty or filled.
func (c chooser) fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(c.Int64N(1<<32), c.Int64N(1e9)).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			c.fill(v.Field(i))
		}
	case reflect.Slice:
		if n := c.IntN(4); n > 0 { // 0: nil, 1: empty
			v.Set(reflect.MakeSlice(v.Type(), n-1, n-1))
		}
		for i := range v.Len() {
			c.fill(v.Index(i))
		}
	case reflect.Map:
		if n := c.IntN(4); n > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n - 1 {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				c.fill(key)
				c.fill(value)
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Pointer:
		if c.IntN(2) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			c.fill(v.Elem())
		}
	case reflect.String:
		v.SetString([]string{"", "a", "<ü>\u2028\x00\\\""}[c.IntN(3)])
	case reflect.Bool:
		v.SetBool(c.IntN(2) > 0)
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, 1<<62 + 1}[c.IntN(4)])
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint([]uint64{0, 1, 255}[c.IntN(3)])
	case reflect.Float64:
		v.SetFloat([]float64{0, 0.25, -1e300}[c.IntN(3)])
	default:
		panic(fmt.Sprintf("no value is chosen for a %v", v.Type()))
	}
}

func TestWhatIsNilOrEmptyArrivesAsItWasSent(t *testing.T) {
	f := &fake{}
	c := serve(t, f)
	seed := rand.Uint64()
	for n := range uint64(300) {
		choose := chooser{rand.New(rand.NewPCG(seed, n))}
		var sent []any
		f.asked = nil
		var d rhumb.DeployRequest
		choose.fill(reflect.ValueOf(&d).Elem())
		d.Model.Name = "shop"
		if _, err := c.Plan(t.Context(), d); err != nil {
			t.Fatalf("seed %d, %d: plan: %v", seed, n, err)
		}
		if _, err := c.Deploy(t.Context(), d, func(rhumb.Event) {}); err != nil {
			t.Fatalf("seed %d, %d: deploy: %v", seed, n, err)
		}
		var ch rhumb.ChangeRequest
		choose.fill(reflect.ValueOf(&ch).Elem())
		ch.Stack = "shop"
		if _, err := c.Change(t.Context(), ch); err != nil {
			t.Fatalf("seed %d, %d: change: %v", seed, n, err)
		}
		sent = append(sent, d, d, ch)
		if diff := cmp.Diff(sent, f.asked); diff != "" {
			t.Fatalf("seed %d, %d: what arrives differs:\n%s", seed, n, diff)
		}
	}
}

func TestBuildsAndCommandsArriveAsTheyWereSent(t *testing.T) {
	f := &fake{}
	c := serve(t, f)
	seed := rand.Uint64()
	for n := range uint64(50) {
		choose := chooser{rand.New(rand.NewPCG(seed, n))}
		f.asked = nil
		var b rhumb.BuildRequest
		choose.fill(reflect.ValueOf(&b).Elem())
		b.Stack, b.Service = "shop", "web"
		if _, err := c.Build(t.Context(), b, strings.NewReader(""), func(rhumb.BuildProgress) {}); err != nil {
			t.Fatalf("seed %d, %d: build: %v", seed, n, err)
		}
		var o, arrived rhumb.ExecOptions
		for _, field := range []any{&o.Entrypoint, &o.Env, &o.User, &o.WorkingDir, &o.TTY, &o.Privileged} {
			choose.fill(reflect.ValueOf(field).Elem())
		}
		o.Command, o.TTY = []string{"deaf", ""}, false
		if _, err := c.Exec(t.Context(), "shop", "web", 1, o); err != nil {
			t.Fatalf("seed %d, %d: exec: %v", seed, n, err)
		}
		arrived, _ = f.asked[6].(rhumb.ExecOptions)
		if diff := cmp.Diff([]any{b, o}, []any{f.asked[0], arrived}); diff != "" {
			t.Fatalf("seed %d, %d: what arrives differs:\n%s", seed, n, diff)
		}
	}
}
