/*
 * pg_decrypt.c
 *		The functions of SQL that decrypt.
 *
 * Ciphertexts under one key are decrypted together.  The private key stays in
 * pg_private.c, to which it is the argument of a number.
 */
#include "pg_paillier.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"

/* An error for a ciphertext that is under another key. */
static void
check_key(const PaillierDecryption *batch, const PaillierCiphertext *ct)
{
	const uint8 *id = batch->key_id;

	if (memcmp(ct->header.key_id, id, PAILLIER_KEY_ID_LENGTH) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("ciphertext is under another key than the one given"),
				 errdetail("The ciphertext is under key %s, the private key is that of key %s.",
						   paillier_key_id_text(ct->header.key_id), paillier_key_id_text(id)),
				 errhint("Select the ciphertexts of one key with paillier_key_id().")));
}

/* The number of one ciphertext; NULL only where that is tried. */
static Datum
decrypt_number(FunctionCallInfo fcinfo, bool try)
{
	PaillierCiphertext *ct = PG_GETARG_CIPHERTEXT(0);
	Numeric		out;
	PaillierDecryption batch;

	paillier_decryption_begin(&batch, fcinfo, 1, try);
	batch.count = 1;
	batch.ct = &ct;
	batch.out = &out;
	check_key(&batch, ct);
	paillier_decrypt_together(&batch);
	if (out == NULL)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(out);
}

/* Those of an array; NULL elements stay NULL. */
static Datum
decrypt_array(FunctionCallInfo fcinfo, bool try)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	PaillierDecryption batch;
	int		   *place;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			together;

	paillier_decryption_begin(&batch, fcinfo, 1, try);
	deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_DOUBLE, &elements, &nulls, &count);
	together = Min(count, PAILLIER_TOGETHER);
	batch.ct = palloc(together * sizeof(PaillierCiphertext *));
	batch.out = palloc(together * sizeof(Numeric));
	place = palloc(together * sizeof(int));
	for (int i = 0; i <= count; i++)
	{
		if ((batch.count == together || i == count) && batch.count > 0)
		{
			CHECK_FOR_INTERRUPTS();
			paillier_decrypt_together(&batch);
			for (int j = 0; j < batch.count; j++)
			{
				elements[place[j]] = NumericGetDatum(batch.out[j]);
				nulls[place[j]] = batch.out[j] == NULL;
			}
			batch.count = 0;
		}
		if (i < count && !nulls[i])
		{
			PaillierCiphertext *ct = (PaillierCiphertext *) PG_DETOAST_DATUM(elements[i]);

			check_key(&batch, ct);
			place[batch.count] = i;
			batch.ct[batch.count++] = ct;
		}
	}
	PG_RETURN_ARRAYTYPE_P(construct_md_array(elements, nulls, ARR_NDIM(array), ARR_DIMS(array), ARR_LBOUND(array),
											 NUMERICOID, -1, false, TYPALIGN_INT));
}

PG_FUNCTION_INFO_V1(paillier_decrypt_number);

/* paillier_decrypt(paillier_ciphertext, paillier_private_key) -> numeric */
Datum
paillier_decrypt_number(PG_FUNCTION_ARGS)
{
	return decrypt_number(fcinfo, false);
}

PG_FUNCTION_INFO_V1(paillier_decrypt_array);

/* paillier_decrypt_array(paillier_ciphertext[], paillier_private_key) -> numeric[] */
Datum
paillier_decrypt_array(PG_FUNCTION_ARGS)
{
	return decrypt_array(fcinfo, false);
}

PG_FUNCTION_INFO_V1(paillier_try_decrypt_number);

/* paillier_try_decrypt(paillier_ciphertext, paillier_private_key) -> numeric */
Datum
paillier_try_decrypt_number(PG_FUNCTION_ARGS)
{
	return decrypt_number(fcinfo, true);
}

PG_FUNCTION_INFO_V1(paillier_try_decrypt_array);

/* paillier_try_decrypt_array(paillier_ciphertext[], paillier_private_key) -> numeric[] */
Datum
paillier_try_decrypt_array(PG_FUNCTION_ARGS)
{
	return decrypt_array(fcinfo, true);
}
