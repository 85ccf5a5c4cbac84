// paillier-bigint of npm: node paillier-bigint.mjs MODULE BITS NUMBER SECONDS
// Prints "MEASURE <tab> operations a second" for sum, encrypt and decrypt.
import { pathToFileURL } from 'node:url'

const [module, bits, number, seconds] = process.argv.slice(2)
const { generateRandomKeys } = await import(pathToFileURL(module))

function rate (work, units) {
  work()
  let done = 0
  const began = performance.now()
  let passed
  do {
    work()
    done += units
    passed = (performance.now() - began) / 1000
  } while (passed < Number(seconds))
  return (done / passed).toPrecision(6)
}

const { publicKey, privateKey } = await generateRandomKeys(Number(bits))
const few = Array.from({ length: 20 }, (_, i) => publicKey.encrypt(BigInt(i)))
const rows = Array.from({ length: Number(number) }, (_, i) => few[i % few.length])
console.log(`sum\t${rate(() => rows.reduce((a, b) => publicKey.addition(a, b)), rows.length - 1)}`)
console.log(`encrypt\t${rate(() => publicKey.encrypt(12345n), 1)}`)
console.log(`decrypt\t${rate(() => privateKey.decrypt(few[7]), 1)}`)
