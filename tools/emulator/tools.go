//go:build tools

// Package tools names the emulator, so that `go mod tidy` keeps it and what it needs in go.sum.
// tools/stack/emulator_binary.py builds it.
package tools

import _ "github.com/onflow/flow-emulator/cmd/emulator"
