// Requirements prints the list of requirements that the tests' names make, or
// with -w writes it to docs/requirements.tsv:
//
//	go run ./internal/requirements/cmd/requirements -w
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/handfast/handfast/internal/requirements"
	"github.com/handfast/handfast/internal/tidy"
)

func main() {
	write := flag.Bool("w", false, "write "+requirements.File+" instead of printing it")
	flag.Parse()
	if err := run(*write); err != nil {
		fmt.Fprintln(os.Stderr, "requirements:", err)
		os.Exit(1)
	}
}

func run(write bool) error {
	root, err := tidy.Root(".")
	if err != nil {
		return err
	}
	tests, err := requirements.Scan(root)
	if err != nil {
		return err
	}
	lines := requirements.Lines(tests)
	text := requirements.Format(lines)
	if !write {
		_, err := os.Stdout.Write(text)
		return err
	}
	name := filepath.Join(root, filepath.FromSlash(requirements.File))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	fmt.Println(requirements.Summary(lines))
	return os.WriteFile(name, text, 0o644)
}
