/*
 * cli_help.c
 *		The texts of --help.
 */
#include "cli.h"

const char	cli_help_program[] =
"paillier: keys, encryption and decryption for Paillier ciphertexts in PostgreSQL\n"
"\n"
"Numbers are encrypted here with a public key, added up in the database by the\n"
"extension \"paillier\" without being seen there, and their totals decrypted here\n"
"with the private key.\n"
"\n"
"  paillier keygen --out private.json                  make a private key\n"
"  paillier public private.json --out public.json      the public key of it\n"
"  paillier id public.json                             the id that ciphertexts show\n"
"  paillier encrypt --key public.json readings.csv     CSV to rows for COPY ... FROM\n"
"  paillier decrypt --key private.json totals.copy     rows of COPY ... TO to CSV\n"
"\n"
"From a file of readings to a bill, with nothing but ciphertexts in between:\n"
"\n"
"  paillier encrypt --key public.json --scale 3 readings.csv |\n"
"      psql -c \"COPY reading (meter, energy) FROM STDIN\"\n"
"  psql -c \"COPY (SELECT meter, sum(energy) FROM reading GROUP BY meter) TO STDOUT\" |\n"
"      paillier decrypt --key private.json > totals.csv\n"
"\n"
"  paillier COMMAND --help    more about a command, with all its options\n"
"  paillier --version         the version\n"
"\n"
"Exit status: 0, 1 for errors in data, files or keys, also where --keep-going left\n"
"lines out, 2 for errors in the command line.\n";

#define HELP_MIN_BITS(what) \
"  --min-bits N   smallest size of " what " (default 2048; down to 128 for\n" \
"                 tests and old data: such keys protect nothing)\n"

const char	cli_help_keygen[] =
"Usage: paillier keygen --out FILE [options]\n"
"\n"
"Make a private key and print its id to standard error.\n"
"\n"
"  paillier keygen --out private.json\n"
"\n"
"FILE is a JSON Web Key in the form of python-paillier.  Only its owner can read\n"
"it (mode 0600).  Keep it away from the database, and keep a copy: what was\n"
"encrypted is lost without it.  What others need is written by `paillier public`.\n"
"\n"
"Options:\n"
"  --out FILE     a new file, never one that exists; \"-\" is standard output\n"
"  --bits N       size of the key: even, up to 8192 (default 3072)\n"
HELP_MIN_BITS("a key")
"  --help         this text\n";

const char	cli_help_public[] =
"Usage: paillier public KEYFILE [options]\n"
"\n"
"Print the public key of a private one, to give to everyone who encrypts.\n"
"\n"
"  paillier public private.json --out public.json\n"
"  psql -v key=\"$(paillier public private.json)\" <<< \"SELECT paillier_register_key(:'key')\"\n"
"\n"
"The result is a JSON Web Key in the form of python-paillier.  A public key is\n"
"accepted too and written in the same form.\n"
"\n"
"Options:\n"
"  --out FILE     a new file, never one that exists (default: standard output)\n"
HELP_MIN_BITS("a key")
"  --help         this text\n";

const char	cli_help_id[] =
"Usage: paillier id KEYFILE [options]\n"
"\n"
"Print the id of a key: 32 hexadecimal digits, the same for a private key and its\n"
"public one.  Every ciphertext shows the id of its key.\n"
"\n"
"  paillier id public.json\n"
"\n"
"It is the first half of the SHA-256 digest of the modulus.\n"
"\n"
"Options:\n"
HELP_MIN_BITS("a key")
"  --help         this text\n";

const char	cli_help_encrypt[] =
"Usage: paillier encrypt --key PUBLIC [options] [FILE]\n"
"\n"
"Read CSV from FILE or standard input, encrypt one column or more, and write rows\n"
"for PostgreSQL's COPY ... FROM in its text format.\n"
"\n"
"  printf '%s\\n' 'm1,0.250' 'm2,-1.5' |\n"
"      paillier encrypt --key public.json --scale 3 |\n"
"      psql -c \"COPY reading (meter, energy) FROM STDIN\"\n"
"\n"
"Fields are separated by commas; those with commas, quotes or line breaks are in\n"
"double quotes.  An empty field without quotes is NULL and stays NULL.  Other\n"
"columns pass through.  Every row has as many columns as the first, and at most\n"
"1 MB.  Rows keep their order, and memory does not grow with their number.\n"
"\n"
"A ciphertext shows its key, the scale, and the width that was declared, but not\n"
"the value.  Sums fail before they could exceed the range of the key, by the\n"
"declared widths: 64 bits under a key of 2048 leave room for any real sum.\n"
"\n"
"Options:\n"
"  --key PUBLIC   the public key; needed\n"
"  --column C     a column to encrypt, by number from 1, or by name with --header\n"
"                 (default: the last one; repeat it for several)\n"
"  --header       the first line holds names: it is not written\n"
"  --scale N      decimal digits that are kept, 0 to 255 (default 0); a value with\n"
"                 more is an error\n"
"  --width N      bits declared for a signed number, in units of the scale\n"
"                 (default 64); a larger value shows the next multiple of 64\n"
"  --keep-going   leave lines that fail out and go on; the exit status is 1 if any did\n"
"  --failed FILE  with --keep-going: write them to FILE, as CSV: line, column, reason,\n"
"                 the text as it came; a new FILE can be read by its owner only\n"
"                 (default: a message for each on standard error)\n"
"  --jobs N       threads (default: one for each processor)\n"
"  --out FILE     where to write (default: standard output); FILE is overwritten\n"
"  --quiet        no progress; it is shown only on a terminal in any case\n"
HELP_MIN_BITS("the key")
"  --help         this text\n";

const char	cli_help_decrypt[] =
"Usage: paillier decrypt --key PRIVATE [options] [FILE]\n"
"\n"
"Read rows of PostgreSQL's COPY ... TO in its text format from FILE or standard\n"
"input, decrypt the ciphertexts in them, and write CSV.\n"
"\n"
"  psql -c \"COPY (SELECT meter, sum(energy) FROM reading GROUP BY meter) TO STDOUT\" |\n"
"      paillier decrypt --key private.json > totals.csv\n"
"\n"
"The private key stays on this machine: the database never sees it.  Every value\n"
"is checked against the bound that its ciphertext declares, so that a damaged one\n"
"is an error.  Other fields pass through, and so does NULL, as an empty field.\n"
"\n"
"Options:\n"
"  --key PRIVATE  a private key; needed, repeat it for several\n"
"  --column C     a column to decrypt, by number from 1, or by name with --header;\n"
"                 anything but ciphertexts and NULL in it is an error (default:\n"
"                 every field that is a ciphertext is decrypted)\n"
"  --header       the first line holds names, as COPY ... WITH (HEADER) writes\n"
"                 them: it becomes the first line of the CSV\n"
"  --keep-going   leave lines that fail out and go on; the exit status is 1 if any did\n"
"  --failed FILE  with --keep-going: write them to FILE, as CSV: line, column, reason,\n"
"                 the text as it came; a new FILE can be read by its owner only\n"
"                 (default: a message for each on standard error)\n"
"  --jobs N       threads (default: one for each processor)\n"
"  --out FILE     where to write (default: standard output); FILE is overwritten,\n"
"                 a new one can be read by its owner only\n"
"  --quiet        no progress; it is shown only on a terminal in any case\n"
HELP_MIN_BITS("a key")
"  --help         this text\n";
