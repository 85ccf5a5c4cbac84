/*
 * platform.h
 *		What the code needs of compiler, GMP and C library, and what it does where
 *		the library lacks it.
 *
 * The choices below may be made on the compiler's command line, too.
 */
#ifndef PAILLIER_PLATFORM_H
#define PAILLIER_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX < UINT64_MAX
#error "paillier needs a 64-bit processor and a compiler that builds for it"
#endif

#include <gmp.h>

#if GMP_NUMB_BITS != 64
#error "paillier needs a GMP whose limbs have 64 bits, all of them used (GMP_NUMB_BITS is 64)"
#endif

/* C libraries for Linux with explicit_bzero() and getrandom(): glibc 2.25 and musl */
#if defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 25)
#define PAILLIER_RECENT_LINUX 1
#endif
#elif defined(__linux__) && !defined(__ANDROID__)
#define PAILLIER_RECENT_LINUX 1
#endif

/* ---- memory that is wiped ---- */

#define PAILLIER_WIPE_EXPLICIT_BZERO	1
#define PAILLIER_WIPE_MEMSET_S			2
#define PAILLIER_WIPE_VOLATILE			3

#ifndef PAILLIER_WIPE
#if defined(PAILLIER_RECENT_LINUX) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__DragonFly__)
#define PAILLIER_WIPE PAILLIER_WIPE_EXPLICIT_BZERO
#elif defined(__APPLE__)
#define PAILLIER_WIPE PAILLIER_WIPE_MEMSET_S
#else
#define PAILLIER_WIPE PAILLIER_WIPE_VOLATILE
#endif
#endif

/* Overwrite memory with zeros, even where nothing reads it afterwards. */
extern void paillier_wipe(void *memory, size_t size);

/* ---- random numbers of the system, for those who want them (cli_random.c) ---- */

#define PAILLIER_RANDOM_GETRANDOM		1
#define PAILLIER_RANDOM_GETENTROPY		2
#define PAILLIER_RANDOM_DEVICE			3	/* /dev/urandom */

#ifndef PAILLIER_RANDOM
#if defined(PAILLIER_RECENT_LINUX) || defined(__FreeBSD__)
#define PAILLIER_RANDOM PAILLIER_RANDOM_GETRANDOM
#elif defined(__APPLE__) || defined(__OpenBSD__)
#define PAILLIER_RANDOM PAILLIER_RANDOM_GETENTROPY
#else
#define PAILLIER_RANDOM PAILLIER_RANDOM_DEVICE
#endif
#endif

#endif
