package main

import (
	"io"
	"log"

	"github.com/sirupsen/logrus"
	"google.golang.org/grpc/grpclog"
)

// quietLibraries keeps libraries from writing to the terminal by themselves. What they have to say, they return.
func quietLibraries() {
	log.SetOutput(io.Discard) // newLog leads it into the log of a server or proxy
	logrus.SetOutput(io.Discard)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}
