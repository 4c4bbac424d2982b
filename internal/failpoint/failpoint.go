// Package failpoint names the boundaries between rhumb's steps, so that a test can kill the process there, as kill -9
// does. Only a binary built with the tag failpoints can do that; in any other binary the calls do nothing.
//
// Such a binary finds its instructions in a folder, whose path is in the environment. It appends the name of each
// point that it passes to one file there. Another file says "NAME:N": the process dies at the N-th pass of that
// point, after it has removed the file.
package failpoint

// Folder is the variable that holds the folder's path; Passed and Kill are the files in it.
const (
	Folder = "RHUMB_FAILPOINTS"
	Passed = "passed"
	Kill   = "kill"
)
