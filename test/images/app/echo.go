package main

import (
	"fmt"
	"io"
	"net"
	"time"
)

// echoTCP sends back what each connection sends, after STALL.
func echoTCP(addr string) error {
	if addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("echoing TCP on", l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, staller{c})
				_ = c.Close()
			}()
		}
	}()
	return nil
}

// staller waits for STALL after each read.
type staller struct{ io.Reader }

func (s staller) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	time.Sleep(time.Duration(faults.stall.Load()))
	return n, err
}

// echoUDP sends back each datagram, and to "who" the address of its sender.
func echoUDP(addr string) error {
	if addr == "" {
		return nil
	}
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	fmt.Println("echoing UDP on", c.LocalAddr())
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			answer := buf[:n]
			if string(answer) == "who" {
				answer = []byte(from.String())
			}
			_, _ = c.WriteTo(answer, from)
		}
	}()
	return nil
}
