// Command handfast is TCP/IP in user space at the command line.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/handfast/handfast/cmd/handfast/internal/term"
)

// The exit codes.
const (
	exitDone = iota
	exitFailed
	exitUsage
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// After the first signal the next one ends the process as usual.
	context.AfterFunc(ctx, stop)
	// A reader of our output that goes away must not kill the process in the
	// midst of its files: the write fails, and that ends the work in order.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(ctx)
	var stdout io.Writer = os.Stdout
	if !term.Look(os.Stdout, os.Getenv).Terminal {
		stdout = &output{os.Stdout, cancel}
	}
	os.Exit(run(ctx, os.Args[1:], stdout, os.Stderr))
}

// errOutput is why the work ends when nobody reads what it prints.
var errOutput = errors.New("the output was closed")

// output ends the work when it cannot be written to.
type output struct {
	w      io.Writer
	cancel context.CancelCauseFunc
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if err != nil {
		o.cancel(fmt.Errorf("%w: %w", errOutput, err))
	}
	return n, err
}

// run is the program: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	var failed *failure
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &failed):
		fmt.Fprintf(stderr, "%s: %v\n", cmd.CommandPath(), failed.err)
		return exitFailed
	}
	fmt.Fprintf(stderr, "%s: %v\nTry: %s --help\n", cmd.CommandPath(), strings.TrimSpace(err.Error()), cmd.CommandPath())
	return exitUsage
}

// failure marks an error of the work itself. All other errors that reach run
// are about the usage.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "handfast",
		Short: "TCP/IP in user space",
		Long: "handfast is TCP/IP in Go, in user space.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 wrong usage. Colours follow NO_COLOR.",
		Example: "  handfast demo\n  handfast demo --loss 2% --delay 40ms notes.pdf",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// run prints both, in one form.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newDemo(), newVersion())
	return root
}
