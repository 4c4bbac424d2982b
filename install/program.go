package install

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/internal/atomicfile"
)

const askTime = 20 * time.Second // for a program to print its version

// ReadProgram reads a program from a file, or from a release archive with its SHA256SUMS in the same folder. It runs
// the program in dir, from which programs may run, to get its version.
func ReadProgram(ctx context.Context, file, dir string) (Program, error) {
	b, err := readFile(file)
	if err != nil {
		return Program{}, err
	}
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		if b, err = fromArchive(file, b); err != nil {
			return Program{}, err
		}
	}
	if err := runsHere(file, b); err != nil {
		return Program{}, err
	}
	return described(ctx, file, dir, b)
}

func readFile(path string) ([]byte, error) {
	b, err := atomicfile.Read(path, maxFile)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "%s can't be read: %w", path, err)
	}
	return b, nil
}

// fromArchive returns the program in a release archive, after it has verified the archive's checksum.
func fromArchive(path string, archive []byte) ([]byte, error) {
	sums := filepath.Join(filepath.Dir(path), "SHA256SUMS")
	list, err := readFile(sums)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "%s can't be verified: %w", path, err).
			WithHint("put the release's SHA256SUMS into the same folder")
	}
	sum := sha256.Sum256(archive)
	if !listed(string(list), filepath.Base(path), hex.EncodeToString(sum[:])) {
		return nil, rhumb.Errorf(rhumb.Invalid, "%s doesn't match %s: it is damaged, or from another release", path,
			sums).WithHint("download both again")
	}
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "%s: %w", path, err)
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			return nil, rhumb.Errorf(rhumb.Invalid, "%s contains no program: %w", path, err)
		}
		if h.Typeflag != tar.TypeReg || filepath.Base(h.Name) != "rhumb" {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(t, maxFile))
		if err != nil {
			return nil, rhumb.Errorf(rhumb.Invalid, "%s: %w", path, err)
		}
		return b, nil
	}
}

// listed reports whether a list in sha256sum's format has the file with that checksum.
func listed(list, name, sum string) bool {
	for line := range strings.Lines(list) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == sum &&
			strings.TrimPrefix(fields[1], "*") == name {
			return true
		}
	}
	return false
}

// machines are the names in Go and ELF of the machines that rhumb is built for.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// runsHere refuses a program for another machine. A program that isn't ELF is run later, which shows whether it
// works.
func runsHere(path string, program []byte) error {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // only read from
	if want, known := machines[runtime.GOARCH]; known && f.Machine != want {
		return rhumb.Errorf(rhumb.Invalid, "%s is a program for another machine: %s, and this is %s", path, f.Machine,
			runtime.GOARCH)
	}
	return nil
}

// InstalledProgram returns the installed program.
func InstalledProgram(ctx context.Context, path string) (Program, error) {
	b, err := readFile(path)
	if err != nil {
		return Program{}, err
	}
	return described(ctx, path, filepath.Dir(path), b)
}

// described runs a program from a folder to get its version.
func described(ctx context.Context, name, dir string, content []byte) (Program, error) {
	p := Program{Content: content}
	tmp, err := os.CreateTemp(dir, ".rhumb-new-")
	if err != nil {
		return p, rhumb.Errorf(rhumb.Denied, "the program can't be run: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Chmod(0o700), tmp.Close()); err != nil {
		return p, rhumb.Errorf(rhumb.Denied, "the program can't be run: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, tmp.Name(), "version", "--client", "--format", "json")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	var told struct {
		Client string
		Schema int
	}
	if err == nil {
		err = json.Unmarshal(out, &told)
	}
	if err != nil || told.Client == "" || told.Schema == 0 {
		return p, rhumb.Errorf(rhumb.Invalid, "%s is not a rhumb program that runs here: %w", name,
			errors.Join(err, ctx.Err())).
			WithHint("try it: %s version --client --format json", name)
	}
	p.Version, p.Schema = told.Client, told.Schema
	return p, nil
}

// OlderThan reports whether p's version is older than q's. It compares numbers, as in v1.2.3, and ignores what
// follows a dash. Other versions are never older.
func (p Program) OlderThan(q Program) bool {
	x, ok1 := numbers(p.Version)
	y, ok2 := numbers(q.Version)
	if !ok1 || !ok2 {
		return false
	}
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}

func numbers(version string) (n [3]int, ok bool) {
	v, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "-")
	parts := strings.Split(v, ".")
	if len(parts) != 3 {
		return n, false
	}
	for i, part := range parts {
		var err error
		if n[i], err = strconv.Atoi(part); err != nil {
			return n, false
		}
	}
	return n, true
}
