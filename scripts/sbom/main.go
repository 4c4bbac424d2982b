// Command sbom writes the bill of materials of a Go program, as SPDX 2.3 in JSON: the modules that the linker wrote
// into it, with their checksums. The time in it is SOURCE_DATE_EPOCH, so that it is the same whenever it is made.
//
//	sbom -version VERSION PROGRAM
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

func main() {
	version := flag.String("version", "unknown", "of the program")
	flag.Parse()
	if err := run(flag.Arg(0), *version, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(program, version string, w io.Writer) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	made, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(describe(info, version, sha256.Sum256(content), time.Unix(made, 0).UTC()))
}

// The parts of SPDX in use.
type (
	document struct {
		Version       string         `json:"spdxVersion"`
		License       string         `json:"dataLicense"`
		ID            string         `json:"SPDXID"`
		Name          string         `json:"name"`
		Namespace     string         `json:"documentNamespace"`
		Creation      creation       `json:"creationInfo"`
		Packages      []pkg          `json:"packages"`
		Relationships []relationship `json:"relationships"`
	}
	creation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	pkg struct {
		Name      string     `json:"name"`
		ID        string     `json:"SPDXID"`
		Version   string     `json:"versionInfo"`
		Download  string     `json:"downloadLocation"`
		Analyzed  bool       `json:"filesAnalyzed"`
		Concluded string     `json:"licenseConcluded"`
		Declared  string     `json:"licenseDeclared"`
		Copyright string     `json:"copyrightText"`
		Checksums []checksum `json:"checksums,omitempty"`
		Refs      []ref      `json:"externalRefs,omitempty"`
	}
	checksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	ref struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	relationship struct {
		From string `json:"spdxElementId"`
		Type string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	}
)

const noAssertion = "NOASSERTION"

// describe is pure: it returns the same document for the same program.
func describe(info *debug.BuildInfo, version string, sum [32]byte, made time.Time) document {
	digest := hex.EncodeToString(sum[:])
	d := document{Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: "rhumb-" + version,
		Namespace: "https://spdx.org/spdxdocs/rhumb-" + version + "-" + digest,
		Creation:  creation{made.Format(time.RFC3339), []string{"Tool: rhumb-sbom"}}}
	main := module("rhumb", version, "SPDXRef-rhumb")
	main.Declared = "Apache-2.0"
	main.Checksums = []checksum{{"SHA256", digest}}
	d.Packages = append(d.Packages, main, module("std", strings.TrimPrefix(info.GoVersion, "go"), "SPDXRef-std"))
	for i, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		p := module(m.Path, m.Version, fmt.Sprintf("SPDXRef-module-%d", i+1))
		if b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(b) == sha256.Size {
			p.Checksums = []checksum{{"SHA256", hex.EncodeToString(b)}} // the hash of the module's files, as in go.sum
		}
		d.Packages = append(d.Packages, p)
	}
	d.Relationships = append(d.Relationships, relationship{d.ID, "DESCRIBES", main.ID})
	for _, p := range d.Packages[1:] {
		d.Relationships = append(d.Relationships, relationship{main.ID, "DEPENDS_ON", p.ID})
	}
	return d
}

func module(path, version, id string) pkg {
	return pkg{Name: path, ID: id, Version: version, Download: noAssertion, Concluded: noAssertion, Declared: noAssertion,
		Copyright: noAssertion,
		Refs:      []ref{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + version}}}
}
