/*
 * pailliercryptolib.cpp
 *		Intel's Paillier library, version 2, in batches of 64 on one thread.
 *
 *	pailliercryptolib BITS SECONDS
 *
 * Prints "MEASURE <tab> operations a second" for sum, encrypt and decrypt.
 */
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "ipcl/ipcl.hpp"

static const int batch = 64;

template <typename Work>
static void measure(const char *name, double seconds, Work work)
{
	using clock = std::chrono::steady_clock;
	long		done = 0;
	double		passed;

	work();
	auto		began = clock::now();
	do
	{
		work();
		done += batch;
		passed = std::chrono::duration<double>(clock::now() - began).count();
	} while (passed < seconds);
	std::printf("%s\t%.6g\n", name, done / passed);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 1;
	const double seconds = std::atof(argv[2]);
	std::vector<uint32_t> values(batch);

	for (int i = 0; i < batch; i++)
		values[i] = 1000 + i;
	ipcl::initializeContext("default");
	ipcl::KeyPair key = ipcl::generateKeypair(std::atoi(argv[1]), true);
	ipcl::PlainText plain(values);
	ipcl::CipherText one = key.pub_key.encrypt(plain);
	ipcl::CipherText total = key.pub_key.encrypt(plain);

	measure("sum", seconds, [&] { total = total + one; });
	measure("encrypt", seconds, [&] { one = key.pub_key.encrypt(plain); });
	measure("decrypt", seconds, [&] { plain = key.priv_key.decrypt(one); });
	ipcl::terminateContext();
	return 0;
}
