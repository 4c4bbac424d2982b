package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"time"
)

// do does one thing after the other: what hooks and one-offs of the tests are made of.
func do(words []string) {
	for ; len(words) > 1; words = words[2:] {
		switch verb, arg := words[0], os.ExpandEnv(words[1]); verb {
		case "print":
			fmt.Println(arg)
		case "note":
			note(arg)
		case "sleep":
			time.Sleep(duration(arg, 0))
		case "get":
			check(arg)
		case "resolve":
			if addrs, err := net.LookupHost(arg); err == nil {
				log.Fatalf("%s is %v", arg, addrs)
			}
		case "exit":
			command(verb, arg)
		default:
			log.Fatalf("unknown verb %q", verb)
		}
	}
}

// note adds a line to the file NOTES, if there is one.
func note(line string) {
	name := os.Getenv("NOTES")
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, line); err != nil {
		log.Fatal(err)
	}
}
