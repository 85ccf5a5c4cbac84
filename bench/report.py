"""Turn measurements into doc/benchmarks.md, doc/key-length.md and their plots.

report.py RESULTS [DIRECTORY]

RESULTS has lines "NAME <tab> VALUE", one for every measurement.  Targets are
printed; with a DIRECTORY the documents are written there from the templates
beside this file, where "{{name}}" stands for a table or a figure.
"""
import os
import re
import statistics
import subprocess
import sys
from collections import defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))

results = defaultdict(list)
machine = {}


def read(path):
    with open(path) as lines:
        for line in lines:
            name, value = line.rstrip("\n").split("\t")
            if name.startswith("machine/"):
                machine[name[8:]] = value
            else:
                results[name].append(float(value))


# ---- figures ----

def median(name):
    return statistics.median(results[name]) if results.get(name) else None


def ratios(name, peer):
    """Ratios of what was measured in the same round, or of everything with everything."""
    a, b = results.get(name, []), results.get(peer, [])
    if len(a) == len(b):
        return [x / y for x, y in zip(a, b)]
    return [x / y for x in a for y in b]


def number(value):
    """Three digits that count."""
    if value is None:
        return "–"
    if value >= 100:
        digits = len(str(int(value))) - 3
        return f"{round(value / 10 ** digits) * 10 ** digits:,.0f}"
    return f"{value:.3g}"


