// Package pending writes files that are either complete or not there: under a
// temporary name beside the final one until all is written, then renamed.
package pending

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// maxTries bounds the temporary names that are tried.
const maxTries = 100

// File is a file that is being written. It is not safe for concurrent use.
type File struct {
	f     *os.File
	final string
	done  bool
}

// Create begins a file that will be called name. It fails where name exists and
// is not a regular file: a directory or a device is never replaced.
func Create(name string) (*File, error) {
	if st, err := os.Stat(name); err == nil {
		switch {
		case st.IsDir():
			return nil, &fs.PathError{Op: "write", Path: name, Err: errors.New("it is a directory: give the name of a file")}
		case !st.Mode().IsRegular():
			return nil, &fs.PathError{Op: "write", Path: name, Err: errors.New("it is not a regular file")}
		}
	}
	for i := range maxTries {
		part := fmt.Sprintf("%s.%d-%d.part", name, os.Getpid(), i)
		f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil {
			return &File{f: f, final: name}, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			var pe *fs.PathError
			if errors.As(err, &pe) {
				err = pe.Err
			}
			return nil, &fs.PathError{Op: "write", Path: name, Err: err}
		}
	}
	return nil, &fs.PathError{Op: "write", Path: name, Err: errors.New("too many unfinished files beside it, *.part")}
}

// Name returns the final name.
func (p *File) Name() string { return p.final }

// Write appends to the file.
func (p *File) Write(b []byte) (int, error) { return p.f.Write(b) }

// Commit gives the file its final name, in place of whatever file had it. When
// it fails nothing is left.
func (p *File) Commit() error {
	if p.done {
		return fs.ErrClosed
	}
	part := p.f.Name()
	err := p.f.Close()
	if err == nil {
		err = os.Rename(part, p.final)
	}
	p.done = true
	if err != nil {
		os.Remove(part)
	}
	return err
}

// Discard removes the file, unless Commit or Discard was called before. A nil
// File has nothing to discard.
func (p *File) Discard() {
	if p == nil || p.done {
		return
	}
	p.done = true
	p.f.Close()
	os.Remove(p.f.Name())
}
