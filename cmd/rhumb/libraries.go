package main

import (
	"io"
	"log"

	"github.com/sirupsen/logrus"
	"google.golang.org/grpc/grpclog"
)

// quietLibraries keeps libraries from writing to the terminal. Their errors are returned, not printed.
func quietLibraries() {
	log.SetOutput(io.Discard) // newLog redirects it to the log of a server or proxy
	logrus.SetOutput(io.Discard)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}
