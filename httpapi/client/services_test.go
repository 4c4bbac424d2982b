package client_test

import (
	"reflect"
	"strings"
	"testing"

	"rhumb"
	"rhumb/httpapi"
)

func TestAServiceThatIsNotOfferedIsUnsupported(t *testing.T) {
	for i := range reflect.TypeFor[httpapi.Services]().NumField() {
		field := reflect.TypeFor[httpapi.Services]().Field(i)
		t.Run(field.Name, func(t *testing.T) {
			s := httpapi.All(&fake{})
			reflect.ValueOf(&s).Elem().Field(i).SetZero()
			c := serveSome(t, s)
			for name, call := range calls {
				_, err := call(t.Context(), c)
				refused := rhumb.ErrorCode(err) == rhumb.Unsupported && strings.Contains(err.Error(), "this server doesn't offer ")
				if _, absent := field.Type.MethodByName(name); absent != refused {
					t.Errorf("%s: got %v", name, err)
				}
			}
		})
	}
}

func TestEveryMethodOfServerIsAServices(t *testing.T) {
	has := map[string]int{}
	for i := range reflect.TypeFor[httpapi.Services]().NumField() {
		service := reflect.TypeFor[httpapi.Services]().Field(i).Type
		for m := range service.NumMethod() {
			has[service.Method(m).Name]++
		}
	}
	server := reflect.TypeFor[rhumb.Server]()
	for m := range server.NumMethod() {
		if name := server.Method(m).Name; has[name] != 1 || calls[name] == nil {
			t.Errorf("%s is in %d services, and called by the contract: %v", name, has[name], calls[name] != nil)
		}
	}
}
