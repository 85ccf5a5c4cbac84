#!/bin/bash
# ciphertexts.t: damaged and forged ciphertexts are refused

. "$(dirname "$0")/lib.sh"

make_key 256 k.json
"$paillier" public --min-bits 128 k.json >p.json
encrypt --key p.json <<<12345 >good
is "the ciphertext is good" "$(decrypt --key k.json good)" 12345

# KIND MESSAGE: with the kind of damage, decryption fails, whether the column is named or not
damaged() {
	python3 "$reference" damage k.json "$1" <good | sed 's/^/7\t/' >bad
	fails "damaged: $1" 1 "^paillier: decrypt: bad: line 1, column 2: $2\$" decrypt --key k.json bad
	is "damaged: $1: nothing is written" "$(cat out)" ""
	fails "damaged: $1, in a column that is named" 1 "^paillier: decrypt: bad: line 1, column 2: $2\$" \
		decrypt --key k.json --column 2 bad
}

header='invalid ciphertext: header has invalid fields'
damaged version 'invalid ciphertext: format version is not supported'
damaged slot-bits "$header"
damaged slots "$header"
damaged exponent "$header"
damaged mantissa "$header"
damaged bound 'decrypted value lies outside the declared bound'
damaged id 'ciphertext is under key [0-9a-f]{32}, which was not given'
damaged zero 'invalid ciphertext: ciphertext is zero'
damaged square 'invalid ciphertext: ciphertext is not below the square of the modulus'
damaged above 'invalid ciphertext: ciphertext is not below the square of the modulus'
damaged multiple-n 'invalid ciphertext: ciphertext has a factor in common with the modulus'
damaged multiple-p 'invalid ciphertext: ciphertext has a factor in common with the modulus'
damaged bit 'decrypted value lies outside the declared bound'
damaged short 'invalid ciphertext: length is not valid'
damaged limb-short 'invalid ciphertext: length does not fit the key'
damaged long 'invalid ciphertext: length does not fit the key'
damaged very-long 'invalid ciphertext: length is not valid'
damaged character 'invalid ciphertext: not base64url text without padding'
damaged padding 'invalid ciphertext: not base64url text without padding'
damaged part 'invalid ciphertext: length is not valid'

# Bits of the header, one by one.  The scale, which is not covered by anything, moves the point.
python3 - <<'END'
import base64
text = open('good').read().strip()
wire = bytearray(base64.urlsafe_b64decode(text + '=' * (-len(text) % 4)))
with open('flipped', 'w') as out:
    for bit in range(28 * 8):
        if bit // 8 != 1:
            wire[bit // 8] ^= 1 << bit % 8
            out.write(base64.urlsafe_b64encode(wire).decode().rstrip('=') + '\n')
            wire[bit // 8] ^= 1 << bit % 8
END
accepted=0
while read -r line; do
	value=$(decrypt --key k.json --jobs 1 --column 1 <<<"$line" 2>/dev/null) && [ "$value" != 12345 ] &&
		accepted=$((accepted + 1))
done <flipped
is "no bit flipped in the header yields another value" $accepted 0

# ---- what is no ciphertext passes ----

printf '%s\n' hello AQMAAAAAACCAAAAA "$(printf 'A%.0s' {1..200})" "$("$paillier" id --min-bits 128 k.json)" >text
is "text that is no ciphertext" "$(decrypt --key k.json text)" "$(cat text)"

done_testing
