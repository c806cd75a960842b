package tidy

import (
	"go/ast"
	"go/constant"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// What the core is: packages that are the same code under a Host, in a
// simulation and under a fuzzer, because nothing in them depends on when and
// where they run. pkt is part of it but for its pools and reference counts.
var (
	deterministic = []string{"mono", "wire", "pkt", "cc", "trace", "tcp", "ip", "neigh", "icmp", "autoconf", "netem", "engine", "sim"}
	ignorant      = []string{"mono", "wire", "pkt", "cc", "trace", "tcp", "ip", "neigh", "icmp", "autoconf", "netem", "engine"}
	integers      = []string{"mono", "wire", "pkt", "cc", "tcp", "ip", "neigh", "icmp", "autoconf", "netem", "engine"}
	locks         = []string{"pkt"}
)

// below returns a filter for directories that are, or lie below, one of tops. A
// command that drives the core, such as sim/grid/cmd/grid, is not part of it.
func below(tops []string) func(string) bool {
	return func(dir string) bool {
		top, rest, _ := strings.Cut(dir, "/")
		return slices.Contains(tops, top) && !strings.Contains("/"+rest, "/cmd/")
	}
}

// clockNames is what package time offers beside arithmetic.
var clockNames = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Timer", "Ticker"}

func checkClock(t *Tree) []Finding {
	return t.selectors(deterministic, func(f *File, e *ast.SelectorExpr) string {
		for _, n := range clockNames {
			if f.is(e, "time", n) {
				return "time." + n + ": the caller says what time it is"
			}
		}
		return ""
	})
}

// seeded is what math/rand/v2 offers to those who bring the seed along.
var seeded = []string{"New", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "PCG", "ChaCha8", "Zipf", "Source"}

func checkRandom(t *Tree) []Finding {
	const v2 = "math/rand/v2"
	bad := t.imported(deterministic, func(dir, p string) string {
		if p == "math/rand" || p == "crypto/rand" || p == "hash/maphash" {
			return "imports " + p + ": the caller brings the seed"
		}
		return ""
	})
	return append(bad, t.selectors(deterministic, func(f *File, e *ast.SelectorExpr) string {
		if f.is(e, v2, e.Sel.Name) && !slices.Contains(seeded, e.Sel.Name) {
			return "rand." + e.Sel.Name + " draws from the process: the caller brings the seed"
		}
		return ""
	})...)
}

func checkGoroutines(t *Tree) []Finding {
	var bad []Finding
	for _, f := range t.code(below(deterministic)) {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.GoStmt:
				bad = append(bad, t.at(n.Pos(), "starts a goroutine"))
			case *ast.ChanType, *ast.SelectStmt, *ast.SendStmt:
				bad = append(bad, t.at(n.Pos(), "uses a channel"))
			}
			return true
		})
	}
	return bad
}

func checkLocks(t *Tree) []Finding {
	bad := t.imported(deterministic, func(dir, p string) string {
		if (p == "sync" || p == "sync/atomic") && !below(locks)(dir) {
			return "imports " + p + ": whoever calls the core brings the exclusion"
		}
		return ""
	})
	return append(bad, t.selectors(locks, func(f *File, e *ast.SelectorExpr) string {
		if f.is(e, "sync", e.Sel.Name) && e.Sel.Name != "Pool" {
			return "sync." + e.Sel.Name + ": pools and atomic counts are all that pkt may share"
		}
		return ""
	})...)
}

func checkSystem(t *Tree) []Finding {
	return t.imported(ignorant, func(dir, p string) string {
		switch {
		case p == "net", p == "syscall", p == "unsafe", p == "log", p == "C",
			p == "os", strings.HasPrefix(p, "os/"),
			p == "runtime", strings.HasPrefix(p, "runtime/"),
			strings.HasPrefix(p, "golang.org/x/sys"):
			return "imports " + p
		}
		return ""
	})
}

// floatMethods are the methods of time.Duration that return a float64.
var floatMethods = []string{"Hours", "Minutes", "Seconds"}

func checkFloats(t *Tree) []Finding {
	var bad []Finding
	for _, f := range t.code(below(integers)) {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				switch n.Name {
				case "float32", "float64", "complex64", "complex128":
					bad = append(bad, t.at(n.Pos(), "%s: machines do not agree on the last bit", n.Name))
				}
			case *ast.BasicLit:
				if v := constant.MakeFromLiteral(n.Value, n.Kind, 0); n.Kind == token.IMAG ||
					n.Kind == token.FLOAT && constant.ToInt(v).Kind() != constant.Int {
					bad = append(bad, t.at(n.Pos(), "%s is a floating-point constant: write integers", n.Value))
				}
			case *ast.AssignStmt:
				if n.Tok == token.DEFINE {
					bad = append(bad, t.floatValues(n.Rhs)...)
				}
			case *ast.GenDecl:
				for _, s := range n.Specs {
					if v, ok := s.(*ast.ValueSpec); ok && n.Tok == token.VAR && v.Type == nil {
						bad = append(bad, t.floatValues(v.Values)...)
					}
				}
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && len(n.Args) == 0 && slices.Contains(floatMethods, s.Sel.Name) {
					bad = append(bad, t.at(n.Pos(), "%s returns a float64", s.Sel.Name))
				}
			}
			return true
		})
	}
	return bad
}

// floatValues finds whole numbers such as 1e9 where they give a new variable its
// type, which is float64; elsewhere they are exact.
func (t *Tree) floatValues(values []ast.Expr) []Finding {
	var bad []Finding
	for _, e := range values {
		if lit, ok := ast.Unparen(e).(*ast.BasicLit); ok && lit.Kind == token.FLOAT {
			bad = append(bad, t.at(e.Pos(), "%s makes the variable a float64", lit.Value))
		}
	}
	return bad
}

// selectors asks about each selector expression of the packages in tops; a
// non-empty answer is a finding.
func (t *Tree) selectors(tops []string, ask func(*File, *ast.SelectorExpr) string) []Finding {
	var bad []Finding
	for _, f := range t.code(below(tops)) {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if e, ok := n.(*ast.SelectorExpr); ok {
				if text := ask(f, e); text != "" {
					bad = append(bad, t.at(e.Pos(), "%s", text))
				}
			}
			return true
		})
	}
	return bad
}

// imported asks about each import of the packages in tops.
func (t *Tree) imported(tops []string, ask func(dir, path string) string) []Finding {
	var bad []Finding
	for _, f := range t.code(below(tops)) {
		for _, im := range f.AST.Imports {
			if text := ask(f.Dir(), importPath(im)); text != "" {
				bad = append(bad, t.at(im.Pos(), "%s", text))
			}
		}
	}
	return bad
}

func importPath(im *ast.ImportSpec) string {
	p, err := strconv.Unquote(im.Path.Value)
	if err != nil {
		return im.Path.Value
	}
	return p
}
