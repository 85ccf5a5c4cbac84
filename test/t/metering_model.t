#!/usr/bin/env bash
# metering_model.t
#	A simulated fleet against a plaintext model of the metering pipeline; see
#	test/metering/driver.py.  One check a seed, and one that all kinds of
#	events have occurred.
#
#	SEEDS=n		seeds 1 to n instead of 20
#	SEED=x		only this one
#	BASE=t		simulated time ends before t, seconds since 1970
#	DRIVER=two_keys	with two keys: see test/metering/two_keys.py

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
metering=$(cd "$(dirname "${BASH_SOURCE[0]}")/../metering" && pwd)
driver=${DRIVER:-driver}
workers=2
export EVENTS=$scratch/events PYTHONDONTWRITEBYTECODE=1

read -ra seeds <<<"${SEED:-$(seq -s ' ' "${SEEDS:-20}")}"
[ ${#seeds[@]} -ge $workers ] || workers=1

# Every worker has a server of its own, since its seeds crash it.
servers=()
stop_servers() {
	for CLUSTER in "${servers[@]}"; do cluster_stop; done
	clean_up
}
trap stop_servers EXIT

for ((worker = 0; worker < workers; worker++)); do
	own_server 'paillier.min_key_bits = 128' 'jit = off'
	servers+=("$CLUSTER")
	own=()
	for ((i = worker; i < ${#seeds[@]}; i += workers)); do own+=("${seeds[i]}"); done
	CLUSTER=$CLUSTER python3 "$metering/$driver.py" "${own[@]}" >"$scratch/results.$worker" &
done
wait

while read -r seed status description; do ok "$status" "seed $seed: $description"; done \
	< <(sort -n "$scratch"/results.*)
is "$tests" "${#seeds[@]}" "every seed has run"
if [ -z "${SEED:-}" ] && [ "${#seeds[@]}" -ge 20 ]; then
	is "$(python3 "$metering/$driver.py" --uncovered "$EVENTS")" "" "every kind of event has occurred"
fi
finish
