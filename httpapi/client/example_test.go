package client_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"

	"rhumb"
	"rhumb/httpapi"
	"rhumb/httpapi/client"
)

// shopServer is a server on which one stack is deployed.
type shopServer struct{ rhumb.Server }

func (shopServer) Status(_ context.Context, stack string) (rhumb.StackInfo, error) {
	if stack != "shop" {
		return rhumb.StackInfo{}, rhumb.Errorf(rhumb.NotFound, "stack %s isn't deployed", stack).
			WithHint("rhumb stacks lists those that are")
	}
	return rhumb.StackInfo{Name: "shop", Release: 42, Services: []rhumb.ServiceStatus{
		{Name: "db", Image: "postgres:17", Replicas: 1, Ready: 1},
		{Name: "web", Image: "shop-web:1f3c9a2", Replicas: 2, Ready: 1},
	}}, nil
}

// A Client calls a daemon. Errors are the daemon's own, with their codes and hints.
func Example() {
	server := httptest.NewServer(httpapi.New(httpapi.All(shopServer{}), slog.New(slog.DiscardHandler)))
	defer server.Close()
	c, err := client.New(server.URL) // or "unix:///run/rhumb/rhumb.sock", or "ssh://deploy@shop.example.com"
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	info, err := c.Status(context.Background(), "shop")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s@%d\n", info.Name, info.Release)
	for _, s := range info.Services {
		fmt.Printf("%s: %d of %d ready\n", s.Name, s.Ready, s.Replicas)
	}

	_, err = c.Status(context.Background(), "blog")
	fmt.Println(rhumb.ErrorCode(err) == rhumb.NotFound, err, "/", rhumb.ErrorHint(err))

	// Output:
	// shop@42
	// db: 1 of 1 ready
	// web: 1 of 2 ready
	// true stack blog isn't deployed / rhumb stacks lists those that are
}
