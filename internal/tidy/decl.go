package tidy

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

func checkDocComments(t *Tree) []Finding {
	var bad []Finding
	hasDoc, first := make(map[string]bool), make(map[string]*File)
	for _, f := range t.code(everywhere) {
		if first[f.Dir()] == nil {
			first[f.Dir()] = f
		}
		hasDoc[f.Dir()] = hasDoc[f.Dir()] || f.AST.Doc.Text() != ""
		if f.AST.Name.Name == "main" || ast.IsGenerated(f.AST) {
			continue
		}
		for _, d := range f.AST.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc.Text() == "" && ast.IsExported(receiver(d, d.Name.Name)) {
					bad = append(bad, t.at(d.Pos(), "%s is exported and has no doc comment", d.Name.Name))
				}
			case *ast.GenDecl:
				bad = append(bad, t.undocumented(d)...)
			}
		}
	}
	for dir, f := range first {
		if !hasDoc[dir] {
			bad = append(bad, Finding{Path: f.Path, Text: "no file of this package has a package comment"})
		}
	}
	return bad
}

// receiver returns the name of the type that d is a method of, or otherwise.
func receiver(d *ast.FuncDecl, otherwise string) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return otherwise
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return otherwise
		}
	}
}

// undocumented returns the exported names of d without a comment. Constants and
// variables of one group may share the group's comment, or one that names them
// above the first of them; types may not.
func (t *Tree) undocumented(d *ast.GenDecl) []Finding {
	var bad []Finding
	above := ""
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			alone := !d.Lparen.IsValid() && d.Doc.Text() != ""
			if s.Name.IsExported() && !alone && s.Doc.Text() == "" && s.Comment.Text() == "" {
				bad = append(bad, t.at(s.Pos(), "type %s is exported and has no doc comment", s.Name.Name))
			}
		case *ast.ValueSpec:
			if s.Doc.Text() != "" {
				above = s.Doc.Text()
			}
			if d.Doc.Text() != "" || s.Doc.Text() != "" || s.Comment.Text() != "" {
				continue
			}
			for _, n := range s.Names {
				if n.IsExported() && !strings.Contains(above, n.Name) {
					bad = append(bad, t.at(n.Pos(), "%s is exported and has no doc comment", n.Name))
				}
			}
		}
	}
	return bad
}

func checkInit(t *Tree) []Finding {
	var bad []Finding
	for _, f := range t.Files {
		if f.AST == nil || f.IsTest() || f.IsTestdata() {
			continue
		}
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				bad = append(bad, t.at(fn.Pos(), "init runs before anyone asked for it: make it a function that main or the test calls"))
			}
		}
	}
	return bad
}

// checkVariables accepts what is data in all but name: the blank identifier,
// sentinel errors, pools, composite literals, calls that only parse a constant,
// and calls of the package's own that return an array or a map; and then demands
// that nobody writes it.
func checkVariables(t *Tree) []Finding {
	var bad []Finding
	builders := t.tableBuilders()
	for _, f := range t.code(everywhere) {
		for _, d := range f.AST.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				spec := s.(*ast.ValueSpec)
				for i, n := range spec.Names {
					if n.Name != "_" && !f.isData(n.Name, spec, i, builders) {
						bad = append(bad, t.at(n.Pos(), "variable %s is neither a table, a sentinel error nor a pool", n.Name))
					}
				}
			}
		}
	}
	return append(bad, t.writtenTables()...)
}

var sentinelName = regexp.MustCompile(`^(?:Err|err)[A-Z0-9]`)

// constantCalls are the calls whose result is a constant that Go cannot write
// as one.
var constantCalls = map[string][]string{
	"net/netip":       {"MustParseAddr", "MustParsePrefix", "MustParseAddrPort", "AddrFrom4", "AddrFrom16", "PrefixFrom", "AddrPortFrom"},
	"regexp":          {"MustCompile"},
	"strings":         {"NewReplacer"},
	"errors":          {"New"},
	"hash/crc32":      {"MakeTable"},
	"encoding/base32": {"NewEncoding"},
	Module + "/wire":  {"AddrFrom", "AddrFrom4", "AddrFrom16"},
}

// tableBuilders returns the functions, by directory and name, that return an
// array, a slice or a map and nothing else.
func (t *Tree) tableBuilders() map[[2]string]bool {
	found := make(map[[2]string]bool)
	for _, f := range t.code(everywhere) {
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && returnsTable(fn.Type) {
				found[[2]string{f.Dir(), fn.Name.Name}] = true
			}
		}
	}
	return found
}

func returnsTable(ft *ast.FuncType) bool {
	if ft.Results == nil || len(ft.Results.List) != 1 {
		return false
	}
	switch ft.Results.List[0].Type.(type) {
	case *ast.ArrayType, *ast.MapType:
		return true
	}
	return false
}

func (f *File) isData(name string, spec *ast.ValueSpec, i int, builders map[[2]string]bool) bool {
	if f.is(spec.Type, "sync", "Pool") {
		return true
	}
	if i >= len(spec.Values) {
		// An embedded file is a table that lies outside the source.
		return spec.Doc.Text() != "" && f.imports["embed"] == "embed" && f.is(spec.Type, "embed", "FS")
	}
	if sentinelName.MatchString(name) {
		return true
	}
	switch v := ast.Unparen(spec.Values[i]).(type) {
	case *ast.CompositeLit:
		return f.is(v.Type, "sync", "Pool") || !f.mentions(v.Type, "sync", "sync/atomic")
	case *ast.UnaryExpr:
		lit, ok := v.X.(*ast.CompositeLit)
		return ok && v.Op == token.AND && !f.mentions(lit.Type, "sync", "sync/atomic")
	case *ast.CallExpr:
		switch fun := v.Fun.(type) {
		case *ast.Ident:
			return builders[[2]string{f.Dir(), fun.Name}]
		case *ast.FuncLit:
			return returnsTable(fun.Type)
		}
		for p, names := range constantCalls {
			for _, n := range names {
				if f.is(v.Fun, p, n) {
					return true
				}
			}
		}
	}
	return false
}

// mentions reports whether the type expression e names anything of the packages.
func (f *File) mentions(e ast.Expr, packages ...string) bool {
	found := false
	if e == nil {
		return false
	}
	ast.Inspect(e, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := s.X.(*ast.Ident); ok {
				for _, p := range packages {
					found = found || f.imports[id.Name] == p
				}
			}
		}
		return !found
	})
	return found
}

func checkReflection(t *Tree) []Finding {
	var bad []Finding
	for _, f := range t.code(everywhere) {
		for _, im := range f.AST.Imports {
			if p := importPath(im); p == "reflect" {
				bad = append(bad, t.at(im.Pos(), "imports reflect"))
			}
		}
	}
	return bad
}
