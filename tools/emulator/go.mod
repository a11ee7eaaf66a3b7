module emulator-build

go 1.25.1

require github.com/onflow/flow-emulator v1.20.0
