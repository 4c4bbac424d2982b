package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"
)

// count writes numbered lines until ctx ends, and then "last N". COUNT is how many it writes a second, and LENGTH how
// long each is. Every seventh goes to standard error.
func count(ctx context.Context) {
	rate, err := strconv.Atoi(os.Getenv("COUNT"))
	if err != nil || rate < 1 {
		log.Fatalf("COUNT=%s is no rate", os.Getenv("COUNT"))
	}
	length, _ := strconv.Atoi(os.Getenv("LENGTH")) // without it the lines are short
	pad := strings.Repeat("x", max(0, length-len("line 123456 ")))
	begun := time.Now()
	for n := 0; ; {
		for due := int(time.Since(begun).Seconds() * float64(rate)); n < due; {
			n++
			out := os.Stdout
			if n%7 == 0 {
				out = os.Stderr
			}
			fmt.Fprintf(out, "line %d %s\n", n, pad)
		}
		select {
		case <-ctx.Done():
			fmt.Println("last", n)
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}
