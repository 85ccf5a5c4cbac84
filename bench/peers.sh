# peers.sh
#	The peers outside the database: built or installed where they can be had.
#	Sourced by run.

build_peers() {
	cc -std=gnu11 -O2 -Wall -Wextra -o $output/gmp bench/gmp.c -lgmp -lcrypto
	cc -std=gnu11 -O2 -g -Wall -Wextra -Isrc/core -o $output/kernel bench/kernel.c src/core/{mont,paillier,bound,platform}*.c -lgmp
	cc -std=gnu11 -O2 -g -Wall -Wextra -Isrc/core -o $output/batch bench/batch.c \
		src/core/{mont*,paillier*,bound,platform}.c -lgmp

	npm_module=
	if command -v npm >/dev/null; then
		npm install --silent --no-audit --no-fund --prefix $output/npm paillier-bigint >$output/npm.log 2>&1 || true
		npm_module=$(ls $output/npm/node_modules/paillier-bigint/dist/index.node.esm.js 2>/dev/null || true)
	fi
	[ -n "$npm_module" ] || echo "paillier-bigint of npm cannot be installed here: left out"

	rm -f $output/ipcl/peer
	build_pailliercryptolib >$output/ipcl.log 2>&1 || echo "pailliercryptolib is not installed here: left out"
	"$python" -c 'import phe' 2>/dev/null || echo "python-paillier is not installed here: left out"
}

# Found by CMake, where the user has installed it.
build_pailliercryptolib() {
	mkdir -p $output/ipcl
	cat >$output/ipcl/CMakeLists.txt <<-EOF
		cmake_minimum_required(VERSION 3.15)
		project(peer CXX)
		find_package(IPCL 2.0.0 REQUIRED HINTS /opt/intel/ipcl/lib/cmake/ipcl-2.0.0)
		add_executable(peer $PWD/bench/pailliercryptolib.cpp)
		target_compile_features(peer PRIVATE cxx_std_17)
		target_link_libraries(peer PRIVATE IPCL::ipcl)
		set_target_properties(peer PROPERTIES RUNTIME_OUTPUT_DIRECTORY $PWD/$output/ipcl)
	EOF
	cmake -DCMAKE_BUILD_TYPE=Release -S $output/ipcl -B $output/ipcl/build && cmake --build $output/ipcl/build
}

# The rates of all peers that are libraries: measure_peers BITS
measure_peers() {
	record_lines python/$1/ < <("$python" bench/peers.py $1 10000 $seconds)
	if [ -n "$npm_module" ]; then
		record_lines npm/$1/ < <(node bench/paillier-bigint.mjs "$npm_module" $1 2000 $seconds)
	fi
	if [ -x $output/ipcl/peer ] && [ $1 -le 2048 ]; then
		record_lines ipcl/$1/ < <(OMP_NUM_THREADS=1 $output/ipcl/peer $1 $seconds)
	fi
}
