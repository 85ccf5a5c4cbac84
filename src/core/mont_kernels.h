/*
 * mont_kernels.h
 *		The table of kernels, the fastest first.  The last runs on any processor.
 *
 * Behind it are kernels for powers, which others name as theirs and nobody can
 * choose.
 *
 * To add a kernel, write mont_NAME.c, which defines paillier_kernel_NAME, and
 * enter it here.  An entry gives the name and four sizes, of which mont.h takes
 * the largest of all kernels:
 *
 *	-	words of a residue, for a modulus of `limbs` limbs;
 *	-	words that the kernel keeps of the longest modulus;
 *	-	residues of scratch that a function for one residue needs;
 *	-	residues of scratch that a function for eight residues needs.
 */
#ifndef PAILLIER_MONT_KERNELS_H
#define PAILLIER_MONT_KERNELS_H

#define PAILLIER_KERNELS(entry, limbs, rest) \
	entry(avx512ifma, 8 * ((limbs) < 7 ? 2 : (32 * (limbs) + 225) / 208), 6344, 14, 34, \
	entry(generic, (limbs), 384, 14, 14, \
	rest))

#define PAILLIER_ALL_KERNELS(entry, limbs, rest) \
	PAILLIER_KERNELS(entry, limbs, \
	entry(pairs, (limbs) + (limbs) % 2, 386, 14, 14, \
	rest))

#endif
