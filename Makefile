# make help            what there is
.DEFAULT_GOAL := help
.PHONY: help setup build test

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: ## Debian packages that building needs
	@Tools/setup.sh

build: setup ## release build of the server
	swift build -c release --product martlet

test: setup ## everything that a change must pass
	swift build --build-tests
	SWIFT_BACKTRACE=enable=no swift test --skip-build