def spread(values, form=number):
    if not values:
        return "–"
    middle = form(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({form(min(values))} – {form(max(values))})"


def rate(name):
    return spread(results.get(name, []))


def times(name, peer):
    return spread(ratios(name, peer), lambda x: f"{x:.2f}")


def micro(name):
    """Microseconds of what is done so many times a second."""
    return spread([1e6 / x for x in results.get(name, [])])


def table(header, rows):
    align = ["---"] + ["--:"] * (len(header) - 1)
    lines = [header, align] + [row for row in rows if any(cell != "–" for cell in row[1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# ---- targets ----

def linear(kind):
    """By how much a group costs more among the most groups than among the fewest."""
    sizes = groups()
    low, high = (f"memory/{size}/ours/{kind}" for size in (sizes[0], sizes[-1]))
    return [x * sizes[0] / sizes[-1] for x in ratios(high, low)]


def groups():
    return sorted({int(name.split("/")[1]) for name in results if name.startswith("memory/")})


def products_of(name, products):
    """Operations that take so many products modulo n², of 2048-bit keys, as a part of the multiplier's limit: an
    encryption 96 products and 12 squares, a decryption 2 · 1280 products of half the length."""
    return [x * products for x in ratios(name, "kernel/2048/floor")]


def targets():
    """What is measured, in words; the least (or most) it should be; the measurements; and, where the target asks for
    more than a slow multiplier gives, the same as a part of the multiplier's limit, which then decides."""
    most = groups()[-1] if groups() else 0
    return [
        ("`sum` over one group, 2048 bits, beside pgmp's plpgsql aggregate", ">=", 7,
            ratios("sum/2048/ours", "sum/2048/pgmp"), ratios("sum/2048/ours", "kernel/2048/floor")),
        ("`sum` over one group, 3072 bits, of the floor of the processor's multiplier", ">=", 0.8,
         ratios("sum/3072/ours", "kernel/3072/floor")),
        ("`sum … GROUP BY`, 12 rows a group, beside pgmp on the same query", ">=", 4,
            ratios("group/ours", "group/pgmp")),
        ("product without AVX-512 for powers, 2048 bits, beside GMP's multiplication and a reduction", ">=", 1.35,
            ratios("kernel/2048/pairs/one", "kernel/2048/generic/one"),
            ratios("kernel/2048/pairs/one", "kernel/2048/scalar_floor")),
        ("… square", ">=", 1.5, ratios("kernel/2048/pairs/square", "kernel/2048/generic/square"),
            ratios("kernel/2048/pairs/square", "kernel/2048/scalar_floor")),
        ("decrypt without AVX-512, 2048 bits, beside GMP's CRT with `mpn_sec_powm`", ">=", 1.1,
            ratios("kernel/2048/generic/decrypt", "gmp/2048/decrypt")),
        ("without AVX-512 (generic kernel), beside pgmp", ">=", 1.2, ratios("sum/2048/generic", "sum/2048/pgmp")),
        ("parallel `sum`, two processes beside one", ">=", 1.8, ratios("sum/2048/workers", "sum/2048/new")),
        ("encrypt (program, one thread), 2048 bits, beside textbook rⁿ by `mpz_powm`", ">=", 90,
         ratios("program/2048/encrypt", "gmp/2048/textbook"), products_of("program/2048/encrypt", 108)),
        ("decrypt (program, one thread), 2048 bits, beside GMP's CRT with `mpn_sec_powm`", ">=", 7,
         ratios("program/2048/decrypt", "gmp/2048/decrypt"), products_of("program/2048/decrypt", 640)),
        ("decrypt 1,000 totals together, slots of 80 bits, 2048 bits, beside one by one", ">=", 8,
         ratios("batch/2048/avx512ifma/1000/80", "batch/2048/avx512ifma/one")),
        ("decrypt 1,000 totals together, slots of 80 bits, 3072 bits, beside one by one", ">=", 12,
         ratios("batch/3072/avx512ifma/1000/80", "batch/3072/avx512ifma/one")),
        ("decrypt 40 totals together, slots of 80 bits, 2048 bits, beside one by one", ">=", 3,
         ratios("batch/2048/avx512ifma/40/80", "batch/2048/avx512ifma/one")),
        ("COPY into staging, all checks on, beside a bare UNLOGGED table", ">=", 0.4,
         ratios("copy/binary/metering.reading", "copy/binary/bare")),
        ("COPY, seal, purge; 12 readings a meter-hour, 2048 bits: readings a second", ">=", 150000,
            results["pipeline/2048"]),
        ("window frames of 24 rows, beside adding every frame up again", ">=", 4,
            ratios("window/sum", "window/sum_again")),
        (f"hash aggregate of {most:,} groups: its memory beside plain values of the same size", "<=", 2,
         ratios(f"memory/{most}/ours/table", f"memory/{most}/text/table")),
        (f"… its time a group, {most:,} groups beside an eighth of them", "<=", 1.5, linear("seconds") if most else []),
    ]


# A sum that reaches this part of the multiplier's limit cannot be much faster on that machine.
LIMIT_PART = 0.8


# What a processor without AVX-512 IFMA is not held to
VECTOR_TARGETS = {
    "`sum` over one group, 2048 bits, beside pgmp's plpgsql aggregate",
    "`sum` over one group, 3072 bits, of the floor of the processor's multiplier",
    "`sum … GROUP BY`, 12 rows a group, beside pgmp on the same query",
    "encrypt (program, one thread), 2048 bits, beside textbook rⁿ by `mpz_powm`",
    "decrypt (program, one thread), 2048 bits, beside GMP's CRT with `mpn_sec_powm`",
    "COPY, seal, purge; 12 readings a meter-hour, 2048 bits: readings a second",
}


def verdicts():
    for what, relation, bound, values, *limit in targets():
        limit = limit[0] if limit else []
        if not values:
            yield what, relation, bound, values, limit, "not measured"
            continue
        met = statistics.median(values) >= bound if relation == ">=" else statistics.median(values) <= bound
        if not met and machine.get("ifma") == "no" and what in VECTOR_TARGETS:
            yield what, relation, bound, values, limit, "no AVX-512 IFMA"
            continue
        at_limit = limit and statistics.median(limit) >= LIMIT_PART
        verdict = "met" if met else "at the multiplier's limit" if at_limit else "MISSED"
        yield what, relation, bound, values, limit, verdict


def target_table():
    rows = []
    for what, relation, bound, values, limit, verdict in verdicts():
        form = number if bound > 1000 else lambda x: f"{x:.2f}"
        rows.append([what, f"{'≥' if relation == '>=' else '≤'} {bound:,}", spread(values, form),
                     spread(limit, lambda x: f"{x:.2f}"), verdict])
    return "\n".join("| " + " | ".join(row) + " |" for row in
                     [["work", "target", "measured", "of the multiplier's limit", ""],
                      ["---", "--:", "--:", "--:", "---"]] + rows)


# ---- tables ----

def sums():
    rows = [("**paillier**, kernel " + machine["kernel"], "sum/{}/ours"),
        ("paillier, generic kernel", "sum/{}/generic"),
            ("paillier, two processes", "sum/{}/workers"),
            ("pgmp, aggregate in plpgsql", "sum/{}/pgmp"), ("pgmp, aggregate in SQL", "sum/{}/pgmp_sql"),
            ("numeric `mod(a * b, n²)` in plpgsql", "sum/{}/numeric"),
            ("python-gmpy2 (no database)", "python/{}/gmpy2"), ("python-paillier (no database)", "python/{}/phe/sum"),
            ("npm paillier-bigint (no database)", "npm/{}/sum"), ("pailliercryptolib (no database)", "ipcl/{}/sum")]
    lines = [[what] + [cell for bits in (2048, 3072)
                       for cell in (rate(name.format(bits)), times(f"sum/{bits}/ours", name.format(bits)))]
             for what, name in rows]
    return table(["`sum` over one group", "2048 bits, rows/s", "paillier is × faster", "3072 bits, rows/s",
        "paillier is × faster"],
                 lines)


def plain():
    return table(["plaintext, for comparison", "rows/s"],
                 [["`sum(bigint)`", rate("plain/bigint")], ["`sum(numeric)`", rate("plain/numeric")],
                  ["reading the rows: `sum(length(c))` over bytea of the ciphertexts' size", rate("plain/scan")]])


def products():
    rows = [("avx512ifma, eight rows at a time, from the cache to running products", "kernel/{}/avx512ifma/rows"),
            ("avx512ifma, eight products at a time", "kernel/{}/avx512ifma/eight"),
            ("avx512ifma, one product after the other", "kernel/{}/avx512ifma/one"),
            ("generic, one product after the other: GMP's multiplication, then a reduction", "kernel/{}/generic/one"),
            ("… one square after the other", "kernel/{}/generic/square"),
            ("generic, for powers: one product after the other, as pairs of numbers", "kernel/{}/pairs/one"),
            ("… one square after the other", "kernel/{}/pairs/square"),
            ("floor: the multiplications alone, at the rate the processor issues them", "kernel/{}/floor"),
            ("floor of pairs by the 64-bit multiplier", "kernel/{}/scalar_floor"),
            ("GMP `mpz_mul`, `mpz_mod`", "gmp/{}/multiply"), ("OpenSSL `BN_mod_mul_montgomery`", "gmp/{}/openssl")]
    return table(["one multiplication modulo n²", "2048 bits, µs", "3072 bits, µs"],
                 [[what] + [micro(name.format(bits)) for bits in (2048, 3072)] for what, name in rows])


def grouped():
    rows = [["rows of a group far apart", rate("group/ours"), rate("group/pgmp"), times("group/ours", "group/pgmp")],
            ["rows of a group in sequence", rate("group/sorted"), rate("group/pgmp_sorted"),
             times("group/sorted", "group/pgmp_sorted")],
            ["rows of a group far apart, groups by an expression", rate("group/unknown"), rate("group/pgmp_unknown"),
             times("group/unknown", "group/pgmp_unknown")],
            ["rows of a group far apart, generic kernel", rate("group/generic"), rate("group/pgmp"),
             times("group/generic", "group/pgmp")]]
    return table(["`GROUP BY`, 12 rows a group", "paillier, rows/s", "pgmp, rows/s", "ratio"], rows)


def series(prefix):
    return sorted((int(name.split("/")[1]), name) for name in results if name.startswith(prefix + "/"))


def growth():
    size = table(["rows in a group", "rows/s"], [[f"{x:,}", rate(name)] for x, name in series("grow_group")])
    count = table(["rows in the sum", "rows/s"], [[f"{x:,}", rate(name)] for x, name in series("grow_rows")])
    cores = table(["processes", "rows/s", "beside one"],
                  [[str(x), rate(name), times(name, "grow_cores/1")] for x, name in series("grow_cores")])
    return "\n\n".join((count, cores, size))


def memory():
    def bytes_a_group(kind, part, size):
        return spread([x / size for x in results.get(f"memory/{size}/{kind}/{part}", [])])

    return table(["groups", "`sum`, hash table, bytes a group", "`max(text)` of the same size", "ratio",
                  "`sum(numeric)`", "`sum`, whole backend, bytes a group", "`sum`, µs a group"],
                 [[f"{size:,}", bytes_a_group("ours", "table", size), bytes_a_group("text", "table", size),
                   times(f"memory/{size}/ours/table", f"memory/{size}/text/table"),
                       bytes_a_group("numeric", "table", size),
                   bytes_a_group("ours", "backend", size),
                   spread([1e6 * x / size for x in results[f"memory/{size}/ours/seconds"]])] for size in groups()])


def windows():
    return table(["frame of 24 rows", "rows/s", "ratio"],
                 [["`sum`, rows leave the frame", rate("window/sum"), times("window/sum", "window/sum_again")],
                  ["the same without the moving functions: every frame added up again", rate("window/sum_again"), "1"]])


def weights():
    rows = [("no weights: `sum(ct)`", "plain", "plain"), ("`sum(ct, 3)`", "constant", "plain"),
            ("4 weights", "few", "plain"), ("4 weights, each a quotient of `numeric`, `cents / 100`", "cents", "plain"),
            ("1000 weights", "ours", "plain"), ("weights of 16 bits", "many", "plain"),
            ("… as quotients of `numeric`, `cents / 100.0`", "many_cents", "plain"),
            ("… with signs", "signed", "plain"), ("… with `work_mem = '64kB'`", "little_memory", "plain"),
            ("no weights, generic kernel", "plain_generic", "plain_generic"),
            ("4 weights, generic kernel", "few_generic", "plain_generic"),
            ("weights of 16 bits, generic kernel", "many_generic", "plain_generic")]
    cost = table(["weighted sum", "rows/s", "time beside no weights"],
                 [[what, rate(f"weight/{name}"), times(f"weight/{peer}", f"weight/{name}")] for what, name, peer in rows])
    peers = table(["weighted sum, weights 1 to 1000", "rows/s", "`sum(ct, weight)` is × faster"],
                 [["`sum(ct, weight)`", rate("weight/ours"), "1"],
                  ["`sum(ct * weight)`", rate("weight/product"), times("weight/ours", "weight/product")],
                  ["pgmp, `a * powm(c, w, n²) % n²`", rate("weight/pgmp"), times("weight/ours", "weight/pgmp")]])
    return cost + "\n\n" + peers


def programs():
    lines = []
    for bits in (2048, 3072):
        for what, name, peer in (("encrypt, one thread", "program/{}/encrypt", "gmp/{}/textbook"),
                                 ("encrypt, all cores", "program/{}/encrypt_jobs", "gmp/{}/textbook"),
                                 ("encrypt, generic kernel", "kernel/{}/generic/encrypt", "gmp/{}/textbook"),
                                 ("… rⁿ by `mpz_powm`", "gmp/{}/textbook", "gmp/{}/textbook"),
                                 ("… h^a from a table, GMP", "gmp/{}/fixedbase", "gmp/{}/textbook"),
                                 ("… python-paillier", "python/{}/phe/encrypt", "gmp/{}/textbook"),
                                 ("… paillier-bigint", "npm/{}/encrypt", "gmp/{}/textbook"),
                                 ("… pailliercryptolib", "ipcl/{}/encrypt", "gmp/{}/textbook"),
                                 ("decrypt, one thread", "program/{}/decrypt", "gmp/{}/decrypt"),
                                 ("decrypt, all cores", "program/{}/decrypt_jobs", "gmp/{}/decrypt"),
                                 ("decrypt, generic kernel", "kernel/{}/generic/decrypt", "gmp/{}/decrypt"),
                                 ("… CRT with `mpn_sec_powm`", "gmp/{}/decrypt", "gmp/{}/decrypt"),
                                 ("… python-paillier", "python/{}/phe/decrypt", "gmp/{}/decrypt"),
                                 ("… paillier-bigint", "npm/{}/decrypt", "gmp/{}/decrypt"),
                                 ("… pailliercryptolib", "ipcl/{}/decrypt", "gmp/{}/decrypt")):
            lines.append([f"{what}, {bits} bits", rate(name.format(bits)), times(name.format(bits), peer.format(bits))])
    lines += [["`paillier_decrypt_array`, 2048 bits", rate("decrypt/array"),
        times("decrypt/array", "gmp/2048/decrypt")],
              ["`paillier_decrypt`, row by row, 2048 bits", rate("decrypt/one"),
                  times("decrypt/one", "gmp/2048/decrypt")]]
    return table(["operation", "a second", "beside GMP"], lines)


def batches():
    lines = []
    for kernel in ("avx512ifma", "generic"):
        for bits in (2048, 3072):
            one = f"batch/{bits}/{kernel}/one"
            lines.append([f"{kernel}, {bits} bits, one by one", rate(one), times(one, one)])
            for count, slot in ((40, 80), (1000, 80), (4096, 80), (4096, 66), (4096, 48)):
                name = f"batch/{bits}/{kernel}/{count}/{slot}"
                lines.append([f"… {count:,} together, slots of {slot} bits", rate(name), times(name, one)])
    return table(["decryption by the core, one thread", "a second", "beside one by one"], lines)


def copies():
    lines = []
    for form in ("binary", "text"):
        for what, way in (("a session that has met its meters", ""), ("a new session", "/first"),
                          ("a new session, through `psql`", "/client")):
            lines.append([f"{form}, {what}", rate(f"copy/{form}/metering.reading{way}"), rate(f"copy/{form}/bare{way}"),
                          times(f"copy/{form}/metering.reading{way}", f"copy/{form}/bare{way}")])
    return table(["COPY", "`metering.reading`, rows/s", "bare UNLOGGED table, rows/s", "ratio"], lines)


def pipeline():
    return table(["2048 bits", "readings/s"],
                 [["the whole pipeline", rate("pipeline/2048")],
                  ["of this, the roll-up while it seals hours", rate("pipeline/2048/hour")],
                  ["the roll-up while it seals bill windows, two hours each", rate("pipeline/2048/window")],
                  ["with two keys, and a register of each meter every two hours", rate("pipeline/2048/two")],
                  ["of this, the roll-up while it seals hours", rate("pipeline/2048/two/hour")]])


def facts():
    names = [("processor", f"{machine['cpu']}, {machine['cores']} cores, {machine['memory']}"),
             ("load before the run", machine["load"]), ("AVX-512 IFMA", machine["ifma"]),
                 ("kernel in use", machine["kernel"]), ("system", machine["system"]),
             ("PostgreSQL", machine["postgresql"]), ("this project", machine["paillier"]),
                 ("compiler", machine["compiler"]),
             ("GMP", machine["gmp"]), ("OpenSSL", machine["openssl"]), ("pgmp", machine["pgmp"]),
             ("python-gmpy2", machine["gmpy2"]), ("paillier-bigint", machine["npm"] or "not there"),
             ("pailliercryptolib", "measured" if results.get("ipcl/2048/sum") else "not there"),
             ("python-paillier", "measured" if results.get("python/2048/phe/sum") else "not there"),
             ("command", f"`{machine['command']}`"), ("rows of a sum", f"{int(machine['rows']):,}"),
             ("repetitions", f"{machine['many']}, or {machine['few']} of what takes longer")]
    return table(["what", "which"], [list(pair) for pair in names])


# ---- where the time goes ----

def shares(kind):
    found = sorted(((values[0], name.split("/", 2)[2]) for name, values in results.items()
                    if name.startswith(f"profile/{kind}/")), reverse=True)
    if not found:
        return "perf could not be used where this was measured."
    rows = [[f"`{name}`", f"{value:.1f}"] for value, name in found[:8] if not name.startswith("0x")]
    return table(["function", "samples, %"], rows + [["all others", f"{100 - sum(float(row[1]) for row in rows):.1f}"]])


def shares_sum():
    return shares("sum")


def shares_group():
    return shares("group")


def shares_window():
    return shares("window")


def shares_copy():
    return shares("copy")


def calls():
    found = [name.split("/", 2)[2] for name in results if name.startswith("profile/calls/")]
    if not found:
        return "gdb could not be used where this was measured."
    return table(["function", "calls in the session", "calls a row"],
                 [[f"`{name}`", f"{results['profile/session/' + name][0]:.0f}",
                     f"{round(results['profile/calls/' + name][0], 3) + 0:g}"]
                  for name in found])


# ---- key lengths ----

STRENGTH = {1024: ("80", "no longer"), 2048: ("112", "through 2030"), 3072: ("128", "beyond 2030"),
            4096: ("above 128", "beyond 2030"), 6144: ("above 128", "beyond 2030"), 8192: ("192", "beyond 2030")}


def lengths():
    return sorted({int(name.split("/")[1]) for name in results if name.startswith("length/")})


def length_table():
    rows = []
    for bits in lengths():
        name = f"length/{bits}/"
        rows.append([str(bits), *STRENGTH[bits], spread([1 / x for x in results[name + "keygen"]]),
            rate(name + "encrypt"),
                     rate(name + "decrypt"), rate(name + "add"), rate(name + "pipeline"),
                         f"{median(name + 'bytes'):,.0f}",
                     number(median(name + "stored"))])
    return table(["key, bits", "strength, bits", "NIST: may protect", "make a key, s", "encrypt/s", "decrypt/s",
        "add, rows/s",
                  "pipeline, readings/s", "bytes of a ciphertext", "bytes of a row on disk"], rows)


def length_ratios():
    base = "length/2048/"
    rows = []
    for bits in lengths():
        name = f"length/{bits}/"
        rows.append([str(bits)] + [
            f"{statistics.median(results[base + what]) / statistics.median(results[name + what]):.2f}"
            for what in ("keygen", "encrypt", "decrypt", "add", "pipeline")]
            + [f"{median(name + 'stored') / median(base + 'stored'):.2f}"])
    return table(["beside 2048 bits, × the cost", "make a key", "encrypt", "decrypt", "add", "pipeline", "storage"],
        rows)


def length_sums():
    name = f"length/{lengths()[0]}/"
    return (f"Each sum adds {median(name + 'rows'):,.0f} rows; with all repetitions "
            f"{sum(len(results[f'length/{bits}/add']) * median(f'length/{bits}/rows') for bits in lengths()):,.0f} "
            "ciphertexts were added.")


# ---- plots ----

def gnuplot(path, commands, *data):
    blocks = "".join(f"${name} << EOD\n" + "".join(" ".join(str(x) for x in row) + "\n" for row in rows) + "EOD\n"
                     for name, rows in data)
    style = (f"set terminal svg size 680,400 font 'sans-serif,12' background 'white'\nset output '{path}'\n"
             "set grid ytics lc rgb '#dddddd'\nset border 3 lc rgb '#888888'\nset tics nomirror tc rgb '#333333'\n"
             "set key top left outside horizontal\nset format y '%.0s%c'\n"
             "set linetype 1 lc rgb '#1f77b4' lw 2 pt 7\nset linetype 2 lc rgb '#d95f02' lw 2 pt 5\n"
             "set linetype 3 lc rgb '#2a9d5c' lw 2 pt 9\nset linetype 4 lc rgb '#8452a8' lw 2 pt 13\n")
    subprocess.run(["gnuplot"], input=style + blocks + commands, text=True, check=True)


def plot_sums(directory):
    names = [("npm", "npm/{}/sum"), ("numeric", "sum/{}/numeric"), ("gmpy2", "python/{}/gmpy2"),
        ("pgmp", "sum/{}/pgmp"),
             ("generic", "sum/{}/generic"), ("paillier", "sum/{}/ours")]
    rows = [(name, *(median(path.format(bits)) or "NaN" for bits in (2048, 3072))) for name, path in names]
    gnuplot(f"{directory}/sum.svg", "set style data histogram\nset style fill solid 0.85\nset boxwidth 0.9\n"
            "set logscale y\nset yrange [1000:*]\nset ylabel 'rows a second'\n"
            "plot $data using 2:xtic(1) title '2048 bits', '' using 3 title '3072 bits'\n", ("data", rows))


def plot_growth(directory):
    size = [(x, median(name) / 1000) for x, name in series("grow_group")]
    count = [(x, median(name) / 1000) for x, name in series("grow_rows")]
    gnuplot(f"{directory}/growth.svg", "set logscale x\nset xlabel 'rows'\nset ylabel 'thousand rows a second'\nset "
        "yrange [0:*]\n"
            "set format x '%.0s%c'\nset format y '%g'\nplot $size with linespoints title 'rows a group, many groups', "
            "$count with linespoints title 'rows in one group'\n", ("size", size), ("count", count))


def plot_memory(directory):
    rows = [(size, *(median(f"memory/{size}/{kind}/table") / 1048576 for kind in ("ours", "text", "numeric")))
            for size in groups()]
    gnuplot(f"{directory}/memory.svg", "set xlabel 'groups'\nset ylabel 'MiB of the hash table'\nset yrange [0:*]\nset "
        "xrange [0:*]\n"
            "set format x '%.0s%c'\nset format y '%g'\nplot $data using 1:2 with linespoints title "
                "'sum(paillier\\_ciphertext)', "
            "'' using 1:3 with linespoints title 'max(text) of the same size', '' using 1:4 with linespoints title "
                "'sum(numeric)'\n",
            ("data", rows))


def plot_lengths(directory):
    rows = [(bits, *(median(f"length/{bits}/{what}") for what in ("add", "pipeline", "encrypt", "decrypt")))
            for bits in lengths()]
    tics = ", ".join(f"'{bits}' {bits}" for bits in lengths())
    gnuplot(f"{directory}/key-length.svg", f"set logscale xy\nset xtics ({tics})\nset xrange [900:9300]\n"
            "set xlabel 'bits of the key'\nset ylabel 'a second'\n"
            "plot $data using 1:2 with linespoints title 'add', '' using 1:3 with linespoints title 'pipeline', "
            "'' using 1:4 with linespoints title 'encrypt', '' using 1:5 with linespoints title 'decrypt'\n",
                ("data", rows))


def write(template, path):
    with open(os.path.join(HERE, template)) as file:
        text = re.sub(r"\{\{(\w+)\}\}", lambda found: globals()[found.group(1)](), file.read())
    with open(path, "w") as file:
        file.write(text)


def main():
    read(sys.argv[1])
    missed = []
    for what, relation, bound, values, limit, verdict in verdicts():
        of_limit = f", {statistics.median(limit):.2f} of the multiplier's limit" if limit else ""
        print(f"{verdict:25s}  {spread(values, lambda x: f'{x:.2f}'):28s} {relation} {bound:<8} {what}{of_limit}")
        if verdict == "MISSED":
            missed.append(what)
    if len(sys.argv) > 2:
        write_documents()
    if missed:
        sys.exit(f"{len(missed)} targets MISSED on {machine['cpu']}: " + "; ".join(missed))


def write_documents():
    directory = sys.argv[2]
    os.makedirs(directory + "/plots", exist_ok=True)
    for plot in (plot_sums, plot_growth, plot_memory, plot_lengths):
        plot(directory + "/plots")
    write("benchmarks.md.in", directory + "/benchmarks.md")
    write("key-length.md.in", directory + "/key-length.md")


main()
