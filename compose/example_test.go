package compose_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"rhumb"
	"rhumb/compose"
)

func ExampleLoad() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	p, err := compose.Load(context.Background(), compose.Options{
		Dir:     dir,
		Name:    "shop",
		Files:   []string{"-"},
		Environ: []string{"TAG=1.4"},
		Stdin: strings.NewReader(`
services:
  web:
    image: registry.example.com/web:${TAG}
    ports: ["8080:80"]
    volumes: ["data:/var/lib/web"]
    deploy: {replicas: 1}
volumes:
  data:
`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("stack", p.Stack.Name)
	for _, s := range p.Stack.Services {
		fmt.Println("service", s.Name, "runs", s.Container.Image, "in order", s.Order)
	}
	// Output:
	// stack shop
	// service web runs registry.example.com/web:1.4 in order stop-first
}

// Mistakes have the line in the file, and a hint.
func ExampleLoad_mistakes() {
	_, err := compose.Load(context.Background(), compose.Options{
		Name:  "shop",
		Files: []string{"-"},
		Stdin: strings.NewReader("services:\n  web:\n    imgae: web\n    restart: sometimes\n"),
	})
	var all rhumb.Errors
	if errors.As(err, &all) {
		for _, e := range all {
			fmt.Printf("%s: %s (%s)\n", e.At, e.Msg, e.Hint)
		}
	}
	// Output:
	// stdin:3: web.imgae: unknown field (did you mean image?)
	// stdin:4: web.restart: unknown policy "sometimes" (choose always, unless-stopped, on-failure[:times] or "no")
}
