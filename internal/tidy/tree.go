package tidy

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Module is the path of the library's module.
const Module = "github.com/handfast/handfast"

// maxFile is the size in bytes above which a file is data, not text.
const maxFile = 1 << 20

// Tree is a repository, or the part of one that an example needs.
type Tree struct {
	Files   []*File
	fset    *token.FileSet
	excuses []*excuse
}

// File is one text file of a Tree.
type File struct {
	Path string // relative to the root, with slashes
	Src  []byte
	AST  *ast.File // nil if this is not Go or does not parse
	Err  error     // why it does not parse

	imports map[string]string // local name to import path
}

// Root returns the directory of the library's go.mod, looking upwards from dir.
func Root(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module "+Module+"\n") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("tidy: no go.mod of " + Module + " above the working directory")
		}
		dir = up
	}
}

// Load reads the repository at root: what git tracks and what it would track,
// or all files where git does not answer.
func Load(root string) (*Tree, error) {
	paths, err := list(root)
	if err != nil {
		return nil, err
	}
	t := NewTree()
	for _, p := range paths {
		name := filepath.Join(root, filepath.FromSlash(p))
		st, err := os.Lstat(name)
		if err != nil || !st.Mode().IsRegular() || st.Size() > maxFile {
			continue // deleted but still tracked, a link, or data
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if !bytes.ContainsRune(src, 0) {
			t.Add(p, src)
		}
	}
	return t, nil
}

func list(root string) ([]string, error) {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	if out, err := cmd.Output(); err == nil {
		return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }), nil
	}
	var paths []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, name)
		paths = append(paths, filepath.ToSlash(rel))
		return err
	})
	return paths, err
}

// NewTree returns an empty Tree.
func NewTree() *Tree { return &Tree{fset: token.NewFileSet()} }

// Add parses src and adds it as the file at path. A file that does not parse is
// added all the same; the rule "gofmt" reports it.
func (t *Tree) Add(path string, src []byte) {
	f := &File{Path: path, Src: src}
	t.Files = append(t.Files, f)
	if !f.IsGo() {
		return
	}
	f.AST, f.Err = parser.ParseFile(t.fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
	if f.Err != nil {
		f.AST = nil
		return
	}
	f.imports = make(map[string]string)
	for _, im := range f.AST.Imports {
		p, _ := strconv.Unquote(im.Path.Value)
		f.imports[importName(im, p)] = p
	}
	t.excuses = append(t.excuses, t.findExcuses(f)...)
}

// importName returns the name under which a file knows the import path p: its
// last element, or the one before a major version.
func importName(im *ast.ImportSpec, p string) string {
	if im.Name != nil {
		return im.Name.Name
	}
	base := path.Base(p)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(p))
	}
	return base
}

// IsGo reports whether the file is Go source.
func (f *File) IsGo() bool { return strings.HasSuffix(f.Path, ".go") }

// IsTest reports whether the file is compiled only into tests.
func (f *File) IsTest() bool { return strings.HasSuffix(f.Path, "_test.go") }

// IsTestdata reports whether the file is data of a test.
func (f *File) IsTestdata() bool { return strings.Contains("/"+f.Path, "/testdata/") }

// InLibrary reports whether the file belongs to the library's module rather
// than to the command's or the benchmarks'.
func (f *File) InLibrary() bool {
	return !strings.HasPrefix(f.Path, "cmd/") && !strings.HasPrefix(f.Path, "bench/")
}

// Dir returns the directory of the file, "." for the root.
func (f *File) Dir() string { return path.Dir(f.Path) }

// lines returns the number of lines of the file.
func (f *File) lines() int {
	n := bytes.Count(f.Src, []byte("\n"))
	if len(f.Src) > 0 && f.Src[len(f.Src)-1] != '\n' {
		n++
	}
	return n
}

// is reports whether e is name of the package imported from path.
func (f *File) is(e ast.Expr, path, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	id, ok := s.X.(*ast.Ident)
	return ok && f.imports[id.Name] == path
}

// code returns the library's Go files that are not tests and that keep accepts
// by their directory.
func (t *Tree) code(keep func(dir string) bool) []*File {
	var fs []*File
	for _, f := range t.Files {
		if f.AST != nil && f.InLibrary() && !f.IsTest() && !f.IsTestdata() && keep(f.Dir()) {
			fs = append(fs, f)
		}
	}
	return fs
}

func everywhere(string) bool { return true }

// at makes a Finding at a position.
func (t *Tree) at(pos token.Pos, format string, args ...any) Finding {
	p := t.fset.Position(pos)
	return Finding{Path: p.Filename, Line: p.Line, Text: fmt.Sprintf(format, args...)}
}

func (t *Tree) line(pos token.Pos) int { return t.fset.Position(pos).Line }
