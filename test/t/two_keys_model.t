#!/usr/bin/env bash
# two_keys_model.t
#	The same as metering_model.t with two keys; see test/metering/two_keys.py.

DRIVER=two_keys SEEDS=${SEEDS:-8} exec "$(dirname "${BASH_SOURCE[0]}")/metering_model.t"
