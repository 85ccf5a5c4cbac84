/*
 * pg_paillier.h
 *		What the server files share: the layout of the types, the key cache, and
 *		the one way from a result code to an error.
 */
#ifndef PG_PAILLIER_H
#define PG_PAILLIER_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/numeric.h"

#include "codec.h"
#include "jwk.h"
#include "paillier.h"
#include "pg_compat.h"

/* ---- types ---- */

/* paillier_ciphertext */
typedef struct PaillierCiphertext
{
	int32		vl_len_;
	paillier_header header;
	mp_limb_t	c[FLEXIBLE_ARRAY_MEMBER];
} PaillierCiphertext;

StaticAssertDecl(offsetof(PaillierCiphertext, c) == 32, "a ciphertext has a header of 32 bytes");

#define CIPHERTEXT_SIZE(limbs)		(offsetof(PaillierCiphertext, c) + (limbs) * sizeof(mp_limb_t))
#define CIPHERTEXT_LIMBS(ct)		((int) ((VARSIZE(ct) - offsetof(PaillierCiphertext, c)) / sizeof(mp_limb_t)))
#define PG_GETARG_CIPHERTEXT(i)		((PaillierCiphertext *) PG_DETOAST_DATUM(PG_GETARG_DATUM(i)))

/* paillier_public_key; the id is that of n, computed when the value is made */
typedef struct PaillierPublicKey
{
	int32		vl_len_;
	uint8		version;
	uint8		djn;
	uint16		reserved;
	uint8		id[PAILLIER_KEY_ID_LENGTH];
	mp_limb_t	n[FLEXIBLE_ARRAY_MEMBER];
} PaillierPublicKey;

#define PUBLIC_KEY_SIZE(limbs)		(offsetof(PaillierPublicKey, n) + (limbs) * sizeof(mp_limb_t))
#define PUBLIC_KEY_LIMBS(key)		((int) ((VARSIZE(key) - offsetof(PaillierPublicKey, n)) / sizeof(mp_limb_t)))
#define PG_GETARG_PUBLIC_KEY(i)		((PaillierPublicKey *) PG_DETOAST_DATUM(PG_GETARG_DATUM(i)))

/* ---- settings (pg_module.c) ---- */

extern int	paillier_min_key_bits;
extern const paillier_kernel *paillier_kernel_in_use;

/* A paillier_random: the operating system's. */
extern int	paillier_server_random(void *state, void *out, size_t len);

/* ---- errors (pg_error.c) ---- */

/* What was read or computed, as messages name it. */
typedef enum PaillierThing
{
	THING_CIPHERTEXT,
	THING_SUMMAND,				/* a ciphertext that is in a sum already */
	THING_SUM,
	THING_PUBLIC_KEY,
	THING_PRIVATE_KEY,
	THING_NUMBER,
	THING_WEIGHT,
	THING_PLAINTEXT,
	THING_BLINDING_TABLE
} PaillierThing;

/*
 * Raise the error of a result code.  Input functions name the SQLSTATE of what they
 * cannot parse.
 */
extern void paillier_raise_parse(paillier_result result, PaillierThing thing, int parse_sqlstate)
			pg_attribute_noreturn();
extern void paillier_raise(paillier_result result, PaillierThing thing) pg_attribute_noreturn();

static inline void
paillier_require(paillier_result result, PaillierThing thing)
{
	if (unlikely(result != PAILLIER_OK))
		paillier_raise(result, thing);
}

/* Key ids for messages: palloc'd text. */
extern char *paillier_key_id_text(const uint8 *id);

/* ---- keys (pg_key.c) ---- */

/* The id of a modulus: the first 16 bytes of SHA-256 of its minimal big-endian bytes. */
extern void paillier_modulus_id(uint8 *id, const mp_limb_t *n, int limbs);

/* A new public key value for a modulus that has been checked. */
extern PaillierPublicKey *paillier_public_key_make(const mp_limb_t *n, int limbs, bool djn);

/* Whether a value of whatever type is the public key with this id. */
extern bool paillier_public_key_has_id(const PaillierPublicKey *value, const uint8 *id);

/* The size of its modulus. */
extern int	paillier_public_key_bits(const PaillierPublicKey *key);

/* Refuse to use a key that is shorter than paillier.min_key_bits. */
extern void paillier_check_key_bits(int bits);

/* ---- JSON Web Keys (pg_jwk.c) ---- */

/*
 * Read the members of a key from JSON text of `len` bytes; the strings are
 * palloc'd.  Errors never show the text.  With `pub` not NULL the text is a
 * private key, and *pub receives the members of its "pub".
 */
extern void paillier_jwk_parse(const char *text, size_t len, paillier_jwk *jwk, paillier_jwk *pub);

/* Overwrite and free the strings. */
extern void paillier_jwk_wipe(paillier_jwk *jwk);

/* ---- the registry (pg_registry.c) ---- */

/*
 * The public key with an id, palloc'd, from the registry in the extension's
 * schema; NULL where it is not there, error where there is no registry.
 */
extern PaillierPublicKey *paillier_registry_find(Oid schema, const uint8 *id);

/* ---- the key cache (pg_cache.c) ---- */

