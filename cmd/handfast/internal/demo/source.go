package demo

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// RandomSize is how much Random serves unless told otherwise, in bytes.
const RandomSize = 16 << 20

// maxName bounds a name in the download protocol, in bytes: the shortest
// buffer that servers of it are known to read into.
const maxName = 1024

// Source is the file that host B serves.
type Source struct {
	Name string // as A asks for it
	Path string // where it is; "" for bytes made on the spot
	Size int64  // bytes expected
	Open func() (io.ReadCloser, error)
}

// String returns where the file is, or how it is called if it is nowhere.
func (s Source) String() string {
	if s.Path != "" {
		return s.Path
	}
	return s.Name
}

// Random returns a Source of size bytes that follow from the seed.
func Random(size int64, seed uint64) Source {
	return Source{Name: "random.bin", Size: size, Open: func() (io.ReadCloser, error) {
		var key [32]byte
		for i := range key {
			key[i] = byte(seed >> (8 * (i & 7)))
		}
		return io.NopCloser(io.LimitReader(rand.NewChaCha8(key), size)), nil
	}}
}

// File returns a Source that is a file of the machine. The error says why it
// cannot be read.
func File(path string) (Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return Source{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Source{}, err
	}
	fail := func(text string) (Source, error) {
		return Source{}, &fs.PathError{Op: "read", Path: path, Err: errors.New(text)}
	}
	name := filepath.Base(path)
	switch {
	case st.IsDir():
		return fail("it is a directory: give one file")
	case !st.Mode().IsRegular():
		return fail("it is not a regular file, so its size is not known")
	case len(name) > maxName:
		return fail("its name is too long to be sent as one message")
	}
	return Source{Name: name, Path: path, Size: st.Size(), Open: func() (io.ReadCloser, error) { return os.Open(path) }}, nil
}
