# program.sh
#	Primitives and the program: multiplication, encryption, decryption, keys.
#	Sourced by run.

# Small programs of ours and the peers' for key sizes: gmp BITS MEASURE...
gmp() {
	local bits=$1
	shift
	record_lines "gmp/$bits/" < <($output/gmp "$bits" $seconds "$@")
}

# What the kernels do by themselves is measured beside the sums.
part_primitives() {
	say "multiplication by peers"
	for bits in 2048 3072; do
		rounds $many gmp $bits multiply openssl
	done
}

part_program() {
	say "encryption and decryption by the program"
	for bits in 2048 3072; do
		rounds $few measure_program $bits
	done
}

# Long enough that making the key's table counts as little as it does in use.
measure_program() {
	local number=$program_rows
	[ "$1" = 2048 ] || number=$((number / 3))
	command_rate program/$1/encrypt $number encrypt $1 $number 1
	command_rate program/$1/encrypt_jobs $number encrypt $1 $number
	gmp $1 textbook fixedbase decrypt
	record_lines kernel/$1/ < <($output/kernel $1 $seconds scheme)
	command_rate program/$1/decrypt $((number / 3)) decrypt $1 1 $((number / 3))
	command_rate program/$1/decrypt_jobs $((number / 3)) decrypt $1 "$(nproc)" $((number / 3))
	record_lines batch/$1/ < <($output/batch $1 0.3)
}
