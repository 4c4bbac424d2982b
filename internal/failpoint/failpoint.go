// Package failpoint names the boundaries between the steps of what rhumb does, so that a test can have the process
// die there as by kill -9. Only a binary that is built with the tag failpoints can: in any other the calls are empty
// and gone.
//
// Such a binary is told by a folder whose path is in the environment. It adds the name of each point that it passes
// to one file there, and dies at the n-th pass of the point that another file names as "NAME:N". That file is gone by
// then.
package failpoint

// Folder is the variable that holds the folder's path; Passed and Kill are the files in it.
const (
	Folder = "RHUMB_FAILPOINTS"
	Passed = "passed"
	Kill   = "kill"
)