/* What this backend holds of one modulus; lives until the cache is emptied by a later look-up. */
typedef struct PaillierKey
{
	uint8		id[PAILLIER_KEY_ID_LENGTH];
	bool		registered;		/* seen in the registry */
	paillier_public pub;
	MemoryContext memory;		/* what is made of the key on demand; goes with it */
	int			powers;			/* levels made of the table below (pg_radix.c) */
	mp_limb_t  *power[13];		/* R^(d·32^i + 1) mod n² for d = 1 … 31, residues */
	struct PaillierBlinding *blinding;	/* pg_blind.c */
} PaillierKey;

/* The registered key with an id: from the cache, NULL where it is not there … */
extern PaillierKey *paillier_key_cached(const uint8 *id);

/* … from the registry in the extension's schema, error where it is not there … */
extern PaillierKey *paillier_key_load(Oid schema, const uint8 *id);

/* … or from either, for functions of the extension: error, or NULL, where it is in none. */
extern PaillierKey *paillier_key_lookup(FunctionCallInfo fcinfo, const uint8 *id);
extern PaillierKey *paillier_key_find(FunctionCallInfo fcinfo, const uint8 *id);

/* The key of a public key value. */
extern PaillierKey *paillier_key_of(const PaillierPublicKey *value);

/* The same for a ciphertext; checks that its length is that of the key and its value below n². */
extern PaillierKey *paillier_key_of_ciphertext(FunctionCallInfo fcinfo, const PaillierCiphertext *ct);

/* Scratch for one call into the core, PAILLIER_BLIND_SCRATCH limbs for any key in use. */
extern mp_limb_t *paillier_scratch(const PaillierKey *key);

/* ---- lost factors (pg_radix.c) ---- */

/* limbs = the residue a times R^lost, below n² */
extern void paillier_key_restore(PaillierKey *key, mp_limb_t *limbs, const mp_limb_t *a, uint64 lost);

/* out = the residue a times R^lost, in Montgomery form; out may be a */
extern void paillier_key_enter(PaillierKey *key, mp_limb_t *out, const mp_limb_t *a, uint64 lost);

/* ---- blinding (pg_blind.c) ---- */

/*
 * paillier_encrypt() and paillier_rerandomize() for one ciphertext.  Tables are
 * made once they pay, and in a transaction that needs many blinding factors
 * these are made eight at a time.
 */
extern paillier_result paillier_key_encrypt(PaillierKey *key, mp_limb_t *c, const paillier_plaintext *m);
extern paillier_result paillier_key_rerandomize(PaillierKey *key, mp_limb_t *c);

/* ---- numbers (pg_numeric.c) ---- */

/* A plaintext or a public factor: sign, magnitude and decimal scale. */
typedef struct PaillierInteger
{
	bool		negative;
	int			scale;
	int			limbs;			/* of mag that may be used */
	mp_limb_t	mag[PAILLIER_MAX_N_LIMBS];
} PaillierInteger;

/*
 * The integer value·10^scale; with scale < 0 the scale is that of the value.
 * Errors for NaN, infinity, digits beyond the scale, and what exceeds the limbs.
 */
extern void paillier_integer_from_numeric(PaillierInteger *out, Numeric value, int scale, int limbs);

/*
 * A public factor of at most so many limbs without the zeros at the end of its
 * fraction, nor leading zero limbs: value = ±mag·10^-scale, and value has as many
 * digits after the point as `scale` and *zeros together.
 */
extern void paillier_factor_from_numeric(PaillierInteger *out, int *zeros, Numeric value, int limbs);

/* Destroys in->mag. */
extern Numeric paillier_integer_to_numeric(PaillierInteger *in);

/* 10^power as a public factor; power is at most PAILLIER_MAX_SCALE. */
extern void paillier_power_of_ten(PaillierInteger *out, int power);

/* ---- ciphertexts (pg_ciphertext.c) ---- */

/* A new value with room for the ciphertext. */
extern PaillierCiphertext *paillier_ciphertext_make(const PaillierKey *key, int scale, paillier_bound bound);

extern paillier_bound paillier_ciphertext_bound(const PaillierCiphertext *ct);

/* Checks of arguments, named once. */
extern int	paillier_check_scale(int64 scale);
extern void paillier_check_width(int width);
extern void paillier_check_bound(const PaillierKey *key, paillier_bound bound);
extern void paillier_check_same_key(const uint8 *a, const uint8 *b);
extern void paillier_check_same_slots(int a_bits, int a_slots, int b_bits, int b_slots);

/* ---- decryption (pg_private.c) ---- */

/* Ciphertexts that are decrypted together, at most: their plaintexts take 4 MB under the longest key. */
#define PAILLIER_TOGETHER 4096

/* Ciphertexts that are decrypted together, with a private key that only pg_private.c looks into. */
typedef struct PaillierDecryption
{
	struct PaillierPreparedKey *key;
	uint8		key_id[PAILLIER_KEY_ID_LENGTH];
	bool		try;			/* NULL for what is no ciphertext or lies outside its bound, instead of an error */
	int			count;
	PaillierCiphertext **ct;	/* the caller's, as is … */
	Numeric    *out;			/* … this: NULL where there is no value */
} PaillierDecryption;

/* Begin with no ciphertexts and the private key that is argument i; an error where the key is too short to be used. */
extern void paillier_decryption_begin(PaillierDecryption *batch, FunctionCallInfo fcinfo, int i, bool try);

/* Decrypt `count` ciphertexts, all under the key. */
extern void paillier_decrypt_together(PaillierDecryption *batch);

#endif
